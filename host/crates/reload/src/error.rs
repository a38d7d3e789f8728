//! Why a confirmed change was not applied.

/// `NotApplied` says why nothing, or not all, was applied: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplied(pub String);
