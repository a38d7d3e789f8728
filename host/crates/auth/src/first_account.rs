//! The first account. Open only while no user *ever* existed, and only to who reads the terminal: a token of 256 bits,
//! of which only the hash is kept, for 15 minutes, for one use.

use crate::account_name::Account;
use crate::client::Client;
use crate::error::AuthError;
use crate::hash_queue::Applicant;
use crate::run_to_end::run_to_end;
use crate::service::AuthService;
use crate::sessions::NewLogin;
use nexus_model::activity::Severity;
use nexus_model::limits::SETUP_LINK;
use nexus_model::time::millis;
use nexus_plugin_traits::auth::{Field, Input, Outcome};
use nexus_store::accounts::{NameTaken, User};
use std::sync::Arc;

/// `FirstAccount` says whether the first account was made, so that somebody can log in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstAccount {
    /// `Present`: it was made, and set-up is over for ever.
    Present,
    /// `Missing`: no user ever existed.
    Missing {
        /// `link_open` says that a set-up link that was printed is still good.
        link_open: bool,
    },
}

impl AuthService {
    /// Tells whether the first account is still to be made.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_open(&self) -> Result<bool, AuthError> {
        Ok(!self.store.any_user_ever().await?)
    }

    /// Makes a new token for the set-up link, in place of the one before; `None`: set-up is over, or the login plugin, which
    /// would make the account, cannot be used. The token belongs into the link's fragment, on the terminal, and nowhere
    /// else.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn setup_link_token(&self) -> Result<Option<String>, AuthError> {
        if self.provider.broken().is_some() || !self.setup_open().await? {
            return Ok(None);
        }
        let token = nexus_model::random::random_token()?;
        let expires = self.clock.now().saturating_add(millis(SETUP_LINK));
        self.setup_link.set(&token, expires);
        Ok(Some(token))
    }

    /// Tells whether a set-up link that was printed is still good.
    pub fn setup_link_open(&self) -> bool {
        self.setup_link.is_open(self.clock.now())
    }

    /// Checks whether the link may be used now; using it is [`AuthService::setup`].
    ///
    /// # Errors
    /// [`AuthError::SetUpClosed`], [`AuthError::SetUpWrong`], [`AuthError::SetUpExpired`].
    pub async fn setup_check(&self, token: &str) -> Result<(), AuthError> {
        if !self.setup_open().await? {
            return Err(AuthError::SetUpClosed);
        }
        self.setup_link.check(token, self.clock.now())
    }

    /// `enroll_fields` are those of the form that makes an account; its name is not among them.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn enroll_fields(&self) -> Result<Vec<Field>, AuthError> {
        Ok(self.provider.enroll_fields().await?)
    }

    /// Tells whether the first account was made, and whether it can be.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn first_account(&self) -> Result<FirstAccount, AuthError> {
        Ok(if self.setup_open().await? {
            FirstAccount::Missing {
                link_open: self.setup_link_open(),
            }
        } else {
            FirstAccount::Present
        })
    }

    /// Makes the owner's account and logs it in. The link stays good while what was typed is rejected. Runs to its end even
    /// if the browser goes away.
    ///
    /// # Errors
    /// As [`AuthService::setup_check`]; [`AuthError::Rejected`].
    pub async fn setup(
        self: &Arc<Self>,
        token: &str,
        account: &str,
        input: Input,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        let (auth, client) = (Arc::clone(self), client.clone());
        let (token, account) = (token.to_owned(), account.to_owned());
        run_to_end(async move { auth.make_owner(&token, &account, input, &client).await }).await
    }

    async fn make_owner(
        &self,
        token: &str,
        account: &str,
        input: Input,
        client: &Client,
    ) -> Result<NewLogin, AuthError> {
        if let Err(error) = self.setup_check(token).await {
            tracing::warn!(target: "audit", event = "first_account_refused", place = client.place, peer = client.peer, %error);
            return Err(error);
        }
        let account = Account::parse(account, "account")?;
        let _one = self.enrollment.lock().await;
        self.setup_check(token).await?; // somebody else may have been first
        let who = Applicant {
            place: client.place.clone(),
            network: nexus_logging::audit::network(&client.peer),
            // Who has the link has read the terminal.
            known: true,
        };
        let _permit = self.hashing.permit(who).await?;
        let user = self.enroll(&account, input, true).await?;
        self.setup_link.clear();
        tracing::info!(target: "audit", event = "first_account_added", account = account.as_str(), place = client.place, peer = client.peer);
        self.has_account.send_replace(true);
        self.note(client, Severity::Ok, "the owner account was created");
        self.new_login(user, None, client).await
    }

    /// Makes the plugin's credential, then the host's user.
    pub(super) async fn enroll(&self, account: &Account, input: Input, first: bool) -> Result<User, AuthError> {
        let subject = match self.provider.enroll(account.as_str(), input).await? {
            Outcome::Done { subject } => subject,
            Outcome::Rejected { field, cause } => return Err(AuthError::Rejected { field, cause }),
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
                    tracing::warn!(error = %e, "a credential without a user remains in the auth plugin's store");
                }
                match refused? {
                    Err(NameTaken::SetUp) => Err(AuthError::SetUpClosed),
                    _ => Err(taken(account.as_str())),
                }
            }
        }
    }
}

pub(super) fn taken(account: &str) -> AuthError {
    AuthError::Rejected {
        field: "account".into(),
        cause: format!(
            "The account {account} already exists. To fix: choose another name, or set a new password with \
             `nexus user passwd {account}`"
        ),
    }
}
