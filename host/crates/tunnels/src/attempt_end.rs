//! How an attempt to keep a tunnel open ends, and what follows from it.

use nexus_config::in_table;
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::{CallError, FailureKind, RunFailure};

/// `AttemptEnd` says why an attempt is over.
pub(super) enum AttemptEnd {
    Unwanted,
    Retry {
        cause: String,
        fix: Option<String>,
        pause: Pause,
    },
    Fatal {
        cause: String,
        fix: Option<String>,
    },
}

pub(super) enum Pause {
    /// `Backoff` doubles from time to time.
    Backoff,
    /// `Long`: the other side asked for it.
    Long,
    /// `AwaitInstall`: a program is missing and somebody may be installing it.
    AwaitInstall,
    /// `Adopt`: the plugin crashed and its process may live on, so the page keeps showing the address.
    Adopt,
}

impl From<CallError> for AttemptEnd {
    fn from(error: CallError) -> Self {
        let cause = error.to_string();
        match error {
            CallError::Denied(_) | CallError::Invalid(_) | CallError::NotFound(_) | CallError::Unsupported(_) => {
                Self::Fatal { cause, fix: None }
            }
            CallError::Crashed(_) => Self::Retry {
                cause,
                fix: None,
                pause: Pause::Adopt,
            },
            CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Other(_) => Self::Retry {
                cause,
                fix: None,
                pause: Pause::Backoff,
            },
        }
    }
}

impl From<RunFailure> for AttemptEnd {
    fn from(failure: RunFailure) -> Self {
        let RunFailure { kind, cause, fix } = failure;
        match kind {
            FailureKind::Permanent => Self::Fatal { cause, fix },
            FailureKind::RetryLater => Self::Retry {
                cause,
                fix,
                pause: Pause::Long,
            },
            FailureKind::Retry => Self::Retry {
                cause,
                fix,
                pause: Pause::Backoff,
            },
        }
    }
}

/// `no_tls` says why a tunnel of this provider is not opened, where its owner has not agreed that it has no TLS.
pub fn no_tls(tunnel: &str, title: &str) -> Trouble {
    let cause = format!("{title} has no TLS, so passwords and cookies would be sent unencrypted.");
    Trouble::new(format!("tunnel {tunnel}"), cause, accept_plaintext(tunnel))
}

pub(super) fn accept_plaintext(tunnel: &str) -> String {
    let set = in_table(&format!("tunnel.{tunnel}"), "allow_plaintext = true");
    format!("if you accept this, {set}")
}
