//! The host that the configuration's file is read again for: each call goes to the room that does it.

use super::foundation::{Again, Foundation};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_chat::ChatService;
use nexus_config::resolved::{Config, Plugin, Tunnel};
use nexus_registry::Plugins;
use nexus_reload::{ActivePlugins, Host};
use nexus_tunnels::TunnelService;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What only the command line knows. `Err`: a sentence for the operator.
pub struct Rereading {
    /// The file to look at, which need not be there; none: none.
    pub file: Option<PathBuf>,
    /// Reads and checks it as at the start.
    pub read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// What this machine makes now of the configuration as it was at the start.
    pub again: Again,
    /// Gives the log another filter.
    pub filter: SetFilter,
}

pub type SetFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

pub(super) struct Running {
    pub(super) rereading: Rereading,
    pub(super) foundation: Arc<Foundation>,
    pub(super) plugins: Plugins,
    pub(super) tunnels: Arc<TunnelService>,
    pub(super) chat: Arc<ChatService>,
}

impl Host for Running {
    fn read(&self) -> Result<Config, String> {
        let config = (self.rereading.read)()?;
        // What serves and is not fit any more (a component in the middle of being written) is no change to be offered;
        // what was not fit before keeps nothing from counting.
        match self.plugins.catalog.lost(&config) {
            Some(broken) => Err(broken.report.clone()),
            None => Ok(config),
        }
    }
    fn would_load(&self, plugin: &Plugin) -> Result<(), String> {
        self.foundation.would_load(plugin).map_err(|why| why.to_string())
    }
    fn file_says(&self, config: &Config) {
        self.plugins.overrides.file_says(config);
    }
    fn serving(&self) -> ActivePlugins {
        let config = &self.foundation.config;
        let fixed = config.chat.fallback.iter().chain([&config.auth.plugin]);
        ActivePlugins {
            tunnels: self.tunnels.serving(),
            chat: self.chat.plugin(),
            chat_name: config.chat.name.clone(),
            fixed: fixed.cloned().collect(),
        }
    }
    fn log_filter(&self, filter: &str) -> Result<(), String> {
        (self.rereading.filter)(filter)
    }
    fn plugins(&self, plugins: BTreeMap<String, Plugin>) {
        self.plugins.catalog.replace(plugins);
    }
    fn tunnel(&self, tunnel: Tunnel) -> BoxFuture<'_, Result<(), String>> {
        async move { self.tunnels.apply(tunnel).await.map_err(|error| error.to_string()) }.boxed()
    }
    fn remove_tunnel<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async move { self.tunnels.remove(name).await.map_err(|error| error.to_string()) }.boxed()
    }
    fn chat(&self, plugin: String) -> BoxFuture<'_, Result<(), String>> {
        async move { self.chat.apply(&plugin).await.map_err(|error| error.to_string()) }.boxed()
    }
}
