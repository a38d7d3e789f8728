//! A database in memory, used on the thread of whoever asks.
//!
//! Problem: policies (pauses, time-outs, what happens on a full disk) are tested on paused time, which a database's own
//! threads upset: while they work, the runtime has nothing to do and lets the time jump. And a look at plugins beside a
//! running host must leave nothing behind.
//! Mechanism: the same schema and the same jobs, each in a transaction of its own, done before the call returns.
//! Limits: nothing survives the process; one job at a time.
//! Rejected: a trait for the journal, the settings and the keys with a second implementation for tests. It tested the fake,
//! and each error was turned into text on its way through.

use crate::error::StoreError;
use crate::schema;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub(super) struct InMemory {
    connection: Mutex<Connection>,
    failure: Mutex<Option<StoreError>>,
}

impl InMemory {
    pub(super) fn open() -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection, Path::new(":memory:"))?;
        Ok(Self {
            connection: Mutex::new(connection),
            failure: Mutex::default(),
        })
    }

    /// Lets every write fail with this error from now on; with `None`, writes succeed again.
    pub(super) fn fail(&self, with: Option<StoreError>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = with;
    }

    pub(super) fn write<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        if let Some(error) = &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        self.transact(job)
    }

    pub(super) fn read<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.transact(job)
    }

    fn transact<T>(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Undone where it is dropped before its commit.
        let transaction = connection.transaction()?;
        let result = job(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}
