//! Small facts of the services that outlive a restart: whether a tunnel is wanted, the key that signs device cookies.

use crate::database::Store;
use crate::error::StoreError;
use crate::types::Durability;
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) fn get(db: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn set(db: &Connection, name: &str, value: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO setting(name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

impl Store {
    /// Reads a setting. Names are dotted: `tunnel.main.wanted`.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| get(db, &name)).await
    }

    /// Writes a setting. It survives a power cut when this returns.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn set_setting(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write(Durability::Synced, move |db| set(db, &name, &value)).await
    }

    /// Reads a setting that [`Store::set_flag`] wrote; `None`: it was never set.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn flag(&self, name: &str) -> Result<Option<bool>, StoreError> {
        Ok(self.setting(name).await?.map(|value| value == b"1"))
    }

    /// Writes a setting that is true or false. It survives a power cut when this returns.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn set_flag(&self, name: &str, value: bool) -> Result<(), StoreError> {
        self.set_setting(name, if value { b"1".to_vec() } else { b"0".to_vec() })
            .await
    }

    /// Reads a setting, and sets it to `fresh` where there is none yet.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn setting_or(&self, name: &str, fresh: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if let Some(value) = self.setting(name).await? {
            return Ok(value);
        }
        let name = name.to_owned();
        self.write(Durability::Synced, move |db| {
            if let Some(value) = get(db, &name)? {
                return Ok(value);
            }
            set(db, &name, &fresh)?;
            Ok(fresh)
        })
        .await
    }
}
