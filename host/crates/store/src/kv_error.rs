//! Why a plugin's key was not read or written.

use crate::error::StoreError;

/// `KvError` holds a sentence for the operator in each of its variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Over the quota.
    #[error("{0}")]
    Full(String),
    /// The key is none.
    #[error("{0}")]
    Invalid(String),
    /// The database does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for KvError {
    fn from(e: StoreError) -> Self {
        Self::Unavailable(e.to_string())
    }
}
