//! The store of a plugin, and how fast it writes into it.

use crate::capabilities::host_services::HostServices;
use nexus_config::resolved::Plugin;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_store::KeyValue;

/// `StoreState` has the store of a plugin.
pub(in crate::capabilities) struct StoreState {
    pub(super) kv: KeyValue,
    /// `writes` bounds the bytes that it writes, over time.
    pub(super) writes: TokenBucket,
}

impl StoreState {
    pub(in crate::capabilities) fn new(services: &HostServices, plugin: &Plugin) -> Self {
        Self {
            kv: services.kv.clone(),
            writes: TokenBucket::new(plugin.grants.store.writes as f64, limits::STORE_WRITES_WINDOW),
        }
    }
}
