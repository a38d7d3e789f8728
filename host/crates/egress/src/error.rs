//! Why a request had no response.

/// `OutgoingError` holds a sentence for the operator in each of its variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The URL is none that the grant covers.
    #[error("{0}")]
    Denied(String),
    /// A granted host that is an address of this machine or its network, which the grant does not cover.
    #[error("{0}")]
    Private(String),
    /// The plugin's request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Nothing came in time.
    #[error("{0}")]
    Timeout(String),
    /// Nobody answered, or the answer broke off.
    #[error("{0}")]
    Unavailable(String),
}
