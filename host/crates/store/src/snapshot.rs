//! A copy of the database as it is at one moment, while others write it; and whether a copy is one that this Nexus can use.
//!
//! `VACUUM INTO`, not the online backup: that one starts again whenever another process writes, so that a host that streams
//! would keep it from ever ending. This reads in one transaction, which holds up no writer, and leaves the copy compact.

use crate::connection::{FILE, connect};
use crate::error::StoreError;
use crate::private::private_file;
use crate::schema;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// `NAME` is the database's name in the data folder, and in a backup.
pub const NAME: &str = FILE;

/// Copies the database of `data_dir` into the file `into`, which must not exist yet and is made for its owner alone. Logins
/// are left out: who restores a backup must not bring back one that was ended since, and who steals one gets none.
/// Returns the schema's version.
///
/// # Errors
/// There is no database, it is one of a newer Nexus, or the disk is full.
pub fn take(data_dir: &Path, into: &Path) -> Result<i64, StoreError> {
    let path = data_dir.join(FILE);
    let source = connect(&path)?;
    let schema = schema::version(&source, &path)?;
    // SQLite writes into an empty file that is there, and keeps its mode.
    private_file(into)?;
    source.execute("VACUUM INTO ?1", [into.to_string_lossy()])?;
    drop(source);
    let copy = connect(into)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.pragma_update(None, "secure_delete", true)?;
    copy.execute("DELETE FROM login", [])?;
    copy.close().map_err(|(_, e)| StoreError::from(e))?;
    let written = std::fs::File::open(into).and_then(|file| file.sync_all());
    written.map_err(|e| StoreError::ReadOnly(format!("{} cannot be written: {e}", into.display())))?;
    Ok(schema)
}

/// Checks that this Nexus can open the database `path`, which nobody else has open, and that nothing in it is damaged.
/// Changes nothing. Returns the schema's version.
///
/// # Errors
/// Damage, or a newer schema.
pub fn check(path: &Path) -> Result<i64, StoreError> {
    let open = || Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let db = open()?;
    db.busy_timeout(nexus_model::limits::STORE_BUSY)?;
    let schema = schema::version(&db, path)?;
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Database(format!(
            "{} is damaged ({found}). To fix: restore a backup",
            path.display()
        )));
    }
    Ok(schema)
}

/// Moves what is in the write-ahead log into the database, so that the one file is all of it. Nobody else may have it
/// open.
///
/// # Errors
/// It cannot be opened or written.
pub(crate) fn settle(path: &Path) -> Result<(), StoreError> {
    let db = connect(path)?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, e)| e.into())
}
