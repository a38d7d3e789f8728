//! Known devices: a browser that logged in once gets a signed cookie, and a counter of wrong attempts of its own. So a
//! stranger who guesses cannot lock the owner out, and a lost device locks nobody but itself.

use crate::account_name::Account;
use crate::client::Client;
use crate::error::AuthError;
use crate::service::AuthService;
use nexus_logging::audit;
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
    /// `also` is a second one of the same attempts: that of the account that is named in them.
    pub(super) also: Option<String>,
    /// `known`: a stranger cannot have this counter.
    pub(super) known: bool,
}

impl AttemptCounter {
    /// `of_stranger` is one that anybody may have.
    pub(super) fn of_stranger(key: String) -> Self {
        Self {
            key,
            also: None,
            known: false,
        }
    }

    /// `of_network` is the one of this way to log in for all strangers of the client's network.
    pub(super) fn of_network(way: &str, client: &Client) -> Self {
        Self::of_stranger(format!("{way}:{}:{}", client.place, audit::network(&client.peer)))
    }

    /// `of_known` is one of who has shown something before: a login, a link, a token that was right.
    pub(super) fn of_known(key: String) -> Self {
        Self {
            key,
            also: None,
            known: true,
        }
    }
}

impl AuthService {
    pub(super) async fn counter(&self, account: &Account, client: &Client) -> Result<AttemptCounter, AuthError> {
        if let Some((id, owner)) = self.device_of(client).await?
            && owner.account == account.as_str()
        {
            return Ok(AttemptCounter::of_known(format!("device:{id}")));
        }
        // A lock at one place locks no other.
        Ok(AttemptCounter::of_stranger(format!(
            "account:{}:{}",
            client.place,
            account.as_str()
        )))
    }

    /// `unnamed` counts the attempts of a way to log in that names no account before it names a subject: those of a known device,
    /// whosever it is, by themselves, else those of a network, since who has one address has many.
    pub(super) async fn unnamed(&self, way: &str, client: &Client) -> Result<AttemptCounter, AuthError> {
        Ok(match self.device_of(client).await? {
            Some((id, _)) => AttemptCounter::of_known(format!("device:{id}")),
            None => AttemptCounter::of_network(way, client),
        })
    }

    /// `known_device` is the id of the client's device, if it is one of this user.
    pub(super) async fn known_device(&self, user: &User, client: &Client) -> Result<Option<String>, AuthError> {
        let device = self.device_of(client).await?;
        Ok(device.filter(|(_, owner)| owner.id == user.id).map(|(id, _)| id))
    }

    async fn device_of(&self, client: &Client) -> Result<Option<(String, User)>, AuthError> {
        let Some(id) = client.device.as_deref().and_then(|cookie| self.device_id(cookie)) else {
            return Ok(None);
        };
        let owner = self.store.device_owner(&id).await?;
        Ok(owner.map(|owner| (id, owner)))
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
