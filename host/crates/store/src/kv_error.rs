//! Why a plugin's key was not read or written.

use crate::error::StoreError;

/// `KvError` holds a sentence for the operator in each of its variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// `Full`: the value would exceed the plugin's quota, or the number of its keys.
    #[error("{0}")]
    Full(String),
    /// `Invalid`: the key is empty or too long.
    #[error("{0}")]
    Invalid(String),
    /// `Unavailable`: the database cannot be read or written.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for KvError {
    fn from(e: StoreError) -> Self {
        Self::Unavailable(e.to_string())
    }
}
