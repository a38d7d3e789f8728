//! A connection to the database file, as every part of this crate wants it.

use crate::error::StoreError;
use nexus_model::limits;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// `FILE` is the database's name in the data folder.
pub(crate) const FILE: &str = "nexus.db";

/// `log_of` is the file of the write-ahead log.
pub(crate) fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(limits::STORE_BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(connection)
    };
    open().map_err(|e| {
        StoreError::Open(format!(
            "cannot open the database {}: {}",
            path.display(),
            StoreError::from(e)
        ))
    })
}
