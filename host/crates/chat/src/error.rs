//! Why the chat service did not do what was asked.

use nexus_plugin_traits::CallError;
use nexus_store::StoreError;

/// `ChatError` says why the service did not do what was asked. The text is a sentence that can be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// `NotFound`: there is no such session, message or request.
    #[error("{0}")]
    NotFound(String),
    /// `Refused`: asking again gives the same answer.
    #[error("{0}")]
    Refused(String),
    /// `Unconfirmed`: it is not known whether the backend has the prompt; sending it again by itself could do harm.
    #[error("{0}")]
    Unconfirmed(String),
    /// `Unavailable`: it cannot be done now; it may be tried again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for ChatError {
    fn from(error: StoreError) -> Self {
        match error {
            // A record that cannot be read is so the next time too.
            StoreError::Database(_) => Self::Refused(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<CallError> for ChatError {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::NotFound(_) => Self::NotFound(text),
            CallError::Denied(_) | CallError::Invalid(_) | CallError::Unsupported(_) => Self::Refused(text),
            CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Crashed(_) | CallError::Other(_) => {
                Self::Unavailable(text)
            }
        }
    }
}
