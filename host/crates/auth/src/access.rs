//! Who can come in now, for the page: all accounts, logins and known devices, and the end of any of them. Every account is
//! a full owner, so each of them sees and ends all.

use super::{AuthError, AuthService, Client, Device, Listed, Login, LoginId};
use nexus_store::logins::Which;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub accounts: Vec<Listed>,
    /// The most recently used first.
    pub logins: Vec<Login>,
    pub devices: Vec<Device>,
}

/// What is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Login(LoginId),
    /// Also the logins that were made from it.
    Device(String),
    Account(String),
}

impl AuthService {
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

    /// By somebody with a fresh login. What is gone already is no error.
    ///
    /// # Errors
    /// [`AuthError::Rejected`]: the last account is not ended here.
    pub async fn end(&self, by: &Login, client: &Client, what: &End) -> Result<(), AuthError> {
        let (event, account) = match what {
            End::Login(id) => {
                let Some(login) = self.store.login_by_id(id).await? else {
                    return Ok(());
                };
                self.revoke_of(&login.user, Which::One(id.clone())).await?;
                ("login-ended", login.user.account)
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
                ("account-removed", user.account)
            }
        };
        tracing::info!(target: "audit", event, account, by = by.user.account, place = client.place, peer = client.peer);
        Ok(())
    }
}
