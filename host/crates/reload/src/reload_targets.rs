//! The rooms that a change of the configuration concerns.

use crate::active_plugins::ActivePlugins;
use crate::error::NotApplied;
use nexus_chat::ChatService;
use nexus_config::resolved::{Config, Tunnel};
use nexus_registry::Plugins;
use nexus_tunnels::TunnelService;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `ReloadTargets` are told of a change.
pub struct ReloadTargets {
    /// `plugins` are those of the host.
    pub plugins: Plugins,
    /// `tunnels` are opened again, made and removed.
    pub tunnels: Arc<TunnelService>,
    /// `chat` is given to another plugin.
    pub chat: Arc<ChatService>,
}

impl ReloadTargets {
    /// `fixed`: see [`ActivePlugins::fixed`].
    pub(crate) fn serving(&self, chat_name: &str, fixed: &BTreeSet<String>) -> ActivePlugins {
        ActivePlugins {
            tunnels: self.tunnels.serving(),
            closed: self.tunnels.closed(),
            chat: self.chat.plugin(),
            chat_name: chat_name.to_owned(),
            fixed: fixed.clone(),
        }
    }

    /// The plugins that the start loads and that no change loads again.
    pub(crate) fn fixed(running: &Config) -> BTreeSet<String> {
        let fixed = running.chat.fallback.iter().chain([&running.auth.plugin]);
        fixed.cloned().collect()
    }

    /// What was read, where it can be offered: not where what serves is not fit any more, a component in the middle of being
    /// written. What was not fit before keeps nothing from counting.
    pub(crate) fn offered(&self, config: Config) -> Result<Config, String> {
        match self.plugins.catalog.lost(&config) {
            Some(report) => Err(report),
            None => Ok(config),
        }
    }

    /// Opens a tunnel again as it is described; one that is not there is made.
    pub(crate) async fn tunnel(&self, tunnel: Tunnel) -> Result<(), NotApplied> {
        let applied = self.tunnels.apply(tunnel).await;
        applied.map_err(|error| NotApplied(error.to_string()))
    }

    pub(crate) async fn remove_tunnel(&self, name: &str) -> Result<(), NotApplied> {
        let removed = self.tunnels.remove(name).await;
        removed.map_err(|error| NotApplied(error.to_string()))
    }

    /// Lets a plugin, reloaded, be the chat backend.
    pub(crate) async fn chat(&self, plugin: &str) -> Result<(), NotApplied> {
        let applied = self.chat.apply(plugin).await;
        applied.map_err(|error| NotApplied(error.to_string()))
    }
}
