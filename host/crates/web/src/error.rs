//! Why a service did not do what was asked, as the web answers it.

use nexus_auth::AuthError;
use nexus_chat::ChatError;
use nexus_logging::logfile::LogError;
use nexus_reload::NotApplied;
use nexus_tunnels::TunnelError;

/// `ApiError` says why a service did not do what was asked. The text is a sentence that can be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// `NotFound`: there is no such session, tunnel or request.
    #[error("{0}")]
    NotFound(String),
    /// `Refused`: asking again gives the same answer.
    #[error("{0}")]
    Refused(String),
    /// `Unavailable`: it cannot be done now; it may be tried again.
    #[error("{0}")]
    Unavailable(String),
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unavailable(text) => Self::Unavailable(text),
            AuthError::Busy => Self::Unavailable(error.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<ChatError> for ApiError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::NotFound(text) => Self::NotFound(text),
            ChatError::Refused(text) | ChatError::Unconfirmed(text) => Self::Refused(text),
            ChatError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<TunnelError> for ApiError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Unknown(..) => Self::NotFound(error.to_string()),
            TunnelError::Store(text) => Self::Unavailable(text),
            TunnelError::Refused(text) => Self::Refused(text),
        }
    }
}

impl From<NotApplied> for ApiError {
    fn from(NotApplied(cause): NotApplied) -> Self {
        Self::Refused(cause)
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NotKept => Self::Refused(error.to_string()),
            LogError::Unreadable(_) => Self::Unavailable(error.to_string()),
        }
    }
}
