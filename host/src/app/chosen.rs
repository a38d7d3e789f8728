//! Which plugin took the place of the one that the configuration names, over a restart: `tunnel.NAME.plugin` and
//! `chat.NAME.plugin` of the database.
//!
//! The file is not written: it is the operator's, may be read-only, and what an agent could change there would count at
//! the next start. What was chosen is kept beside what the file said then; a file that says something else now was edited
//! since, and counts.

use crate::config::resolved::Plugin;
use crate::model::plugin::Kind;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
struct Chosen {
    plugin: String,
    instead_of: String,
}

/// `place`: `tunnel.main`.
fn setting(place: &str) -> String {
    format!("{place}.plugin")
}

/// Durable when it returns. `Err`: a sentence for the operator.
pub(super) async fn keep(store: &Store, place: &str, configured: &str, plugin: &str) -> Result<(), String> {
    let chosen = Chosen {
        plugin: plugin.to_owned(),
        instead_of: configured.to_owned(),
    };
    let json = serde_json::to_vec(&chosen).map_err(|e| e.to_string())?;
    store
        .set_setting(&setting(place), json)
        .await
        .map_err(|e| e.to_string())
}

/// The plugin for a place: that of the configuration, or the one that took over since.
pub(super) async fn plugin(
    store: &Store,
    place: &str,
    configured: &str,
    kind: Kind,
    known: &BTreeMap<String, Plugin>,
) -> String {
    let saved = store.setting(&setting(place)).await.ok().flatten();
    let chosen = saved.and_then(|json| serde_json::from_slice::<Chosen>(&json).ok());
    let usable = |chosen: &Chosen| {
        chosen.instead_of == configured
            && chosen.plugin != configured
            && known.get(&chosen.plugin).is_some_and(|plugin| plugin.kind == kind)
    };
    let Some(chosen) = chosen.filter(usable) else {
        return configured.to_owned();
    };
    tracing::info!(
        place,
        plugin = chosen.plugin,
        configured,
        "this plugin took over before the restart, and keeps its place until the configuration names another"
    );
    chosen.plugin
}
