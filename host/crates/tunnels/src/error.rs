//! Why a tunnel did not do what was asked.

use nexus_plugin_traits::NotLoaded;
use nexus_registry::{NotKept, UnknownPlugin};
use nexus_store::StoreError;

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
