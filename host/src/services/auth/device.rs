//! Known devices: a browser that logged in once gets a signed cookie, and a counter of wrong attempts of its own. So a
//! stranger who guesses cannot lock the owner out, and a lost device locks nobody but itself.

use super::{Account, AuthError, AuthService, millis};
use crate::limits::KNOWN_DEVICE;
use crate::store::accounts::User;

const PURPOSE: &str = "device";

/// Whose wrong attempts are counted together.
pub(super) struct Counter {
    pub(super) key: String,
    /// The device, where it is one that `account` has logged in from.
    pub(super) device: Option<String>,
}

impl AuthService {
    pub(super) async fn counter(&self, account: &Account, cookie: Option<&str>) -> Result<Counter, AuthError> {
        if let Some(id) = cookie.and_then(|cookie| self.device_id(cookie)) {
            let owner = self.store.device_owner(&id).await?;
            if owner.is_some_and(|owner| owner.account == account.as_str()) {
                return Ok(Counter {
                    key: format!("device:{id}"),
                    device: Some(id),
                });
            }
        }
        Ok(Counter {
            key: format!("account:{}", account.as_str()),
            device: None,
        })
    }

    /// The cookie for a device that `user` logged in from; `known`: it has an id already.
    pub(super) async fn device_cookie(&self, user: &User, known: Option<String>) -> Result<String, AuthError> {
        let now = self.clock.now();
        let id = match known {
            Some(id) => id,
            None => crate::time::random_token()?,
        };
        self.store.know_device(&id, user.id, now).await?;
        let text = format!("{id}.{}", now.saturating_add(millis(KNOWN_DEVICE)));
        let signature = self.keys.sign(PURPOSE, &text)?;
        Ok(format!("{text}.{signature}"))
    }

    fn device_id(&self, cookie: &str) -> Option<String> {
        let (text, signature) = cookie.rsplit_once('.')?;
        if !self.keys.signed(PURPOSE, text, signature) {
            return None;
        }
        let (id, expires) = text.split_once('.')?;
        (expires.parse::<u64>().ok()? > self.clock.now()).then(|| id.to_owned())
    }
}
