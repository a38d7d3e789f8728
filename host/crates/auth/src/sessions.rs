//! Login sessions: made, checked, listed, revoked. Whoever holds something open for a login waits for
//! [`AuthService::revoked`] beside it.

use crate::client::Client;
use crate::devices::AGENT;
use crate::error::AuthError;
use crate::service::AuthService;
use nexus_model::digest::sha256;
use nexus_model::limits::KNOWN_DEVICE;
use nexus_model::time::millis;
use nexus_store::accounts::User;
use nexus_store::logins::{Login, LoginId, Which};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// `TOUCH` is the time within which another use of a session is not written down.
const TOUCH: Duration = Duration::from_secs(60);
/// `POLL_INTERVAL` is how often an open connection's login is looked up: for what another process (`nexus user passwd`) or the
/// time did.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const CSRF: &str = "csrf";

/// `NewLogin` is what a browser gets after a login. `Debug` shows the login only.
pub struct NewLogin {
    /// `token` is for the session's cookie. It is nowhere else.
    pub token: String,
    /// `device` is for the device's cookie.
    pub device: String,
    /// `login` is the login as the database has it.
    pub login: Login,
}

impl std::fmt::Debug for NewLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewLogin")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// `Session` is a valid login of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `login` is the login that the request carried.
    pub login: Login,
    /// `csrf` is the token for the forms and scripts of this login.
    pub csrf: String,
}

impl Session {
    /// `id` names the login: it is no secret, and fit for a log.
    pub fn id(&self) -> &str {
        &self.login.id
    }
    /// `account` is the account's name, for people.
    pub fn account(&self) -> &str {
        &self.login.user.account
    }
}

/// `key` is what the store knows of a token: with the place where it was made and whose program made it, so that it is
/// worth nothing at another, or for others.
fn key(place: &str, holder: &str, token: &str) -> [u8; 32] {
    let length = u64::try_from(place.len()).unwrap_or(u64::MAX);
    // No token has a zero byte, so this is never taken for the end of one.
    let between: &[u8] = if holder.is_empty() { b"" } else { b"\0" };
    sha256(&[
        &length.to_le_bytes(),
        place.as_bytes(),
        token.as_bytes(),
        between,
        holder.as_bytes(),
    ])
}

impl AuthService {
    pub(super) async fn new_login(
        &self,
        user: User,
        device: Option<String>,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        let now = self.clock.now();
        let token = nexus_model::random::random_token()?;
        let (id, device) = self.device(&user, device, client).await?;
        let login = Login {
            id: nexus_model::random::random_token()?,
            user,
            created_at: now,
            used_at: now,
            checked_at: now,
            peer: client.peer.clone(),
            agent: client.agent.chars().take(AGENT).collect(),
            place: client.place.clone(),
            device: id,
        };
        let key = key(&client.place, &client.holder, &token);
        let replaced = self.store.add_login(key, login.clone()).await?;
        self.ended(&login.user.account, replaced);
        Ok(NewLogin { token, device, login })
    }

    /// Finds the login whose token the cookie is, and notes its use. `None`: the token is nobody's any more, of another
    /// place, or of others' programs.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`]: nobody may be let in.
    pub async fn authenticate(&self, place: &str, holder: &str, token: &str) -> Result<Option<Login>, AuthError> {
        let Some(login) = self.store.login(key(place, holder, token)).await? else {
            return Ok(None);
        };
        if self.expired(&login) {
            self.revoke(&login, Which::One(login.id.clone())).await?;
            return Ok(None);
        }
        let now = self.clock.now();
        if now.saturating_sub(login.used_at) >= millis(TOUCH)
            && let Err(e) = self.store.touch_login(&login.id, now).await
        {
            // A full disk does not throw the owner out.
            tracing::warn!(error = %e, "cannot save the last use of a login");
        }
        Ok(Some(login))
    }

    /// Does as [`Self::authenticate`], and adds the token of the login's forms.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`]: nobody may be let in.
    pub async fn session(&self, place: &str, holder: &str, token: &str) -> Result<Option<Session>, AuthError> {
        let Some(login) = self.authenticate(place, holder, token).await? else {
            return Ok(None);
        };
        Ok(Some(Session {
            csrf: self.csrf_token(&login),
            login,
        }))
    }

    /// Finds the login with this id, if it is still good. That is no use of it.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn login_by_id(&self, id: &str) -> Result<Option<Login>, AuthError> {
        Ok(self.store.login_by_id(id).await?.filter(|login| !self.expired(login)))
    }

    pub(super) fn expired(&self, login: &Login) -> bool {
        let now = self.clock.now();
        now.saturating_sub(login.used_at) >= millis(self.config.session_idle)
            || now.saturating_sub(login.created_at) >= millis(self.config.session_absolute)
    }

    /// Tells whether the user showed a credential within the last `within`: for what needs a fresh login.
    pub fn is_fresh(&self, login: &Login, within: Duration) -> bool {
        self.clock.now().saturating_sub(login.checked_at) < millis(within)
    }

    /// `csrf_token` is what forms and scripts of this session send.
    pub fn csrf_token(&self, login: &Login) -> String {
        self.keys.sign(CSRF, &login.id)
    }

    /// Lists the user's logins, the most recently used first.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn logins(&self, login: &Login) -> Result<Vec<Login>, AuthError> {
        Ok(self
            .store
            .logins(login.user.id)
            .await?
            .into_iter()
            .filter(|login| !self.expired(login))
            .collect())
    }

    /// Ends the login itself.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn logout(&self, login: &Login) -> Result<(), AuthError> {
        tracing::info!(target: "audit", event = "logout", account = login.user.account);
        self.revoke(login, Which::One(login.id.clone())).await
    }

    /// Ends all other logins of this user. Returns how many there were.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn logout_others(&self, login: &Login) -> Result<usize, AuthError> {
        let others = self.logins(login).await?.len().saturating_sub(1);
        self.revoke(login, Which::AllBut(login.id.clone())).await?;
        Ok(others)
    }

    /// Ends logins of the same user; connections that hang on them end at once.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn revoke(&self, login: &Login, which: Which) -> Result<(), AuthError> {
        self.revoke_of(&login.user, which).await
    }

    pub(super) async fn revoke_of(&self, user: &User, which: Which) -> Result<(), AuthError> {
        self.ended(&user.account, self.store.remove_logins(user.id, which).await?);
        Ok(())
    }

    /// Closes what is open for logins that are gone.
    pub(super) fn ended(&self, account: &str, logins: Vec<LoginId>) {
        for id in logins {
            tracing::info!(target: "audit", event = "login_revoked", account, login = id);
            let _ = self.revoked.send(id); // nothing is open
        }
    }

    /// Waits until the login is over: revoked, logged out or expired, here or by another process.
    pub async fn revoked(&self, id: &str) {
        let mut revoked = self.revoked.subscribe();
        loop {
            // A database that cannot be read now decides nothing about a connection that was let in.
            if let Ok(found) = self.store.login_by_id(id).await
                && found.is_none_or(|login| self.expired(&login))
            {
                return;
            }
            let look = tokio::time::sleep(POLL_INTERVAL);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    () = &mut look => break,
                    ended = revoked.recv() => match ended {
                        Ok(ended) if ended == id => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_) | RecvError::Closed) => break,
                    },
                }
            }
        }
    }

    /// Removes what has expired. It is called now and then.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn sweep(&self) -> Result<(), AuthError> {
        let now = self.clock.now();
        let idle = now.saturating_sub(millis(self.config.session_idle));
        let absolute = now.saturating_sub(millis(self.config.session_absolute));
        self.store
            .expire_devices(now.saturating_sub(millis(KNOWN_DEVICE)))
            .await?;
        for id in self.store.expire_logins(idle, absolute).await? {
            let _ = self.revoked.send(id); // nothing is open
        }
        Ok(())
    }
}
