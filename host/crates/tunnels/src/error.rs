//! Why a tunnel did not do what was asked.

/// `TunnelError` holds a sentence fit to be shown to the operator in each of its variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// `Unknown` names the tunnel that is not there, and those that are.
    #[error("there is no tunnel `{0}`; configured tunnels: {1}")]
    Unknown(String, String),
    /// `Store`: the database could not keep what was asked. What could be done without it is done.
    #[error("{0}")]
    Store(String),
    /// `Refused`: it cannot be done now, and nothing has changed: a swap is under way, or the other plugin cannot be
    /// used.
    #[error("{0}")]
    Refused(String),
}
