//! The `store` capability's key-value pairs.

use crate::database::Store;
use crate::kv_error::KvError;
use crate::sqlite_integers::unsigned;
use crate::types::Durability;
use nexus_model::limits;
use rusqlite::{Connection, OptionalExtension as _, params};

fn valid(key: &str) -> Result<(), KvError> {
    if key.is_empty() || key.len() > limits::STORE_KEY_BYTES {
        return Err(KvError::Invalid(format!(
            "a key must have 1 to {} bytes, but this one has {}",
            limits::STORE_KEY_BYTES,
            key.len()
        )));
    }
    Ok(())
}

fn get(db: &Connection, plugin: &str, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT value FROM kv WHERE plugin = ?1 AND key = ?2")?
        .query_row([plugin, key], |row| row.get(0))
        .optional()
}

/// Writes a value. `Err`: the bytes over the quota where it does not fit.
fn put(db: &Connection, plugin: &str, key: &str, value: &[u8], quota: u64) -> rusqlite::Result<Result<(), KvError>> {
    let (others, keys): (i64, i64) = db
        .prepare_cached(
            "SELECT coalesce(sum(octet_length(key) + length(value)), 0), count(*) FROM kv WHERE plugin = ?1 AND key <> ?2",
        )?
        .query_row([plugin, key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // They are all looked at for each write: many small ones would make every other writer wait.
    if keys >= limits::STORE_KEYS {
        return Ok(Err(KvError::Full(format!(
            "the store of plugin {plugin} already has {keys} keys, the limit"
        ))));
    }
    let total = unsigned(others).saturating_add((key.len() + value.len()) as u64);
    if total > quota {
        return Ok(Err(KvError::Full(format!(
            "the store of plugin {plugin} would have {total} bytes, but its quota is {quota}"
        ))));
    }
    db.prepare_cached("INSERT OR REPLACE INTO kv(plugin, key, value) VALUES (?1, ?2, ?3)")?
        .execute(params![plugin, key, value])?;
    Ok(Ok(()))
}

/// `KeyValue` keeps key-value pairs by plugin. Each call is atomic, and what it wrote survives a power cut when it returns.
#[derive(Clone)]
pub struct KeyValue(Store);

impl From<Store> for KeyValue {
    fn from(store: Store) -> Self {
        Self(store)
    }
}

impl KeyValue {
    /// `get` is the value of a key.
    ///
    /// # Errors
    /// `Invalid`: the key is empty or too long. `Unavailable`: the database cannot be read.
    pub async fn get(&self, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        valid(key)?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        Ok(self.0.read(move |db| get(db, &plugin, &key)).await?)
    }

    /// `set` writes a value. `quota` is for the bytes of all keys and values of the plugin.
    ///
    /// # Errors
    /// As [`Self::get`]; `Full`: over the quota, or too many keys.
    pub async fn set(&self, plugin: &str, key: &str, value: Vec<u8>, quota: u64) -> Result<(), KvError> {
        valid(key)?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.0
            .write(Durability::Synced, move |db| put(db, &plugin, &key, &value, quota))
            .await?
    }

    /// `delete` removes a key, whether it is there or not.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete(&self, plugin: &str, key: &str) -> Result<(), KvError> {
        valid(key)?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.0
            .write(Durability::Synced, move |db| {
                db.prepare_cached("DELETE FROM kv WHERE plugin = ?1 AND key = ?2")?
                    .execute([plugin, key])
            })
            .await?;
        Ok(())
    }

    /// `keys` are the keys with a prefix, in byte order, at most `limit` of them, those after `after`.
    ///
    /// # Errors
    /// `Unavailable`: the database cannot be read.
    pub async fn keys(
        &self,
        plugin: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, KvError> {
        let (plugin, prefix) = (plugin.to_owned(), prefix.to_owned());
        let after = after.unwrap_or_default().to_owned();
        let keys = self.0.read(move |db| {
            // SQLite compares text byte by byte, so the keys of a prefix lie together.
            let mut query = db.prepare_cached(
                "SELECT key FROM kv WHERE plugin = ?1 AND key >= ?2 AND key > ?3 ORDER BY key LIMIT ?4",
            )?;
            let keys = query.query_map(params![plugin, prefix, after, limit], |row| row.get::<_, String>(0))?;
            keys.take_while(|key| key.as_ref().map_or(true, |key| key.starts_with(&prefix)))
                .collect()
        });
        Ok(keys.await?)
    }

    /// `compare_and_set` writes a value where the present one is `expected` (`None`: there is none), and tells whether it did.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub async fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        quota: u64,
    ) -> Result<bool, KvError> {
        valid(key)?;
        let (plugin, key) = (plugin.to_owned(), key.to_owned());
        self.0
            .write(Durability::Synced, move |db| {
                if get(db, &plugin, &key)? != expected {
                    return Ok(Ok(false));
                }
                Ok(put(db, &plugin, &key, &value, quota)?.map(|()| true))
            })
            .await?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_values_quota() {
        let dir = tempfile::tempdir().unwrap();
        let kv = KeyValue::from(Store::open(dir.path()).unwrap());
        kv.set("p", "a/1", b"x".to_vec(), 100).await.unwrap();
        kv.set("p", "a/2", b"y".to_vec(), 100).await.unwrap();
        kv.set("p", "b", b"z".to_vec(), 100).await.unwrap();
        kv.set("q", "a/3", b"other".to_vec(), 100).await.unwrap();
        assert_eq!(kv.keys("p", "a/", None, 10).await.unwrap(), ["a/1", "a/2"]);
        assert_eq!(kv.keys("p", "a/", Some("a/1"), 10).await.unwrap(), ["a/2"]);
        assert_eq!(kv.keys("p", "", None, 1).await.unwrap(), ["a/1"]);
        assert_eq!(kv.get("q", "a/1").await.unwrap(), None);
        let full = kv.set("p", "big", vec![0; 90], 100).await.unwrap_err();
        assert!(matches!(full, KvError::Full(_)), "{full}");
        // replacing counts the key once: 3+1 + 3+1 + 1 + 91 bytes
        kv.set("p", "b", vec![0; 91], 100).await.unwrap();
        kv.delete("p", "b").await.unwrap();
        assert_eq!(kv.get("p", "b").await.unwrap(), None);
        assert!(matches!(kv.set("p", "", vec![], 100).await, Err(KvError::Invalid(_))));
    }

    #[tokio::test]
    async fn the_number_of_keys_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let kv = KeyValue::from(Store::open(dir.path()).unwrap());
        let fill = |db: &Connection| {
            let mut insert = db.prepare("INSERT INTO kv(plugin, key, value) VALUES ('p', ?1, x'')")?;
            (0..limits::STORE_KEYS).try_for_each(|n| insert.execute([n.to_string()]).map(drop))
        };
        kv.0.write(Durability::Process, fill).await.unwrap();
        let full = kv.set("p", "one more", Vec::new(), u64::MAX).await.unwrap_err();
        assert!(
            matches!(&full, KvError::Full(cause) if cause.contains("10000 keys")),
            "{full}"
        );
        kv.set("p", "7", b"changed".to_vec(), u64::MAX).await.unwrap();
        kv.delete("p", "8").await.unwrap();
        kv.set("p", "one more", Vec::new(), u64::MAX).await.unwrap();
        kv.set("q", "of another", Vec::new(), u64::MAX).await.unwrap();
    }

    #[tokio::test]
    async fn compare_and_set_has_one_winner() {
        let dir = tempfile::tempdir().unwrap();
        let kv = KeyValue::from(Store::open(dir.path()).unwrap());
        let tries = (0..8u8).map(|n| kv.compare_and_set("p", "k", None, vec![n], 100));
        let won = futures::future::join_all(tries)
            .await
            .into_iter()
            .filter(|r| *r == Ok(true))
            .count();
        assert_eq!(won, 1);
        assert!(
            !kv.compare_and_set("p", "k", Some(b"no".to_vec()), vec![9], 100)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn survives_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let kv = KeyValue::from(Store::open(dir.path()).unwrap());
        kv.set("p", "k", b"v".to_vec(), 100).await.unwrap();
        drop(kv);
        let kv = KeyValue::from(Store::open(dir.path()).unwrap());
        assert_eq!(kv.get("p", "k").await.unwrap().as_deref(), Some(&b"v"[..]));
    }
}
