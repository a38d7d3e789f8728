//! Users, and which plugin's subject is which user. They belong to the host: swapping the auth plugin changes neither
//! who exists nor whether set-up is open.

use crate::database::Store;
use crate::error::StoreError;
use crate::settings;
use crate::sqlite_integers::{signed, unsigned};
use crate::types::Durability;
use crate::types::{LoginId, UserId};
use nexus_model::time::Millis;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// `User` is an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `id` is the number of the account; it stays when the account gets other identities.
    pub id: UserId,
    /// `account` is the name to log in with, in its canonical form (lower case), in which names are compared.
    pub account: String,
    /// `created_at` is when the account was made.
    pub created_at: Millis,
}

/// `NameTaken` says why no user was made, or given an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameTaken {
    /// `Account`: another user has this name.
    Account,
    /// `SetUp`: a user exists or existed, and this was the set-up of the first one.
    SetUp,
    /// `Subject`: the identity is another user's.
    Subject,
}

/// `NoSuchAccount` lists what was removed together with a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchAccount {
    /// `logins` are the logins that ended; their live connections are to be closed.
    pub logins: Vec<LoginId>,
    /// `devices` is how many browsers are no longer known devices.
    pub devices: usize,
}

/// `EVER` is the setting that the first user sets for ever.
const EVER: &str = "auth.user-ever";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        account: row.get(1)?,
        created_at: unsigned(row.get(2)?),
    })
}

fn by_account(db: &Connection, account: &str) -> rusqlite::Result<Option<User>> {
    db.prepare_cached("SELECT id, account, created_at FROM user WHERE account = ?1")?
        .query_row([account], user)
        .optional()
}

fn by_identity(db: &Connection, plugin: &str, subject: &str) -> rusqlite::Result<Option<User>> {
    db.prepare_cached(
        "SELECT user.id, account, created_at FROM identity JOIN user ON user.id = identity.user
         WHERE plugin = ?1 AND subject = ?2",
    )?
    .query_row([plugin, subject], user)
    .optional()
}

impl Store {
    /// Tells whether a user exists or ever existed: then the set-up of the first account is over, also when all were
    /// removed.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn any_user_ever(&self) -> Result<bool, StoreError> {
        self.read(|db| Ok(settings::get(db, EVER)?.is_some())).await
    }

    /// Makes a user with one identity: `subject`, as `plugin` calls the person. With `first`, only while no user ever
    /// existed.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn add_user(
        &self,
        account: &str,
        plugin: &str,
        subject: &str,
        first: bool,
        now: Millis,
    ) -> Result<Result<User, NameTaken>, StoreError> {
        let (account, plugin, subject) = (account.to_owned(), plugin.to_owned(), subject.to_owned());
        self.write(Durability::Synced, move |db| {
            if first && settings::get(db, EVER)?.is_some() {
                return Ok(Err(NameTaken::SetUp));
            }
            if by_account(db, &account)?.is_some() {
                return Ok(Err(NameTaken::Account));
            }
            if by_identity(db, &plugin, &subject)?.is_some() {
                return Ok(Err(NameTaken::Subject));
            }
            db.execute(
                "INSERT INTO user(account, created_at) VALUES (?1, ?2)",
                params![account, signed(now)],
            )?;
            let id = db.last_insert_rowid();
            db.execute(
                "INSERT INTO identity(plugin, subject, user) VALUES (?1, ?2, ?3)",
                params![plugin, subject, id],
            )?;
            settings::set(db, EVER, b"1")?;
            Ok(Ok(User {
                id,
                account,
                created_at: now,
            }))
        })
        .await
    }

    /// Removes a user, with identities, logins, devices and counters of wrong attempts. Returns `None`, and removes
    /// nothing, if it is the last user and `force` was not given.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn remove_user(&self, user: UserId, force: bool) -> Result<Option<NoSuchAccount>, StoreError> {
        self.write(Durability::Synced, move |db| {
            let others: i64 = db.query_row("SELECT count(*) FROM user WHERE id <> ?1", [user], |row| row.get(0))?;
            if others == 0 && !force {
                return Ok(None);
            }
            let logins = db
                .prepare_cached("DELETE FROM login WHERE user = ?1 RETURNING id")?
                .query_map([user], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let devices = db.execute("DELETE FROM device WHERE user = ?1", [user])?;
            db.execute(
                "DELETE FROM lockout WHERE account = (SELECT account FROM user WHERE id = ?1)",
                [user],
            )?;
            db.execute("DELETE FROM user WHERE id = ?1", [user])?;
            Ok(Some(NoSuchAccount { logins, devices }))
        })
        .await
    }

    /// Makes `subject` the one identity that a user has of `plugin`, in place of any other: as after a swap of the auth
    /// plugin, or a new credential. [`NameTaken::Subject`]: it is another user's, and nothing was changed.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn set_identity(
        &self,
        user: UserId,
        plugin: &str,
        subject: &str,
    ) -> Result<Result<(), NameTaken>, StoreError> {
        let (plugin, subject) = (plugin.to_owned(), subject.to_owned());
        self.write(Durability::Synced, move |db| {
            if by_identity(db, &plugin, &subject)?.is_some_and(|owner| owner.id != user) {
                return Ok(Err(NameTaken::Subject));
            }
            db.execute(
                "DELETE FROM identity WHERE plugin = ?1 AND user = ?2",
                params![plugin, user],
            )?;
            db.execute(
                "INSERT INTO identity(plugin, subject, user) VALUES (?1, ?2, ?3)",
                params![plugin, subject, user],
            )?;
            Ok(Ok(()))
        })
        .await
    }

    /// Lists all users, the oldest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT id, account, created_at FROM user ORDER BY id")?
                .query_map([], user)?
                .collect()
        })
        .await
    }

    /// Finds a user by the canonical name.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn user_by_account(&self, account: &str) -> Result<Option<User>, StoreError> {
        let account = account.to_owned();
        self.read(move |db| by_account(db, &account)).await
    }

    /// Finds the user whose identity is `subject`, as `plugin` calls the person.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn user_by_identity(&self, plugin: &str, subject: &str) -> Result<Option<User>, StoreError> {
        let (plugin, subject) = (plugin.to_owned(), subject.to_owned());
        self.read(move |db| by_identity(db, &plugin, &subject)).await
    }

    /// `subject` is the name that `plugin` knows the user by; `None`: the user has no identity of this plugin.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn subject(&self, user: UserId, plugin: &str) -> Result<Option<String>, StoreError> {
        let plugin = plugin.to_owned();
        self.read(move |db| {
            db.prepare_cached("SELECT subject FROM identity WHERE user = ?1 AND plugin = ?2")?
                .query_row(params![user, plugin], |row| row.get(0))
                .optional()
        })
        .await
    }
}
