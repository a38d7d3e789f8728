//! Counters of wrong credentials.
//!
//! An attempt is charged *before* the credential is checked and refunded afterwards, so that many attempts at once
//! cannot get in more guesses than the limit between a check and a count.

use crate::database::Store;
use crate::error::StoreError;
use crate::sqlite_integers::{signed, unsigned};
use crate::types::Durability;
use nexus_model::time::Millis;
use rusqlite::{OptionalExtension as _, params};

/// `Charge` is the answer to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// May be checked. `left`: wrong ones that are still allowed after this one.
    Allowed {
        left: u32,
    },
    LockedUntil(Millis),
}

/// When an attempt locks, and for how long. Failures are forgotten after the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub failures: u32,
    /// Milliseconds.
    pub lock: Millis,
}

impl Store {
    /// # Errors
    /// Where the database cannot be written; then nothing may be checked.
    pub async fn charge(&self, key: &str, account: &str, policy: Policy, now: Millis) -> Result<Charge, StoreError> {
        let (key, account) = (key.to_owned(), account.to_owned());
        self.write(Durability::Synced, move |db| {
            db.prepare_cached("DELETE FROM lockout WHERE last < ?1 AND until < ?2")?
                .execute(params![signed(now.saturating_sub(policy.lock)), signed(now)])?;
            let found: Option<(u32, i64)> = db
                .prepare_cached("SELECT failures, until FROM lockout WHERE key = ?1")?
                .query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let failures = match found {
                Some((_, until)) if unsigned(until) > now => return Ok(Charge::LockedUntil(unsigned(until))),
                // A lock that is over gives all attempts back.
                Some((_, until)) if until > 0 => 1,
                Some((failures, _)) => failures.saturating_add(1),
                None => 1,
            };
            let until = if failures >= policy.failures {
                now.saturating_add(policy.lock)
            } else {
                0
            };
            db.prepare_cached(
                "INSERT OR REPLACE INTO lockout(key, account, failures, last, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![key, account, failures, signed(now), signed(until)])?;
            Ok(Charge::Allowed {
                left: policy.failures.saturating_sub(failures),
            })
        })
        .await
    }

    /// Takes one charge back: it was no wrong credential.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn refund(&self, key: &str) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(Durability::Process, move |db| {
            db.execute(
                "UPDATE lockout SET failures = max(failures - 1, 0), until = 0 WHERE key = ?1",
                [key],
            )
            .map(|_| ())
        })
        .await
    }

    /// The right credential: all charges of this counter are forgotten.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn clear(&self, key: &str) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(Durability::Process, move |db| {
            db.execute("DELETE FROM lockout WHERE key = ?1", [key]).map(|_| ())
        })
        .await
    }

    /// By the operator: all counters of an account, its known devices' among them. How many were locked.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn unlock(&self, account: &str, now: Millis) -> Result<u32, StoreError> {
        let account = account.to_owned();
        self.write(Durability::Synced, move |db| {
            let locked = db.query_row(
                "SELECT count(*) FROM lockout WHERE account = ?1 AND until > ?2",
                params![account, signed(now)],
                |row| row.get(0),
            )?;
            db.execute("DELETE FROM lockout WHERE account = ?1", [account])?;
            Ok(locked)
        })
        .await
    }

    /// Until when this counter is locked. Looks, and writes nothing.
    ///
    /// # Errors
    /// Where the database cannot be read; then nothing may be checked.
    pub async fn counter_locked(&self, key: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let key = key.to_owned();
        self.read(move |db| {
            let until: Option<i64> = db
                .prepare_cached("SELECT until FROM lockout WHERE key = ?1 AND until > ?2")?
                .query_row(params![key, signed(now)], |row| row.get(0))
                .optional()?;
            Ok(until.map(unsigned))
        })
        .await
    }

    /// Until when the account is locked for strangers or for one of its devices, whichever is later.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn locked_until(&self, account: &str, now: Millis) -> Result<Option<Millis>, StoreError> {
        let account = account.to_owned();
        self.read(move |db| {
            let until: Option<i64> = db.query_row(
                "SELECT max(until) FROM lockout WHERE account = ?1 AND until > ?2",
                params![account, signed(now)],
                |row| row.get(0),
            )?;
            Ok(until.map(unsigned))
        })
        .await
    }
}
