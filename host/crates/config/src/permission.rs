//! A permission in words: one wording for the denial that a plugin gets, the status page, the question before a changed
//! configuration takes effect, and the command line.

use nexus_model::units::exact_size;
use std::fmt;

/// `Permission` is one thing that a plugin may do, or asks to do. Its text is a verb with its object, which follows
/// "may", "may not" or a colon: `run ssh (/usr/bin/ssh) with your environment`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// `Process`: to run a program.
    Process {
        /// `binary` is the program's name in the manifest.
        binary: String,
        /// `place` is where the program is, for a reader.
        place: Option<String>,
        /// `inherit_env`: it may start with the operator's environment.
        inherit_env: bool,
    },
    /// `Http`: to send requests to a server.
    Http {
        /// `server` is its scheme, host and port.
        server: String,
        /// `private`: it may be an address of this machine or its network.
        private: bool,
    },
    /// `Store`: to keep data.
    Store {
        /// `quota` is in bytes; `None`: any number.
        quota: Option<u64>,
    },
    /// `Secret`: to read a secret of the operator.
    Secret {
        /// `name` is the secret's name in the manifest.
        name: String,
    },
}

impl Permission {
    /// `run` is to run a program, wherever it is.
    pub fn run(binary: &str, inherit_env: bool) -> Self {
        Self::Process {
            binary: binary.to_owned(),
            place: None,
            inherit_env,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process {
                binary,
                place,
                inherit_env,
            } => {
                write!(f, "run {binary}")?;
                if let Some(place) = place {
                    write!(f, " ({place})")?;
                }
                f.write_str(if *inherit_env { " with your environment" } else { "" })
            }
            Self::Http { server, private } => {
                let private = if *private { ", including private addresses" } else { "" };
                write!(f, "send requests to {server}{private}")
            }
            Self::Store { quota: Some(quota) } => write!(f, "store up to {}", exact_size(*quota)),
            Self::Store { quota: None } => f.write_str("store data"),
            Self::Secret { name } => write!(f, "read the secret {name}"),
        }
    }
}
