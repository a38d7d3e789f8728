//! What the operator does at the machine: `nexus user …`. Whoever can run it can read the database anyway; no
//! credential is asked for.

use crate::account_name::Account;
use crate::error::AuthError;
use crate::invitation;
use crate::joining::{first_form, taken};
use crate::service::AuthService;
use crate::steps::denied;
use nexus_model::limits::ID_BYTES;
use nexus_model::time::Millis;
use nexus_plugin_traits::auth::{Answer, Ask, Context, Field, Input, Step};
use nexus_store::accounts::User;
use nexus_store::logins::Which;

/// `Removed` counts what ended with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// `logins` is how many logins ended.
    pub logins: usize,
    /// `devices` is how many devices are known no more.
    pub devices: usize,
}

/// `Listed` is an account for `nexus user list`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// `account` is its name.
    pub account: String,
    /// `created_at` is when it was made.
    pub created_at: Millis,
    /// `last_used_at` is the last use of a login that is still good.
    pub last_used_at: Option<Millis>,
    /// `logins` is how many of its logins are still good.
    pub logins: usize,
    /// `locked_until` is the end of the lock for strangers or for one of its devices, whichever lasts longer.
    pub locked_until: Option<Millis>,
}

/// `Enrollment` is the form that makes a credential at a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// `fields` are what to ask, in this order.
    pub fields: Vec<Field>,
    state: Vec<u8>,
}

/// At a terminal there is no page.
fn at_terminal(account: &Account) -> Context {
    Context {
        account: Some(account.as_str().to_owned()),
        ..Context::default()
    }
}

impl AuthService {
    /// Checks that a new account may have this name (`fresh`), or that there is one of it: to be asked before anybody
    /// types a password.
    ///
    /// # Errors
    /// [`AuthError::Rejected`], [`AuthError::Unavailable`].
    pub async fn check_name(&self, account: &str, fresh: bool) -> Result<(), AuthError> {
        if !fresh {
            return self.existing(account).await.map(drop);
        }
        let account = Account::parse(account, "account")?;
        match self.store.user_by_account(account.as_str()).await? {
            Some(_) => Err(taken(account.as_str())),
            None => Ok(()),
        }
    }

    /// `enrollment` is the form that makes a credential for the account, new or not; `None`: that needs a browser
    /// ([`Self::invite`]).
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn enrollment(&self, account: &str) -> Result<Option<Enrollment>, AuthError> {
        if !self.provider.enrolls() {
            return Ok(None);
        }
        let account = Account::parse(account, "account")?;
        let context = at_terminal(&account);
        let plugin = self.provider.name();
        let subject = match self.store.user_by_account(account.as_str()).await? {
            Some(user) => self.store.subject(user.id, plugin).await?,
            None => None,
        };
        let step = match &subject {
            Some(subject) => self.provider.reset(subject, context).await?,
            None => self.provider.enroll(context).await?,
        };
        let (ask, state) = first_form(plugin, step)?;
        Ok(match ask {
            Ask::Form { fields, .. } => Some(Enrollment { fields, state }),
            _ => None,
        })
    }

    /// Answers the form at a terminal. `None`: it goes on in a browser.
    async fn enrolled(&self, account: &Account, form: &Enrollment, input: Input) -> Result<Option<String>, AuthError> {
        let state = form.state.clone();
        let answer = Answer::Form(input);
        match self
            .provider
            .proceed_managing(state, answer, at_terminal(account))
            .await?
        {
            Step::Identity(identity) => Ok(Some(identity.subject)),
            Step::Ask {
                ask: Ask::Form {
                    problem: Some(problem), ..
                },
                ..
            } => Err(AuthError::Rejected {
                field: problem.field.unwrap_or_default(),
                cause: problem.message,
            }),
            Step::Ask { .. } => Ok(None),
            Step::Deny(refused) => Err(denied(refused)),
        }
    }

    /// Makes an account with the credential in `input`, which answers `form`. Returns whether that was all; else it needs
    /// a browser, and nothing was made.
    ///
    /// # Errors
    /// [`AuthError::Rejected`], [`AuthError::Unavailable`].
    pub async fn add_account(&self, account: &str, form: &Enrollment, input: Input) -> Result<bool, AuthError> {
        let account = Account::parse(account, "account")?;
        let _one = self.enrollment.lock().await;
        if self.store.user_by_account(account.as_str()).await?.is_some() {
            return Err(taken(account.as_str()));
        }
        let Some(subject) = self.enrolled(&account, form, input).await? else {
            return Ok(false);
        };
        invitation::clear_for(&self.store, account.as_str()).await?;
        if let Err(error) = self.add_user(&account, &subject, false).await {
            self.take_back(&subject).await;
            return Err(error);
        }
        self.has_account.send_replace(true);
        tracing::info!(target: "audit", event = "account_added", account = account.as_str(), by = "command line");
        Ok(true)
    }

    /// Makes the subject of the auth plugin the account's, which is made where there is none. All its logins end.
    ///
    /// # Errors
    /// [`AuthError::Rejected`]: the subject is another account's, or one of both is none.
    pub async fn bind_subject(&self, account: &str, subject: &str) -> Result<(), AuthError> {
        let account = Account::parse(account, "account")?;
        if subject.is_empty() || subject.len() > ID_BYTES || subject.chars().any(char::is_control) {
            return Err(AuthError::Rejected {
                field: "subject".into(),
                cause: format!("A subject has 1 to {ID_BYTES} bytes, without control characters."),
            });
        }
        let _one = self.enrollment.lock().await;
        invitation::clear_for(&self.store, account.as_str()).await?;
        self.bind(&account, subject).await?;
        self.has_account.send_replace(true);
        tracing::info!(target: "audit", event = "account_bound", account = account.as_str(), subject, by = "command line");
        Ok(())
    }

    /// Gives the account a new credential (its first in this auth plugin, if need be), ends all its logins, and forgets
    /// its devices. Returns whether that was all; else it needs a browser, and nothing was changed.
    ///
    /// # Errors
    /// [`AuthError::Rejected`], [`AuthError::Unavailable`].
    pub async fn reset_password(&self, account: &str, form: &Enrollment, input: Input) -> Result<bool, AuthError> {
        let user = self.existing(account).await?;
        let account = Account::parse(account, "account")?;
        let _one = self.enrollment.lock().await;
        let Some(subject) = self.enrolled(&account, form, input).await? else {
            return Ok(false);
        };
        invitation::clear_for(&self.store, &user.account).await?;
        self.set_identity(&user, &subject).await?;
        self.store.unlock(&user.account, self.clock.now()).await?;
        tracing::info!(target: "audit", event = "password_reset", account = user.account, by = "command line");
        self.store.forget_devices(user.id, Which::All).await?;
        self.revoke_of(&user, Which::All).await?;
        Ok(true)
    }

    /// Ends the lock of an account and of its devices, and those of all attempts that named no account: whose they were is not
    /// known. Returns whether anything was locked.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] for an account that does not exist.
    pub async fn unlock_account(&self, account: &str) -> Result<bool, AuthError> {
        let user = self.existing(account).await?;
        let now = self.clock.now();
        let named = self.store.unlock(&user.account, now).await?;
        let unnamed = self.store.unlock("", now).await?;
        tracing::info!(target: "audit", event = "account_unlocked", account = user.account, by = "command line");
        Ok(named > 0 || unnamed > 0)
    }

    /// Ends the account with its logins and devices. With `force`, also the last one; then only `nexus user add` makes
    /// another.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] for an account that does not exist or is the last one.
    pub async fn remove_account(&self, account: &str, force: bool) -> Result<Removed, AuthError> {
        let user = self.existing(account).await?;
        let removed = self.remove(&user, force).await?;
        tracing::info!(
            target: "audit", event = "account_removed", account = user.account, logins = removed.logins,
            devices = removed.devices, by = "command line"
        );
        Ok(removed)
    }

    pub(super) async fn remove(&self, user: &User, force: bool) -> Result<Removed, AuthError> {
        let plugin = self.provider.name();
        let subject = self.store.subject(user.id, plugin).await?;
        // Before: a link that is used at this moment makes the account that goes, and none after it.
        invitation::clear_for(&self.store, &user.account).await?;
        let Some(gone) = self.store.remove_user(user.id, force).await? else {
            return Err(AuthError::Rejected {
                field: "account".into(),
                cause: format!(
                    "{} is the last account: without it nobody can log in. To fix: add another one first with \
                     `nexus user add NAME`, or remove this one on the machine with `nexus user remove {} --force`",
                    user.account, user.account
                ),
            });
        };
        // Without a user it opens nothing; the name is free for another.
        if let Some(subject) = subject
            && let Err(error) = self.provider.remove(&subject).await
        {
            tracing::warn!(%error, "a credential without a user remains in the auth plugin's store");
        }
        let removed = Removed {
            logins: gone.logins.len(),
            devices: gone.devices,
        };
        self.ended(&user.account, gone.logins);
        Ok(removed)
    }

    /// Lists all accounts, the oldest first.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn accounts(&self) -> Result<Vec<Listed>, AuthError> {
        let mut list = Vec::new();
        for user in self.store.users().await? {
            let logins = self.store.logins(user.id).await?;
            list.push(Listed {
                created_at: user.created_at,
                last_used_at: logins.iter().map(|login| login.used_at).max(),
                logins: logins.len(),
                locked_until: self.store.locked_until(&user.account, self.clock.now()).await?,
                account: user.account,
            });
        }
        Ok(list)
    }

    pub(super) async fn existing(&self, account: &str) -> Result<User, AuthError> {
        let account = Account::parse(account, "account")?;
        self.store
            .user_by_account(account.as_str())
            .await?
            .ok_or_else(|| AuthError::Rejected {
                field: "account".into(),
                cause: format!(
                    "There is no account {}. To fix: run `nexus user list`, which shows all accounts, or \
                     `nexus user add NAME` to add one",
                    account.as_str()
                ),
            })
    }
}
