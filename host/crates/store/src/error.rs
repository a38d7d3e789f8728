//! Why the database did not do what was asked.

use rusqlite::ErrorCode;

/// `StoreError` holds a sentence for the operator in each of its variants: the cause, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Disk full, read-only, or an I/O error: nothing can be written until the operator acts.
    #[error("{0}")]
    ReadOnly(String),
    #[error(
        "the database {path} has schema {found}, but this version of nexus supports up to {known}. To fix: start the \
         newer nexus that wrote it, or restore an older backup"
    )]
    /// It was written by a newer nexus.
    Newer { path: String, found: i64, known: i64 },
    /// Another nexus uses the data directory.
    #[error("{0}")]
    Locked(String),
    /// It cannot be opened.
    #[error("{0}")]
    Open(String),
    /// SQLite's own; a damaged file among them.
    #[error("database error: {0}")]
    Database(String),
    /// The host ends.
    #[error("the database is shutting down")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::ReadOnly(
                "the disk of the data directory is full: nothing can be saved until space is freed".into(),
            ),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(
                "the database is read-only: check the owner and the mode of the data directory and of nexus.db in it"
                    .into(),
            ),
            Some(ErrorCode::SystemIoFailure) => Self::ReadOnly(format!(
                "the disk of the data directory failed ({e}): nothing can be saved"
            )),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Database(format!(
                "nexus.db is damaged ({e}). To fix: restore a backup, or move the file away to \
                    start empty"
            )),
            _ => Self::Database(e.to_string()),
        }
    }
}
