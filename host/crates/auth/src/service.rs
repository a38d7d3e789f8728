//! The service itself: what it holds. What it does is in the files beside this one.

use crate::client::{Client, place_in_words};
use crate::error::AuthError;
use crate::form_token::FormTokens;
use crate::hash_queue::HashQueue;
use crate::installation_key::Keys;
use crate::known_tokens::KnownTokens;
use crate::setup_link::SetupLink;
use nexus_config::resolved;
use nexus_model::activity::Severity;
use nexus_model::time::{Clock, Millis, millis};
use nexus_plugin_traits::AuthProvider;
use nexus_plugin_traits::auth::Method;
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use nexus_store::lockout::Policy;
use nexus_store::logins::LoginId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// `Lockout` says that somebody gave too many wrong credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// `place` is where the last one came in.
    pub place: String,
    /// `peer` is the address that it came from.
    pub peer: String,
    /// `until` is the end of the lock.
    pub until: Millis,
}

/// `AuthService` logs people in and out, and keeps their accounts, logins and devices. The web layer and the commands
/// for the operator share it.
pub struct AuthService {
    pub(super) provider: Arc<dyn AuthProvider>,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: resolved::Auth,
    pub(super) keys: Keys,
    /// `methods` are the ways to log in, once they are known: they depend on the configuration alone.
    methods: tokio::sync::OnceCell<Vec<Method>>,
    pub(super) form_tokens: FormTokens,
    pub(super) known_tokens: KnownTokens,
    pub(super) hashing: HashQueue,
    pub(super) setup_link: SetupLink,
    pub(super) revoked: broadcast::Sender<LoginId>,
    pub(super) lockouts: broadcast::Sender<Lockout>,
    /// `enrollment` is held by one at a time: enrollment is two steps, the plugin's credential and the host's user.
    pub(super) enrollment: tokio::sync::Mutex<()>,
    pub(super) has_account: watch::Sender<bool>,
    activity: Arc<ActivityLog>,
}

impl AuthService {
    /// Opens the service on its database. `provider` is the login plugin, `activity` the list of notes on the status
    /// page.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn open(
        provider: Arc<dyn AuthProvider>,
        store: Store,
        clock: Arc<dyn Clock>,
        config: resolved::Auth,
        activity: Arc<ActivityLog>,
    ) -> Result<Self, AuthError> {
        let has_account = store.any_user_ever().await?;
        Ok(Self {
            provider,
            keys: Keys::load(&store).await?,
            store,
            clock,
            config,
            methods: tokio::sync::OnceCell::new(),
            form_tokens: FormTokens::new()?,
            known_tokens: KnownTokens::default(),
            hashing: HashQueue::default(),
            setup_link: SetupLink::default(),
            revoked: broadcast::Sender::new(64),
            lockouts: broadcast::Sender::new(16),
            enrollment: tokio::sync::Mutex::default(),
            has_account: watch::Sender::new(has_account),
            activity,
        })
    }

    /// `methods` are the ways to log in.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn methods(&self) -> Result<&[Method], AuthError> {
        let known = self.methods.get_or_try_init(|| self.provider.methods()).await?;
        Ok(known)
    }

    /// `lockouts` has one message each time that one more wrong credential locks an account, and none when somebody
    /// goes on trying.
    pub fn lockouts(&self) -> broadcast::Receiver<Lockout> {
        self.lockouts.subscribe()
    }

    /// Tells whether an account was ever made; changes are seen at once.
    pub fn has_account(&self) -> watch::Receiver<bool> {
        self.has_account.subscribe()
    }

    /// `bars_tunnels` says why no tunnel may open, where that is so: nobody could log in behind it.
    pub fn bars_tunnels(&self) -> Option<String> {
        let trouble = self.provider.broken()?;
        Some(format!("no tunnel is opened because nobody can log in: the {trouble}"))
    }

    /// `session_lifetime` is how long a browser may keep the token of a login.
    pub fn session_lifetime(&self) -> Duration {
        self.config.session_absolute
    }

    /// Notes what the owner wants to find on the page; the audit log has all of it.
    pub(super) fn note(&self, client: &Client, severity: Severity, what: &str) {
        let text = format!("{what}, from {} ({})", client.peer, place_in_words(&client.place));
        self.activity.note("login", severity, &text);
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
