//! Why somebody did not come in.

use nexus_model::limits;
use nexus_model::time::Millis;
use nexus_plugin_traits::CallError;
use nexus_store::StoreError;

/// Why somebody did not come in. The text is for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("The account or the password is wrong.")]
    BadCredential,
    /// Too many wrong ones; milliseconds since the Unix epoch.
    #[error(
        "Too many wrong passwords. Wait until the lock ends, or run `nexus user unlock ACCOUNT` on the machine that runs \
         Nexus."
    )]
    Locked { until: Millis },
    #[error("{0}")]
    Denied(String),
    /// What was typed does not meet the rules.
    #[error("{why}")]
    Rejected { field: String, why: String },
    /// A login step that is too old, was used already, or belongs to another browser.
    #[error("This page has expired. Start again.")]
    Expired,
    /// More attempts at once than are worked on.
    #[error("Too many people are logging in at the moment. Try again in a few seconds.")]
    Busy,
    #[error(
        "An owner account already exists. Log in with it; to add another account, run `nexus user add` on the \
        machine that runs Nexus."
    )]
    SetUpClosed,
    #[error("This set-up link is not valid. Use the newest link that the terminal shows.")]
    SetUpWrong,
    #[error(
        "This set-up link has expired after {} minutes. To get a new one, restart nexus.",
        limits::SETUP_LINK.as_secs() / 60
    )]
    SetUpExpired,
    /// For the operator as well.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for AuthError {
    fn from(e: StoreError) -> Self {
        Self::Unavailable(e.to_string())
    }
}

impl From<CallError> for AuthError {
    fn from(e: CallError) -> Self {
        Self::Unavailable(e.to_string())
    }
}

impl From<getrandom::Error> for AuthError {
    fn from(e: getrandom::Error) -> Self {
        Self::Unavailable(format!("this machine does not provide random numbers: {e}"))
    }
}
