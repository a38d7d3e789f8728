//! Which plugin took the place of the one that the configuration names, over a restart: `tunnel.NAME.plugin` and
//! `chat.NAME.plugin` of the database.
//!
//! The file is not written: it is the operator's, may be read-only, and what an agent could change there would count at
//! the next start. What was chosen is kept beside what the file said then; a file that says something else now was edited
//! since, and counts.

use super::catalog::Catalog;
use super::{chat, tunnels};
use crate::config::resolved::Config;
use crate::model::plugin::Kind;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    plugin: String,
    instead_of: String,
}

pub(super) struct Chosen {
    store: Store,
    /// The plugin that the file names, by place (`tunnel.main`).
    configured: Mutex<BTreeMap<String, String>>,
}

/// `place`: `tunnel.main`.
fn setting(place: &str) -> String {
    format!("{place}.plugin")
}

fn named(config: &Config) -> BTreeMap<String, String> {
    let tunnels = config.tunnels.values();
    let tunnels = tunnels.map(|tunnel| (tunnels::place_of(&tunnel.name), tunnel.plugin.clone()));
    tunnels
        .chain([(chat::place_of(&config.chat.name), config.chat.plugin.clone())])
        .collect()
}

impl Chosen {
    pub(super) fn new(store: Store, config: &Config) -> Self {
        let configured = Mutex::new(named(config));
        Self { store, configured }
    }

    /// What the file says from now on.
    pub(super) fn file_says(&self, config: &Config) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = named(config);
    }

    fn configured(&self, place: &str) -> String {
        let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        configured.get(place).cloned().unwrap_or_default()
    }

    /// Durable when it returns. `Err`: a sentence for the operator.
    pub(super) async fn keep(&self, place: &str, plugin: &str) -> Result<(), String> {
        let chosen = Record {
            plugin: plugin.to_owned(),
            instead_of: self.configured(place),
        };
        let json = serde_json::to_vec(&chosen).map_err(|e| e.to_string())?;
        let kept = self.store.set_setting(&setting(place), json).await;
        kept.map_err(|e| e.to_string())
    }

    /// The plugin for a place: that of the configuration, or the one that took over since.
    pub(super) async fn plugin(&self, place: &str, kind: Kind, known: &Catalog) -> String {
        let configured = self.configured(place);
        let saved = self.store.setting(&setting(place)).await.ok().flatten();
        let chosen = saved.and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        let usable = |chosen: &Record| {
            chosen.instead_of == configured && chosen.plugin != configured && known.check(&chosen.plugin, kind).is_ok()
        };
        let Some(chosen) = chosen.filter(usable) else {
            return configured;
        };
        tracing::info!(
            place,
            plugin = chosen.plugin,
            configured,
            "this plugin took over before the restart, and keeps its place until the configuration names another"
        );
        chosen.plugin
    }
}
