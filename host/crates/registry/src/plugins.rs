//! All that a service needs to let another plugin serve.

use crate::{Catalog, LazyPlugin, LoadProgress, PluginOverrides, PluginStatuses};
use futures::FutureExt as _;
use nexus_config::resolved::Tunnel;
use nexus_model::plugin::Kind;
use nexus_model::time::Clock;
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::{ChatBackend, PluginLoader, TunnelProvider};
use std::sync::Arc;

/// `Plugins` is one for the whole host, and cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    /// `catalog` has the plugins that can be loaded.
    pub catalog: Arc<Catalog>,
    /// `statuses` has those that serve.
    pub statuses: Arc<PluginStatuses>,
    /// `overrides` says which of them serve instead of the configured ones.
    pub overrides: Arc<PluginOverrides>,
    /// `progress` says how far loading is.
    pub progress: Arc<LoadProgress>,
    /// `loader` makes an instance of a plugin of the catalog.
    pub loader: Arc<dyn PluginLoader>,
}

impl Plugins {
    /// Makes a chat backend that is being loaded.
    pub fn late_chat(&self, name: &str, clock: &Arc<dyn Clock>) -> Arc<dyn ChatBackend> {
        let (plugins, plugin) = (self.clone(), name.to_owned());
        let load = move |status| {
            let (plugins, plugin) = (plugins.clone(), plugin.clone());
            async move {
                let loaded = plugins.loader.load_chat(&plugin, Some(status)).await;
                loaded.map_err(|error| plugins.catalog.unloadable(&plugin, "nexus chat start", error.cause()))
            }
            .boxed()
        };
        let late = LazyPlugin::<dyn ChatBackend>::new(name, Kind::Chat, Arc::clone(clock), Box::new(load));
        late.prepare(self.progress.begin());
        Arc::new(late)
    }

    /// Makes a tunnel's plugin that is being loaded. `barred` says why none may be, where that is so.
    pub fn late_tunnel(
        &self,
        tunnel: &Tunnel,
        barred: Option<String>,
        clock: &Arc<dyn Clock>,
    ) -> Arc<dyn TunnelProvider> {
        let (plugins, tunnel, name) = (self.clone(), tunnel.clone(), tunnel.plugin.clone());
        let load = move |status| {
            let (plugins, tunnel, barred) = (plugins.clone(), tunnel.clone(), barred.clone());
            async move {
                let plugin = &tunnel.plugin;
                if let Some(cause) = barred {
                    return Err(Trouble {
                        subject: format!("plugin {plugin}"),
                        cause,
                        // It is no matter of this plugin.
                        fix: None,
                    });
                }
                let command = format!("nexus tunnel start {}", tunnel.name);
                let owner = tunnel.process_owner();
                let loaded = plugins.loader.load_tunnel(plugin, &owner, Some(status)).await;
                loaded.map_err(|error| plugins.catalog.unloadable(plugin, &command, error.cause()))
            }
            .boxed()
        };
        let late = LazyPlugin::<dyn TunnelProvider>::new(&name, Kind::Tunnel, Arc::clone(clock), Box::new(load));
        late.prepare(self.progress.begin());
        Arc::new(late)
    }
}
