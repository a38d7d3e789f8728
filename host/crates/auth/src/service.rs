//! The service itself: what it holds. What it does is in the files beside this one.

use crate::client::{Client, place_in_words};
use crate::error::AuthError;
use crate::form_token::FormTokens;
use crate::hash_queue::HashQueue;
use crate::installation_key::Keys;
use crate::setup_link::SetupLink;
use nexus_config::resolved;
use nexus_model::activity::{Activity, Tone};
use nexus_model::time::{Clock, Millis, millis};
use nexus_plugin_traits::AuthProvider;
use nexus_plugin_traits::auth::Method;
use nexus_store::Store;
use nexus_store::lockout::Policy;
use nexus_store::logins::LoginId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Somebody gave too many wrong credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// Where the last one came in, and from whom.
    pub place: String,
    pub peer: String,
    pub until: Millis,
}

pub struct AuthService {
    pub(super) provider: Arc<dyn AuthProvider>,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: resolved::Auth,
    pub(super) keys: Keys,
    pub(super) form_tokens: FormTokens,
    pub(super) hashing: HashQueue,
    pub(super) setup_link: SetupLink,
    pub(super) revoked: broadcast::Sender<LoginId>,
    pub(super) lockouts: broadcast::Sender<Lockout>,
    /// Enrollment is two steps (the plugin's credential, the host's user): one at a time.
    pub(super) enrollment: tokio::sync::Mutex<()>,
    pub(super) has_account: watch::Sender<bool>,
    activity: Arc<dyn Activity>,
}

impl AuthService {
    /// # Errors
    /// Where the database cannot be used.
    pub async fn open(
        provider: Arc<dyn AuthProvider>,
        store: Store,
        clock: Arc<dyn Clock>,
        config: resolved::Auth,
        activity: Arc<dyn Activity>,
    ) -> Result<Self, AuthError> {
        let has_account = store.any_user_ever().await?;
        Ok(Self {
            provider,
            keys: Keys::load(&store).await?,
            store,
            clock,
            config,
            form_tokens: FormTokens::new()?,
            hashing: HashQueue::default(),
            setup_link: SetupLink::default(),
            revoked: broadcast::Sender::new(64),
            lockouts: broadcast::Sender::new(16),
            enrollment: tokio::sync::Mutex::default(),
            has_account: watch::Sender::new(has_account),
            activity,
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

    /// Whether an account was ever made; changes are seen at once.
    pub fn has_account(&self) -> watch::Receiver<bool> {
        self.has_account.subscribe()
    }

    /// How long a browser may keep the token of a login.
    pub fn session_lifetime(&self) -> Duration {
        self.config.session_absolute
    }

    /// What the owner wants to find on the page; the audit log has all of it.
    pub(super) fn note(&self, client: &Client, tone: Tone, what: &str) {
        let text = format!("{what}, from {} ({})", client.peer, place_in_words(&client.place));
        self.activity.note("login", tone, &text);
    }

    /// How many wrong passwords lock an account.
    pub fn lockout_failures(&self) -> u32 {
        self.config.lockout_failures
    }

    pub(super) fn lockout(&self) -> Policy {
        Policy {
            failures: self.config.lockout_failures,
            lock: millis(self.config.lockout),
        }
    }
}
