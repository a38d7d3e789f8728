//! Why the database did not do what was asked.

use rusqlite::ErrorCode;

/// `StoreError` holds a sentence for the operator in each of its variants: the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// `ReadOnly`: the disk is full, read-only, or has an I/O error; nothing can be written until the operator acts.
    #[error("{0}")]
    ReadOnly(String),
    #[error(
        "the database {path} has schema {found}, but this version of Nexus supports up to {known}. To fix: start the \
         newer Nexus that wrote it, or restore an older backup"
    )]
    /// `Newer`: the database was written by a newer Nexus.
    Newer {
        /// `path` is the database's file.
        path: String,
        /// `found` is the version of its schema.
        found: i64,
        /// `known` is the newest schema that this Nexus knows.
        known: i64,
    },
    /// `Locked`: another Nexus uses the data folder.
    #[error("{0}")]
    Locked(String),
    /// `Open`: the database cannot be opened.
    #[error("{0}")]
    Open(String),
    /// `Database` is an error of SQLite itself; a damaged file is among them.
    #[error("database error: {0}")]
    Database(String),
    /// `Closed`: the host is stopping.
    #[error("the database is shutting down")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                Self::ReadOnly("the disk of the data folder is full: nothing can be saved until space is freed".into())
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(
                "the database is read-only: check the owner and the mode of the data folder and of nexus.db in it"
                    .into(),
            ),
            Some(ErrorCode::SystemIoFailure) => Self::ReadOnly(format!(
                "the disk of the data folder failed ({e}): nothing can be saved"
            )),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Database(format!(
                "nexus.db is damaged ({e}). To fix: restore a backup, or move the file away to \
                    start empty"
            )),
            _ => Self::Database(e.to_string()),
        }
    }
}
