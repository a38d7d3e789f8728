//! The first account. Open only while no user *ever* existed, and only to who reads the terminal: a token of 256 bits,
//! of which only the hash is kept, for 15 minutes, for one use.

use super::hashing::Who;
use super::{Account, AuthError, AuthService, Client, NewLogin};
use nexus_model::digest::sha256;
use nexus_model::limits::SETUP_LINK;
use nexus_model::time::Millis;
use nexus_plugin_traits::auth::{Field, Input, Outcome};
use nexus_store::accounts::{Taken, User};
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;

#[derive(Default)]
pub(super) struct SetUp(Mutex<Option<Link>>);

struct Link {
    hash: [u8; 32],
    expires: Millis,
}

impl SetUp {
    fn check(&self, token: &str, now: Millis) -> Result<(), AuthError> {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let link = link.as_ref().ok_or(AuthError::SetUpWrong)?;
        if !bool::from(link.hash.ct_eq(&sha256(&[token.as_bytes()]))) {
            return Err(AuthError::SetUpWrong);
        }
        if link.expires <= now {
            Err(AuthError::SetUpExpired)
        } else {
            Ok(())
        }
    }

    fn replace(&self, link: Option<Link>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }
}

impl AuthService {
    /// Whether the first account is still to be made.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_open(&self) -> Result<bool, AuthError> {
        Ok(!self.store.any_user_ever().await?)
    }

    /// A new token for the set-up link, in place of the one before; none: set-up is over. Belongs into the link's
    /// fragment, on the terminal, and nowhere else.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_link_token(&self) -> Result<Option<String>, AuthError> {
        if !self.setup_open().await? {
            return Ok(None);
        }
        let token = nexus_model::time::random_token()?;
        let expires = self.clock.now().saturating_add(super::millis(SETUP_LINK));
        self.setup.replace(Some(Link {
            hash: sha256(&[token.as_bytes()]),
            expires,
        }));
        Ok(Some(token))
    }

    /// Whether a set-up link that was printed is still good.
    pub fn setup_link_open(&self) -> bool {
        let link = self.setup.0.lock().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().is_some_and(|link| link.expires > self.clock.now())
    }

    /// Whether the link may be used now; using it is [`AuthService::setup`].
    ///
    /// # Errors
    /// [`AuthError::SetUpClosed`], [`AuthError::SetUpWrong`], [`AuthError::SetUpExpired`].
    pub async fn setup_check(&self, token: &str) -> Result<(), AuthError> {
        if !self.setup_open().await? {
            return Err(AuthError::SetUpClosed);
        }
        self.setup.check(token, self.clock.now())
    }

    /// The fields of the form that makes an account, its name not among them.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn enrol_fields(&self) -> Result<Vec<Field>, AuthError> {
        Ok(self.provider.enrol_fields().await?)
    }

    /// Makes the owner's account and logs it in. The link stays good while what was typed is rejected.
    ///
    /// # Errors
    /// As [`AuthService::setup_check`]; [`AuthError::Rejected`].
    pub async fn setup(
        &self,
        token: &str,
        account: &str,
        input: Input,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        if let Err(error) = self.setup_check(token).await {
            tracing::warn!(target: "audit", event = "set-up-refused", place = client.place, peer = client.peer, %error);
            return Err(error);
        }
        let account = Account::parse(account, "account")?;
        let _one = self.enrolment.lock().await;
        self.setup_check(token).await?; // somebody else may have been first
        let who = Who {
            place: client.place.clone(),
            network: nexus_logging::audit::network(&client.peer),
            // Who has the link has read the terminal.
            known: true,
        };
        let _permit = self.hashing.permit(who).await?;
        let user = self.enrol(&account, input, true).await?;
        self.setup.replace(None);
        tracing::info!(target: "audit", event = "set-up", account = account.as_str(), place = client.place, peer = client.peer);
        self.new_login(user, None, client).await
    }

    /// The plugin's credential, then the host's user.
    pub(super) async fn enrol(&self, account: &Account, input: Input, first: bool) -> Result<User, AuthError> {
        let subject = match self.provider.enrol(account.as_str(), input).await? {
            Outcome::Done { subject } => subject,
            Outcome::Rejected { field, why } => return Err(AuthError::Rejected { field, why }),
            Outcome::BadCredential => return Err(AuthError::BadCredential),
        };
        let plugin = self.provider.name();
        match self
            .store
            .add_user(account.as_str(), plugin, &subject, first, self.clock.now())
            .await
        {
            Ok(Ok(user)) => Ok(user),
            refused => {
                // Without a user the credential opens nothing; taken back so that the next attempt finds the name free.
                if self.store.user_by_identity(plugin, &subject).await?.is_none()
                    && let Err(e) = self.provider.remove(&subject).await
                {
                    tracing::warn!(error = %e, "a credential without a user is left in the auth plugin's store");
                }
                match refused? {
                    Err(Taken::SetUp) => Err(AuthError::SetUpClosed),
                    _ => Err(taken()),
                }
            }
        }
    }
}

pub(super) fn taken() -> AuthError {
    AuthError::Rejected {
        field: "account".into(),
        why: "This account exists already.".into(),
    }
}
