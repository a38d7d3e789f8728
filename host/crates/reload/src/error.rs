//! Why a confirmed change was not applied.

/// Why nothing, or not all, was applied. A sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplied(pub String);
