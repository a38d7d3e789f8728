//! Why a request had no response.

/// `OutgoingError` holds a sentence for the operator in each of its variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// `Denied`: the grant does not cover the URL.
    #[error("{0}")]
    Denied(String),
    /// `Private`: the host is granted, but is an address of this machine or its network, which the grant does not
    /// cover.
    #[error("{0}")]
    Private(String),
    /// `Invalid`: the plugin's request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// `Timeout`: nothing came in time.
    #[error("{0}")]
    Timeout(String),
    /// `Unavailable`: nobody answered, or the answer broke off.
    #[error("{0}")]
    Unavailable(String),
}
