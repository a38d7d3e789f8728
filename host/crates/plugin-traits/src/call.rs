//! One call into a plugin, and why it gave no answer.

use futures::future::BoxFuture;

/// `CallError` says why a call into a plugin gave no answer. The text is a sentence that can be shown to the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// `Denied`: the plugin refuses it by its own rules.
    #[error("{0}")]
    Denied(String),
    /// `Invalid`: what the plugin was given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// `NotFound`: what was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// `Timeout`: there was no answer within the plugin's limit. Whether the call had an effect is not known.
    #[error("{0}")]
    Timeout(String),
    /// `Unavailable`: the plugin, or what it needs, is not up now; the call may be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// `Crashed`: the plugin crashed during the call. Whether the call had an effect is not known.
    #[error("the plugin crashed during the call: {0}")]
    Crashed(String),
    /// `Unsupported`: the plugin has no such optional interface.
    #[error("the plugin cannot {0}")]
    Unsupported(&'static str),
    /// `Other` is an error of the plugin that fits none of these.
    #[error("{0}")]
    Other(String),
}

/// `Call` is one call into a plugin, which ends within the plugin's own limit of time.
pub type Call<'a, T> = BoxFuture<'a, Result<T, CallError>>;
