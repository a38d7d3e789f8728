//! Who may come in. Users, login sessions, lockout, rate limits and the audit trail are the host's; a plugin only turns
//! what was shown into a subject, so that swapping it can drop none of them.
//!
//! Everything is read from the database at each check and nothing is cached: `nexus user passwd` works while the host
//! runs. Audit events are logged under the target `audit`; none has a secret in it.

mod access;
mod account;
mod device;
mod hashing;
mod keys;
mod login;
mod operator;
mod seal;
mod sessions;
mod setup;

pub use access::{Access, End};
pub use account::Account;
pub use login::{Client, Page, Progress};
pub use nexus_store::logins::{Device, Login, LoginId};
pub use operator::Listed;
pub use sessions::NewLogin;

use nexus_config::resolved;
use nexus_model::time::{Clock, Millis};
use nexus_plugin_traits::{AuthProvider, CallError, auth::Method};
use nexus_store::{Store, StoreError, lockout::Policy};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Why somebody did not come in. The text is for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("The account or the password is wrong.")]
    BadCredential,
    /// Too many wrong ones; milliseconds since the epoch.
    #[error("Too many wrong attempts. Wait until the lock is over, or run `nexus user unlock ACCOUNT` on the machine.")]
    Locked { until: Millis },
    #[error("{0}")]
    Denied(String),
    /// What was typed does not meet the rules.
    #[error("{why}")]
    Rejected { field: String, why: String },
    /// A login step that is too old, was used already, or belongs to another browser.
    #[error("This page is too old. Start again.")]
    Expired,
    /// More attempts at once than are worked on.
    #[error("Too many people log in at this moment. Try again in a few seconds.")]
    Busy,
    #[error("An owner exists already. Log in; `nexus user add` on the machine adds another account.")]
    SetUpClosed,
    #[error("This set-up link is not valid: use the newest one that the terminal shows.")]
    SetUpWrong,
    #[error("This set-up link is older than 15 minutes. Start nexus again for a new one.")]
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
        Self::Unavailable(format!("this machine gives no random numbers: {e}"))
    }
}

/// Somebody gave too many wrong credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// Where the last one came in, and from whom.
    pub place: String,
    pub peer: String,
    pub until: Millis,
}

pub struct AuthService {
    provider: Arc<dyn AuthProvider>,
    store: Store,
    clock: Arc<dyn Clock>,
    config: resolved::Auth,
    keys: keys::Keys,
    seal: seal::Seal,
    hashing: hashing::Hashing,
    setup: setup::SetUp,
    revoked: broadcast::Sender<LoginId>,
    lockouts: broadcast::Sender<Lockout>,
    /// Enrolment is two steps (the plugin's credential, the host's user): one at a time.
    enrolment: tokio::sync::Mutex<()>,
}

impl AuthService {
    /// # Errors
    /// Where the database cannot be used.
    pub async fn open(
        provider: Arc<dyn AuthProvider>,
        store: Store,
        clock: Arc<dyn Clock>,
        config: resolved::Auth,
    ) -> Result<Self, AuthError> {
        Ok(Self {
            provider,
            keys: keys::Keys::load(&store).await?,
            store,
            clock,
            config,
            seal: seal::Seal::new()?,
            hashing: hashing::Hashing::default(),
            setup: setup::SetUp::default(),
            revoked: broadcast::Sender::new(64),
            lockouts: broadcast::Sender::new(16),
            enrolment: tokio::sync::Mutex::default(),
        })
    }

    /// The ways to log in.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn methods(&self) -> Result<Vec<Method>, AuthError> {
        Ok(self.provider.methods().await?)
    }

    /// Each time that one more wrong credential locks an account, and not when somebody goes on trying.
    pub fn lockouts(&self) -> broadcast::Receiver<Lockout> {
        self.lockouts.subscribe()
    }

    fn lockout(&self) -> Policy {
        Policy {
            failures: self.config.lockout_failures,
            lock: millis(self.config.lockout),
        }
    }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
