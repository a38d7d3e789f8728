//! Why a process was not started, found, fed or stopped.

/// `ProcessError` holds a sentence for the operator in each of its variants: the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// `Invalid`: what was asked for is wrong, or too much; asking again changes nothing.
    #[error("{0}")]
    Invalid(String),
    /// `NotFound`: no process has this name.
    #[error("{0}")]
    NotFound(String),
    /// `Timeout`: it did not happen in time.
    #[error("{0}")]
    Timeout(String),
    /// `Unavailable`: the machine does not give it: no such program, no disk, no process.
    #[error("{0}")]
    Unavailable(String),
    /// `Denied`: the caller may not do this.
    #[error("{0}")]
    Denied(String),
    /// `Present`: what must not be there is there; see [`crate::Spec::unless`].
    #[error("{0}")]
    Present(String),
}
