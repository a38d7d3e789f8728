//! Login sessions and known devices. Only the SHA-256 of a session's token is here, so that a copy of the database
//! opens nothing.

use crate::accounts::User;
use crate::database::Store;
use crate::error::StoreError;
use crate::sqlite_integers::{signed, unsigned};
use crate::types::Durability;
use crate::types::UserId;
use nexus_model::limits::{ACCOUNT_DEVICES, ACCOUNT_LOGINS};
use nexus_model::time::Millis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

pub use crate::types::LoginId;

/// `TokenHash` is the SHA-256 of a login's token.
pub type TokenHash = [u8; 32];

/// `Login` is a login session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `id` names it in lists; it is no secret.
    pub id: LoginId,
    /// `user` is the account that logged in.
    pub user: User,
    /// `created_at` is when the login was made; its absolute lifetime begins here.
    pub created_at: Millis,
    /// `used_at` is when a request last carried it, as far as that was written: see [`Store::touch_login`].
    pub used_at: Millis,
    /// `checked_at` is when a credential was last shown: critical changes want a fresh one.
    pub checked_at: Millis,
    /// `peer` is the client's address at the login.
    pub peer: String,
    /// `agent` is the browser, as it calls itself.
    pub agent: String,
    /// `place` is where the login was made, and is good; empty: it is older than this field.
    pub place: String,
    /// `device` is the known device that the login was made from; empty: it is older than this field.
    pub device: String,
}

/// `Device` is a browser that a user has logged in from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `id` names it in lists; its cookie is signed.
    pub id: String,
    /// `user` is the account that logged in there.
    pub user: User,
    /// `created_at` is the time of the first login.
    pub created_at: Millis,
    /// `used_at` is the time of the last login.
    pub used_at: Millis,
    /// `place` is where the last login was made.
    pub place: String,
    /// `peer` is the client's address at the last login.
    pub peer: String,
    /// `agent` is the browser, as it called itself at the last login.
    pub agent: String,
}

const SELECT: &str =
    "SELECT login.id, user.id, account, user.created_at, login.created_at, used_at, checked_at, peer, agent, place, device
     FROM login JOIN user ON user.id = login.user";

fn login(row: &Row<'_>) -> rusqlite::Result<Login> {
    Ok(Login {
        id: row.get(0)?,
        user: User {
            id: row.get(1)?,
            account: row.get(2)?,
            created_at: unsigned(row.get(3)?),
        },
        created_at: unsigned(row.get(4)?),
        used_at: unsigned(row.get(5)?),
        checked_at: unsigned(row.get(6)?),
        peer: row.get(7)?,
        agent: row.get(8)?,
        place: row.get(9)?,
        device: row.get(10)?,
    })
}

/// `Which` says which logins, or devices, of a user are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// `One`: this one alone.
    One(LoginId),
    /// `AllBut`: all except this one, the login of the one who asks.
    AllBut(LoginId),
    /// `All`: every one of the user.
    All,
}

impl Which {
    /// Returns the only one, and the one that is spared.
    fn split(&self) -> (Option<&LoginId>, Option<&LoginId>) {
        match self {
            Self::One(id) => (Some(id), None),
            Self::AllBut(id) => (None, Some(id)),
            Self::All => (None, None),
        }
    }
}

fn remove(db: &Connection, user: UserId, which: &Which) -> rusqlite::Result<Vec<LoginId>> {
    let (only, but) = which.split();
    db.prepare_cached(
        "DELETE FROM login WHERE user = ?1 AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR id <> ?3) RETURNING id",
    )?
    .query_map(params![user, only, but], |row| row.get(0))?
    .collect()
}

impl Store {
    /// Adds a login, known by the digest of its token alone. Beyond [`ACCOUNT_LOGINS`] of its user, those that were not used
    /// for the longest time are removed; they are returned.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn add_login(&self, hash: TokenHash, new: Login) -> Result<Vec<LoginId>, StoreError> {
        self.write(Durability::Synced, move |db| {
            db.execute(
                "INSERT INTO login(hash, id, user, created_at, used_at, checked_at, peer, agent, place, device)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    hash,
                    new.id,
                    new.user.id,
                    signed(new.created_at),
                    signed(new.used_at),
                    signed(new.checked_at),
                    new.peer,
                    new.agent,
                    new.place,
                    new.device
                ],
            )?;
            db.prepare_cached(
                "DELETE FROM login WHERE user = ?1 AND id <> ?2 AND id NOT IN
                 (SELECT id FROM login WHERE user = ?1 AND id <> ?2 ORDER BY used_at DESC, created_at DESC, id LIMIT ?3)
                 RETURNING id",
            )?
            .query_map(params![new.user.id, new.id, ACCOUNT_LOGINS.saturating_sub(1)], |row| {
                row.get(0)
            })?
            .collect()
        })
        .await
    }

    /// Finds a login by the digest of its token, however old it is.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn login(&self, hash: TokenHash) -> Result<Option<Login>, StoreError> {
        self.read(move |db| {
            db.prepare_cached(&format!("{SELECT} WHERE hash = ?1"))?
                .query_row(params![hash], login)
                .optional()
        })
        .await
    }

    /// Finds a login by its id, however old it is.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn login_by_id(&self, id: &str) -> Result<Option<Login>, StoreError> {
        let id = id.to_owned();
        self.read(move |db| {
            db.prepare_cached(&format!("{SELECT} WHERE login.id = ?1"))?
                .query_row([id], login)
                .optional()
        })
        .await
    }

    /// Lists the logins of a user, the most recently used first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn logins(&self, user: UserId) -> Result<Vec<Login>, StoreError> {
        self.read(move |db| {
            db.prepare_cached(&format!(
                "{SELECT} WHERE login.user = ?1 ORDER BY used_at DESC, login.id"
            ))?
            .query_map([user], login)?
            .collect()
        })
        .await
    }

    /// Notes that the login was used. What a power cut takes of it is not missed.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn touch_login(&self, id: &str, now: Millis) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(Durability::Process, move |db| {
            db.prepare_cached("UPDATE login SET used_at = max(used_at, ?2) WHERE id = ?1")?
                .execute(params![id, signed(now)])
                .map(|_| ())
        })
        .await
    }

    /// Notes that a credential was shown for the login just now.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn checked_login(&self, id: &str, now: Millis) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(Durability::Synced, move |db| {
            db.execute(
                "UPDATE login SET checked_at = ?2 WHERE id = ?1",
                params![id, signed(now)],
            )
            .map(|_| ())
        })
        .await
    }

    /// Removes logins of a user, and returns those that were there.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn remove_logins(&self, user: UserId, which: Which) -> Result<Vec<LoginId>, StoreError> {
        self.write(Durability::Synced, move |db| remove(db, user, &which)).await
    }

    /// Removes the logins last used before `idle`, or made before `absolute`, and returns them.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn expire_logins(&self, idle: Millis, absolute: Millis) -> Result<Vec<LoginId>, StoreError> {
        self.write(Durability::Process, move |db| {
            db.prepare_cached("DELETE FROM login WHERE used_at < ?1 OR created_at < ?2 RETURNING id")?
                .query_map(params![signed(idle), signed(absolute)], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Makes the device known to be its user's, or notes that it was seen again. Beyond [`ACCOUNT_DEVICES`] of the user, those
    /// that were not used for the longest time are forgotten.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn know_device(&self, device: Device) -> Result<(), StoreError> {
        self.write(Durability::Synced, move |db| {
            db.execute(
                "INSERT INTO device(id, user, created_at, used_at, place, peer, agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT(id) DO UPDATE SET used_at = ?4, place = ?5, peer = ?6, agent = ?7 WHERE user = ?2",
                params![
                    device.id,
                    device.user.id,
                    signed(device.created_at),
                    signed(device.used_at),
                    device.place,
                    device.peer,
                    device.agent
                ],
            )?;
            db.execute(
                "DELETE FROM device WHERE user = ?1 AND id <> ?2 AND id NOT IN
                 (SELECT id FROM device WHERE user = ?1 AND id <> ?2 ORDER BY used_at DESC, created_at DESC, id LIMIT ?3)",
                params![device.user.id, device.id, ACCOUNT_DEVICES.saturating_sub(1)],
            )
            .map(|_| ())
        })
        .await
    }

    /// Lists the logins of all users, the most recently used first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn all_logins(&self) -> Result<Vec<Login>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!("{SELECT} ORDER BY used_at DESC, login.id"))?
                .query_map([], login)?
                .collect()
        })
        .await
    }

    /// Removes the logins that were made from this device, and returns them.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn remove_logins_of_device(&self, device: &str) -> Result<Vec<LoginId>, StoreError> {
        let device = device.to_owned();
        self.write(Durability::Synced, move |db| {
            db.prepare_cached("DELETE FROM login WHERE device = ?1 RETURNING id")?
                .query_map([device], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Lists the devices of all users, the most recently used first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn devices(&self) -> Result<Vec<Device>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT device.id, user.id, account, user.created_at, device.created_at, used_at, place, peer, agent
                 FROM device JOIN user ON user.id = device.user ORDER BY used_at DESC, device.id",
            )?
            .query_map([], |row| {
                Ok(Device {
                    id: row.get(0)?,
                    user: User {
                        id: row.get(1)?,
                        account: row.get(2)?,
                        created_at: unsigned(row.get(3)?),
                    },
                    created_at: unsigned(row.get(4)?),
                    used_at: unsigned(row.get(5)?),
                    place: row.get(6)?,
                    peer: row.get(7)?,
                    agent: row.get(8)?,
                })
            })?
            .collect()
        })
        .await
    }

    /// Forgets devices: they count as strangers from now on.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn forget_devices(&self, user: UserId, which: Which) -> Result<(), StoreError> {
        self.write(Durability::Synced, move |db| {
            let (only, but) = which.split();
            db.prepare_cached(
                "DELETE FROM device WHERE user = ?1 AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR id <> ?3)",
            )?
            .execute(params![user, only, but])
            .map(|_| ())
        })
        .await
    }

    /// Forgets the devices that nobody logged in from since `before`: their cookies are worth nothing any more.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn expire_devices(&self, before: Millis) -> Result<(), StoreError> {
        self.write(Durability::Process, move |db| {
            db.execute("DELETE FROM device WHERE used_at < ?1", [signed(before)])
                .map(|_| ())
        })
        .await
    }

    /// Finds the user whose device this is.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn device_owner(&self, id: &str) -> Result<Option<User>, StoreError> {
        let id = id.to_owned();
        self.read(move |db| {
            db.prepare_cached(
                "SELECT user.id, account, user.created_at FROM device JOIN user ON user.id = device.user WHERE device.id = ?1",
            )?
            .query_row([id], |row| {
                Ok(User {
                    id: row.get(0)?,
                    account: row.get(1)?,
                    created_at: unsigned(row.get(2)?),
                })
            })
            .optional()
        })
        .await
    }
}
