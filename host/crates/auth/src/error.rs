//! Why somebody did not come in.

use nexus_model::limits;
use nexus_model::time::Millis;
use nexus_plugin_traits::CallError;
use nexus_store::StoreError;

/// `AuthError` says why somebody did not come in. The text is for the one who asked, and tells nothing about accounts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// `BadCredential`: the account or its credential is wrong; which of both is not told. It is counted.
    #[error("The account or the password is wrong.")]
    BadCredential,
    /// `Locked`: too many wrong credentials; nothing is checked.
    #[error(
        "Too many wrong passwords. Wait until the lock ends, or run `nexus user unlock ACCOUNT` on the machine that runs \
         Nexus."
    )]
    Locked {
        /// `until` is the end of the lock.
        until: Millis,
    },
    /// `Denied`: the login plugin refuses this login, or the host what was asked for, in the words of the text. It is
    /// not counted.
    #[error("{0}")]
    Denied(String),
    /// `Rejected`: what was typed does not meet the rules.
    #[error("{cause}")]
    Rejected {
        /// `field` is the name of the field that it was typed into.
        field: String,
        /// `cause` is the rule, in a sentence.
        cause: String,
    },
    /// `Expired`: a login step is too old, was used already, or belongs to another browser.
    #[error("This page has expired. Start again.")]
    Expired,
    /// `Busy`: there are more attempts at once than are worked on.
    #[error("Too many people are logging in at the moment. Try again in a few seconds.")]
    Busy,
    /// `SetUpClosed`: the first account exists or existed.
    #[error(
        "An owner account already exists. Log in with it; to add another account, run `nexus user add` on the \
        machine that runs Nexus."
    )]
    SetUpClosed,
    /// `SetUpWrong`: this token is that of no set-up link, or of an earlier one.
    #[error("This set-up link is not valid. Use the newest link that the terminal shows.")]
    SetUpWrong,
    /// `SetUpExpired`: the set-up link is older than [`limits::SETUP_LINK`].
    #[error(
        "This set-up link has expired after {} minutes. To get a new one, restart Nexus, or run `nexus user add NAME` on \
         its machine.",
        limits::SETUP_LINK.as_secs() / 60
    )]
    SetUpExpired,
    /// `Unavailable`: the login plugin, the database or the machine cannot do it now. The text is for the operator as
    /// well.
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
