//! The SQLite database in the data folder, and the small stores on it: accounts, logins, lockouts, settings, the keys of
//! plugins, what happened; its backup, and the lock that keeps a second host away.
//!
//! One thread owns the writing connection, drains its queue and commits a batch as one transaction: under load many
//! streamed tokens share a commit, and one alone pays a few dozen microseconds. (A connection behind a mutex in
//! `spawn_blocking` was the alternative; it commits each event by itself.) Readers have connections of their own:
//! WAL lets them read beside the writer, and beside another process such as `nexus user passwd`.
//!
//! A commit that is not [`Durability::Synced`] survives the death of the process, `kill -9` included; only a power cut
//! may take it. What must survive that too says so.
//!
//! ```
//! # let data = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use nexus_store::{Durability, Store};
//!
//! let store = Store::open(data.path())?;
//! store.set_setting("tunnel.main.wanted", b"1".to_vec()).await?;
//! assert_eq!(store.flag("tunnel.main.wanted").await?, Some(true));
//! // Anything else is a closure in the writer's next transaction.
//! let changed = store.write(Durability::Synced, |db| db.execute("DELETE FROM setting", [])).await?;
//! assert_eq!(changed, 1);
//! # Ok::<_, nexus_store::StoreError>(())
//! # }).unwrap();
//! ```

#![warn(missing_docs)]

pub mod accounts;
pub mod activity_log;
pub mod backup;
mod connection;
mod database;
mod error;
mod in_memory;
mod key_value;
mod kv_error;
pub mod lock;
pub mod lockout;
pub mod logins;
mod private;
mod recent_activity;
mod schema;
pub mod settings;
pub mod snapshot;
mod sqlite_integers;
mod types;
mod writer;

pub use database::{Flushed, Store};
pub use error::StoreError;
pub use key_value::KeyValue;
pub use kv_error::KvError;
pub use sqlite_integers::{signed, unsigned};
pub use types::{Durability, Health, LoginId, UserId};
