//! What the `store` capability sees of the database.

use futures::future::BoxFuture;

/// A sentence for the operator each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Over the quota.
    #[error("{0}")]
    Full(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unavailable(String),
}

/// Key-value pairs by plugin. Each call is atomic, and durable when it returns.
pub trait KeyValue: Send + Sync + 'static {
    fn get(&self, plugin: &str, key: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, KvError>>;
    /// `quota`: bytes over all keys and values of the plugin.
    fn set(&self, plugin: &str, key: &str, value: Vec<u8>, quota: u64) -> BoxFuture<'_, Result<(), KvError>>;
    fn delete(&self, plugin: &str, key: &str) -> BoxFuture<'_, Result<(), KvError>>;
    /// In byte order, at most `limit`, after `after`.
    fn keys(
        &self,
        plugin: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<String>, KvError>>;
    fn compare_and_set(
        &self,
        plugin: &str,
        key: &str,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        quota: u64,
    ) -> BoxFuture<'_, Result<bool, KvError>>;
}
