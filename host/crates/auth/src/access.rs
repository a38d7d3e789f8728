//! Who can come in now, for the page: all accounts, logins and known devices, and the end of any of them. Every account is
//! a full owner, so each of them sees and ends all.

use crate::client::Client;
use crate::error::AuthError;
use crate::operator::Listed;
use crate::run_to_end::run_to_end;
use crate::service::AuthService;
use nexus_model::activity::Severity;
use nexus_model::limits;
use nexus_store::logins::{Device, Login, LoginId, Which};
use std::sync::Arc;

/// `Access` lists who can come in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `accounts` are all accounts, the oldest first.
    pub accounts: Vec<Listed>,
    /// `logins` are those of all accounts, the most recently used first.
    pub logins: Vec<Login>,
    /// `devices` are the known devices of all accounts, the most recently used first.
    pub devices: Vec<Device>,
}

/// `End` names what is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `Login` ends one login.
    Login(LoginId),
    /// `Device` forgets a known device, and ends the logins that were made from it.
    Device(String),
    /// `Account` removes an account with its logins and devices, by its name.
    Account(String),
}

impl AuthService {
    /// Lists everything that [`Self::end`] can end, and is not over yet.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`].
    pub async fn access(&self) -> Result<Access, AuthError> {
        let logins = self.store.all_logins().await?;
        Ok(Access {
            accounts: self.accounts().await?,
            logins: logins.into_iter().filter(|login| !self.expired(login)).collect(),
            devices: self.store.devices().await?,
        })
    }

    /// Tells whether a credential was shown with this login within [`nexus_model::limits::FRESH_LOGIN`]: for what an
    /// open session alone must not do.
    pub fn recently_checked(&self, login: &Login) -> bool {
        self.is_fresh(login, limits::FRESH_LOGIN)
    }

    /// Ends one of them, for `by`, which has to be a fresh login. What is gone already is no error. Runs to its end
    /// even if the browser goes away.
    ///
    /// # Errors
    /// [`AuthError::Denied`] without a fresh login; [`AuthError::Rejected`]: the last account is not ended here.
    pub async fn end(self: &Arc<Self>, by: &Login, client: &Client, what: &End) -> Result<(), AuthError> {
        if !self.recently_checked(by) {
            return Err(AuthError::Denied(
                "This needs a login from the last five minutes. Log in again.".to_owned(),
            ));
        }
        let (auth, by, client, what) = (Arc::clone(self), by.clone(), client.clone(), what.clone());
        run_to_end(async move {
            auth.end_now(&by, &client, &what).await?;
            let done = match &what {
                End::Login(_) => "a login was ended".to_owned(),
                End::Device(_) => "a known device was forgotten".to_owned(),
                End::Account(account) => format!("the account {account} was removed"),
            };
            auth.note(&client, Severity::Ok, &done);
            Ok(())
        })
        .await
    }

    async fn end_now(&self, by: &Login, client: &Client, what: &End) -> Result<(), AuthError> {
        let (event, account) = match what {
            End::Login(id) => {
                let Some(login) = self.store.login_by_id(id).await? else {
                    return Ok(());
                };
                self.revoke_of(&login.user, Which::One(id.clone())).await?;
                ("login_ended", login.user.account)
            }
            End::Device(id) => {
                let Some(user) = self.store.device_owner(id).await? else {
                    return Ok(());
                };
                self.store.forget_devices(user.id, Which::One(id.clone())).await?;
                self.ended(&user.account, self.store.remove_logins_of_device(id).await?);
                ("device-forgotten", user.account)
            }
            End::Account(account) => {
                let user = self.existing(account).await?;
                self.remove(&user, false).await?;
                ("account_removed", user.account)
            }
        };
        tracing::info!(target: "audit", event, account, by = by.user.account, place = client.place, peer = client.peer);
        Ok(())
    }
}
