//! Which tunnels the operator wants to be open: `tunnel.NAME.wanted` in the database, so that it survives a restart.

use nexus_store::Store;
use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) struct WantedTunnels(Store);

fn flag(tunnel: &str) -> String {
    format!("tunnel.{tunnel}.wanted")
}

impl WantedTunnels {
    pub(super) fn new(store: Store) -> Self {
        Self(store)
    }

    /// Those of these tunnels of which it was ever said.
    pub(super) async fn load(&self, tunnels: impl Iterator<Item = String>) -> BTreeMap<String, bool> {
        let mut wanted = BTreeMap::new();
        for name in tunnels {
            match self.0.flag(&flag(&name)).await {
                Ok(Some(is)) => drop(wanted.insert(name, is)),
                Ok(None) => {}
                // One that stays closed can be opened; all that stay closed with it would be a host that does not start.
                Err(error) => tracing::warn!(
                    tunnel = name,
                    %error,
                    "cannot read whether the tunnel was open; it stays closed until it is started"
                ),
            }
        }
        wanted
    }

    /// Durable when it returns. `Err`: a sentence for the operator.
    pub(super) async fn save(&self, tunnel: &str, wanted: bool) -> Result<(), String> {
        self.0.set_flag(&flag(tunnel), wanted).await.map_err(|e| e.to_string())
    }
}
