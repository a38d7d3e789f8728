//! Which plugin took the place of the one that the configuration names, over a restart: `tunnel.NAME.plugin` and
//! `chat.NAME.plugin` of the database.
//!
//! The file is not written: it is the operator's, may be read-only, and what an agent could change there would count at
//! the next start. What was chosen is kept beside what the file said then; a file that says something else now was edited
//! since, and counts.

use crate::catalog::Catalog;
use nexus_config::resolved::Config;
use nexus_model::plugin::Kind;
use nexus_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    plugin: String,
    /// `instead_of` is the plugin of the file that was active.
    instead_of: String,
    /// `unconfirmed` is the plugin that the file said besides, and that was not confirmed: going back from there is no
    /// word against the swap either.
    #[serde(default)]
    unconfirmed: Option<String>,
}

/// `NotKept` says why it is not remembered which plugin serves: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// `Store`: the database does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `Json`: it cannot be written down.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

type Named = BTreeMap<String, String>;

/// `PluginOverrides` remembers which plugin was swapped in at which place. There is one for the whole host.
pub struct PluginOverrides {
    store: Store,
    /// `named` are the plugins by place (`tunnel.main`): those that are active, and those that the file names.
    named: Mutex<(Named, Named)>,
}

/// `tunnel_place` is the place of a tunnel in the database: `tunnel.main`.
pub fn tunnel_place(tunnel: &str) -> String {
    format!("tunnel.{tunnel}")
}

/// `chat_place` is the place of a chat in the database: `chat.main`.
pub fn chat_place(chat: &str) -> String {
    format!("chat.{chat}")
}

/// `setting` names the setting of a `place` such as `tunnel.main`.
fn setting(place: &str) -> String {
    format!("{place}.plugin")
}

fn named(config: &Config) -> BTreeMap<String, String> {
    let tunnels = config.tunnels.values();
    let tunnels = tunnels.map(|tunnel| (tunnel_place(&tunnel.name), tunnel.plugin.clone()));
    tunnels
        .chain([(chat_place(&config.chat.name), config.chat.plugin.clone())])
        .collect()
}

impl PluginOverrides {
    /// Takes what the file says at the start, which is then also what is active.
    pub fn new(store: Store, config: &Config) -> Self {
        let named = Mutex::new((named(config), named(config)));
        Self { store, named }
    }

    fn named(&self) -> MutexGuard<'_, (Named, Named)> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the file says from now on, whether or not it is applied.
    pub fn file_says(&self, config: &Config) {
        self.named().1 = named(config);
    }

    /// Makes a change that the operator has confirmed: if the file names this plugin for the place, that is active from now
    /// on; where the change fails, what was active before is.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn confirm<T, E>(
        &self,
        place: &str,
        plugin: &str,
        change: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let before = self.confirmed(place, plugin);
        change.await.inspect_err(|_| self.restore(place, before))
    }

    /// Makes the file's word for a place active from now on, if it is this plugin. Returns what was active before.
    fn confirmed(&self, place: &str, plugin: &str) -> Option<String> {
        let (counts, file) = &mut *self.named();
        if file.get(place).is_some_and(|named| named == plugin) {
            return counts.insert(place.to_owned(), plugin.to_owned());
        }
        counts.get(place).cloned()
    }

    /// Takes that back.
    fn restore(&self, place: &str, plugin: Option<String>) {
        let (counts, _) = &mut *self.named();
        match plugin {
            Some(plugin) => counts.insert(place.to_owned(), plugin),
            None => counts.remove(place),
        };
    }

    /// Keeps `plugin` at `place`, over a restart. It survives a power cut when this returns.
    ///
    /// # Errors
    /// The database does not take it.
    pub async fn keep(&self, place: &str, plugin: &str) -> Result<(), NotKept> {
        let chosen = {
            let (counts, file) = &*self.named();
            let instead_of = counts.get(place).cloned().unwrap_or_default();
            Record {
                plugin: plugin.to_owned(),
                unconfirmed: file.get(place).filter(|named| **named != instead_of).cloned(),
                instead_of,
            }
        };
        let json = serde_json::to_vec(&chosen)?;
        Ok(self.store.set_setting(&setting(place), json).await?)
    }

    /// `plugin` is the one for a place: that of the configuration, or the one that has replaced it since.
    pub async fn plugin(&self, place: &str, kind: Kind, known: &Catalog) -> String {
        let configured = self.named().0.get(place).cloned().unwrap_or_default();
        let saved = self.store.setting(&setting(place)).await.ok().flatten();
        let chosen = saved.and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        let usable = |chosen: &Record| {
            (chosen.instead_of == configured || chosen.unconfirmed.as_ref() == Some(&configured))
                && chosen.plugin != configured
                && known.check(&chosen.plugin, kind).is_ok()
        };
        let Some(chosen) = chosen.filter(usable) else {
            return configured;
        };
        tracing::info!(
            place,
            plugin = chosen.plugin,
            configured,
            "this plugin was selected before the restart and stays selected until the configuration names another"
        );
        chosen.plugin
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    fn config(dir: &std::path::Path, plugin: &str) -> Config {
        nexus_testkit::config(dir, &format!("[tunnel.main]\nplugin = \"{plugin}\"\n"))
    }

    /// Who serves `tunnel.main` after a restart with the file naming `plugin`.
    async fn after(store: &Store, dir: &std::path::Path, plugin: &str) -> String {
        let config = config(dir, plugin);
        let catalog = Catalog::new(&config);
        let chosen = PluginOverrides::new(store.clone(), &config);
        chosen.plugin("tunnel.main", Kind::Tunnel, &catalog).await
    }

    #[tokio::test]
    async fn a_swap_lasts_until_the_file_says_what_it_did_not_say_then() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (file, edited, swapped) = ("tunnel-cloudflared", "tunnel-ssh", "tunnel-bore");
        let chosen = PluginOverrides::new(store.clone(), &config(dir.path(), file));
        chosen.keep("tunnel.main", swapped).await.unwrap();
        assert_eq!(after(&store, dir.path(), file).await, swapped);
        assert_eq!(after(&store, dir.path(), edited).await, edited);

        // Swapped while an edit waits: neither to leave it nor to take it back is a word against the swap.
        chosen.file_says(&config(dir.path(), edited));
        chosen.keep("tunnel.main", swapped).await.unwrap();
        assert_eq!(after(&store, dir.path(), file).await, swapped);
        assert_eq!(after(&store, dir.path(), edited).await, swapped);

        // Confirmed: to go back to the first is an edit again.
        assert_eq!(chosen.confirmed("tunnel.main", edited).as_deref(), Some(file));
        chosen.keep("tunnel.main", edited).await.unwrap();
        assert_eq!(after(&store, dir.path(), edited).await, edited);
        assert_eq!(after(&store, dir.path(), file).await, file);
    }
}
