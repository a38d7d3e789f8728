//! Why a process was not started, found, fed or stopped.

/// `ProcessError` holds a sentence for the operator in each of its variants: the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// What was asked for is wrong, or too much; asking again changes nothing.
    #[error("{0}")]
    Invalid(String),
    /// No process has this name.
    #[error("{0}")]
    NotFound(String),
    /// It did not happen in time.
    #[error("{0}")]
    Timeout(String),
    /// The machine does not give it: no such program, no disk, no process.
    #[error("{0}")]
    Unavailable(String),
    /// The caller may not.
    #[error("{0}")]
    Denied(String),
    /// What must not be there is there; see [`crate::Spec::unless`].
    #[error("{0}")]
    Present(String),
}
