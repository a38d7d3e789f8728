//! Known devices: a browser that logged in once gets a signed cookie, and a counter of wrong attempts of its own. So a
//! stranger who guesses cannot lock the owner out, and a lost device locks nobody but itself.

use crate::account_name::Account;
use crate::client::Client;
use crate::error::AuthError;
use crate::service::AuthService;
use nexus_model::limits::KNOWN_DEVICE;
use nexus_model::time::millis;
use nexus_store::accounts::User;
use nexus_store::logins::Device;

const PURPOSE: &str = "device";
/// `AGENT` bounds what a browser calls itself, in characters.
pub(super) const AGENT: usize = 200;

/// `AttemptCounter` says whose wrong attempts are counted together.
pub(super) struct AttemptCounter {
    pub(super) key: String,
    /// `device` is the device, where it is one that `account` has logged in from.
    pub(super) device: Option<String>,
}

impl AuthService {
    pub(super) async fn counter(&self, account: &Account, client: &Client) -> Result<AttemptCounter, AuthError> {
        if let Some(id) = client.device.as_deref().and_then(|cookie| self.device_id(cookie)) {
            let owner = self.store.device_owner(&id).await?;
            if owner.is_some_and(|owner| owner.account == account.as_str()) {
                return Ok(AttemptCounter {
                    key: format!("device:{id}"),
                    device: Some(id),
                });
            }
        }
        Ok(AttemptCounter {
            // A lock at one place locks no other.
            key: format!("account:{}:{}", client.place, account.as_str()),
            device: None,
        })
    }

    /// Makes a device that `user` logged in from, and returns its id and its cookie; `known` is the id that it has
    /// already.
    pub(super) async fn device(
        &self,
        user: &User,
        known: Option<String>,
        client: &Client,
    ) -> Result<(String, String), AuthError> {
        let now = self.clock.now();
        let id = match known {
            Some(id) => id,
            None => nexus_model::random::random_token()?,
        };
        let device = Device {
            id: id.clone(),
            user: user.clone(),
            created_at: now,
            used_at: now,
            place: client.place.clone(),
            peer: client.peer.clone(),
            agent: client.agent.chars().take(AGENT).collect(),
        };
        self.store.know_device(device).await?;
        let text = format!("{id}.{}", now.saturating_add(millis(KNOWN_DEVICE)));
        let signature = self.keys.sign(PURPOSE, &text);
        Ok((id, format!("{text}.{signature}")))
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
