//! How an attempt to keep a tunnel open ends, and what follows from it.

use nexus_config::in_table;
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::{CallError, FailureKind, RunFailure};

/// `AttemptEnd` says why an attempt is over.
pub(super) enum AttemptEnd {
    Unwanted,
    Again {
        why: String,
        hint: Option<String>,
        pause: Pause,
    },
    Never {
        why: String,
        hint: Option<String>,
    },
}

pub(super) enum Pause {
    /// `Backoff` doubles from time to time.
    Backoff,
    /// `Long`: the other side asked for it.
    Long,
    /// `Look`: a program is missing and somebody may be installing it.
    Look,
    /// `Adopt`: the plugin crashed and its process may live on, so the page keeps showing the address.
    Adopt,
}

impl From<CallError> for AttemptEnd {
    fn from(error: CallError) -> Self {
        let why = error.to_string();
        match error {
            CallError::Denied(_) | CallError::Invalid(_) | CallError::NotFound(_) | CallError::Unsupported(_) => {
                Self::Never { why, hint: None }
            }
            CallError::Crashed(_) => Self::Again {
                why,
                hint: None,
                pause: Pause::Adopt,
            },
            CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Other(_) => Self::Again {
                why,
                hint: None,
                pause: Pause::Backoff,
            },
        }
    }
}

impl From<RunFailure> for AttemptEnd {
    fn from(failure: RunFailure) -> Self {
        let RunFailure {
            kind,
            message: why,
            hint,
        } = failure;
        match kind {
            FailureKind::Permanent => Self::Never { why, hint },
            FailureKind::RetryLater => Self::Again {
                why,
                hint,
                pause: Pause::Long,
            },
            FailureKind::Retry => Self::Again {
                why,
                hint,
                pause: Pause::Backoff,
            },
        }
    }
}

/// `no_tls` says why a tunnel of this provider is not opened, where its owner has not agreed that it has no TLS.
pub fn no_tls(tunnel: &str, title: &str) -> Trouble {
    let why = format!("{title} has no TLS, so passwords and cookies would be sent unencrypted.");
    Trouble::new(format!("tunnel {tunnel}"), why, accept_plaintext(tunnel))
}

pub(super) fn accept_plaintext(tunnel: &str) -> String {
    let set = in_table(&format!("tunnel.{tunnel}"), "allow_plaintext = true");
    format!("if you accept this, {set}")
}
