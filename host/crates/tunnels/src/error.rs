//! Why a tunnel did not do what was asked.

/// A sentence fit to be shown to the operator each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    #[error("there is no tunnel `{0}`; configured tunnels: {1}")]
    Unknown(String, String),
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Refused(String),
}
