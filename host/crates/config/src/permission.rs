//! A permission in words: one wording for the denial that a plugin gets, the status page, the question before a changed
//! configuration takes effect, and the command line.

use super::resolved::{Grants, HttpGrant};
use super::units::show_size;
use nexus_plugin_api::manifest::Manifest;
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

    /// `http` is to send the requests that a grant allows.
    pub fn http(grant: &HttpGrant) -> Self {
        Self::Http {
            server: grant.to_string(),
            private: grant.private,
        }
    }

    /// `requested` are what a manifest asks for, with the addresses as they are written in it.
    pub fn requested(manifest: &Manifest) -> Vec<Self> {
        let asked = &manifest.capabilities;
        let run = asked.process.iter().map(|(name, r)| Self::run(name, r.inherit_env));
        let http = asked.http.iter().map(|request| Self::Http {
            server: request.url.clone(),
            private: false,
        });
        let store = asked.store.iter().map(|store| Self::Store {
            quota: Some(store.quota),
        });
        let secrets = manifest.secrets().map(|name| Self::Secret { name: name.to_owned() });
        run.chain(http).chain(store).chain(secrets).collect()
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
            Self::Store { quota: Some(quota) } => write!(f, "store up to {}", show_size(*quota)),
            Self::Store { quota: None } => f.write_str("store data"),
            Self::Secret { name } => write!(f, "read the secret {name}"),
        }
    }
}

impl Grants {
    /// `permissions` are all that is granted: programs, servers, the store, secrets.
    pub fn permissions(&self) -> Vec<Permission> {
        let run = self.processes.iter().map(|(name, grant)| Permission::Process {
            binary: name.clone(),
            place: grant.path.as_ref().map(|path| path.display().to_string()),
            inherit_env: grant.inherit_env,
        });
        let store = (self.store_quota > 0).then_some(Permission::Store {
            quota: Some(self.store_quota),
        });
        let secrets = self
            .secrets
            .keys()
            .map(|name| Permission::Secret { name: name.clone() });
        let http = self.http.iter().map(Permission::http);
        run.chain(http).chain(store).chain(secrets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolved::{ProcessGrant, Secret};

    #[test]
    fn each_grant_has_one_wording() {
        let run = |path: Option<&str>, inherit_env| ProcessGrant {
            path: path.map(Into::into),
            inherit_env,
            cwd: None,
        };
        let http = |host: &str, port, private| HttpGrant {
            scheme: "https".into(),
            host: host.into(),
            port,
            private,
        };
        let grants = Grants {
            processes: [
                ("git".to_owned(), run(None, false)),
                ("node".to_owned(), run(Some("/usr/bin/node"), true)),
            ]
            .into(),
            http: vec![http("*.example.org", None, false), http("nas", Some(8443), true)],
            store_quota: 1536 << 10,
            secrets: [("token".to_owned(), Secret::new("hush"))].into(),
        };
        let words: Vec<String> = grants.permissions().iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "run git",
                "run node (/usr/bin/node) with your environment",
                "send requests to https://*.example.org",
                "send requests to https://nas:8443, including private addresses",
                "store up to 1536 KiB",
                "read the secret token"
            ]
        );
        assert_eq!(Permission::Store { quota: None }.to_string(), "store data");
        assert!(Grants::default().permissions().is_empty());
    }
}
