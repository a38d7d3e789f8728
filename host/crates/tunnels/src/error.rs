//! Why a tunnel did not do what was asked.

use nexus_plugin_traits::NotLoaded;
use nexus_registry::{NotKept, UnknownPlugin};
use nexus_store::StoreError;

/// `TunnelError` holds a sentence that can be shown to the operator in each of its variants.
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

impl From<StoreError> for TunnelError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<NotKept> for TunnelError {
    fn from(error: NotKept) -> Self {
        Self::Store(error.to_string())
    }
}

/// Why there is no instance of a plugin for a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotProvided {
    #[error(transparent)]
    Unknown(#[from] UnknownPlugin),
    /// No tunnel may open.
    #[error("{0}")]
    Barred(String),
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
}
