//! What the operator does at the machine: `nexus user …`. Whoever can run it can read the database anyway; no
//! credential is asked for.

use crate::account_name::Account;
use crate::error::AuthError;
use crate::first_account::taken;
use crate::service::AuthService;
use nexus_model::time::Millis;
use nexus_plugin_traits::auth::{Input, Outcome};
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

    /// Makes an account with the credential in `input`.
    ///
    /// # Errors
    /// [`AuthError::Rejected`], [`AuthError::Unavailable`].
    pub async fn add_account(&self, account: &str, input: Input) -> Result<(), AuthError> {
        let account = Account::parse(account, "account")?;
        let _one = self.enrollment.lock().await;
        if self.store.user_by_account(account.as_str()).await?.is_some() {
            return Err(taken(account.as_str()));
        }
        self.enroll(&account, input, false).await?;
        self.has_account.send_replace(true);
        tracing::info!(target: "audit", event = "account_added", account = account.as_str(), by = "command line");
        Ok(())
    }

    /// Gives the account a new credential (its first in this auth plugin, if need be), ends all its logins, and forgets
    /// its devices.
    ///
    /// # Errors
    /// [`AuthError::Rejected`], [`AuthError::Unavailable`].
    pub async fn reset_password(&self, account: &str, input: Input) -> Result<(), AuthError> {
        let user = self.existing(account).await?;
        let plugin = self.provider.name();
        let subject = self.store.subject(user.id, plugin).await?;
        let outcome = match &subject {
            Some(subject) => self.provider.reset(subject, input).await?,
            None => self.provider.enroll(&user.account, input).await?,
        };
        match outcome {
            Outcome::Done { subject: new } => {
                if subject.as_ref() != Some(&new) {
                    self.store.add_identity(user.id, plugin, &new).await?;
                }
            }
            Outcome::Rejected { field, cause } => return Err(AuthError::Rejected { field, cause }),
            Outcome::BadCredential => return Err(AuthError::BadCredential),
        }
        self.store.unlock(&user.account, self.clock.now()).await?;
        tracing::info!(target: "audit", event = "password_reset", account = user.account, by = "command line");
        self.store.forget_devices(user.id, Which::All).await?;
        self.revoke_of(&user, Which::All).await
    }

    /// Ends the lock of an account and of its devices. Returns whether it was locked.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] for an account that does not exist.
    pub async fn unlock_account(&self, account: &str) -> Result<bool, AuthError> {
        let user = self.existing(account).await?;
        let locked = self.store.unlock(&user.account, self.clock.now()).await? > 0;
        tracing::info!(target: "audit", event = "account_unlocked", account = user.account, by = "command line");
        Ok(locked)
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
