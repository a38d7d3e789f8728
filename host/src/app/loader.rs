//! Loads plugins of the configuration by their names: finds them in the catalog, and gives the runtime the components that
//! are built in.

use crate::builtin;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved::{Source, Workspaces};
use nexus_plugin_host::{LoadError, Loaded, Runtime};
use nexus_plugin_traits::{AuthProvider, ChatBackend, NotLoaded, PluginLoader, StatusSender, TunnelProvider};
use nexus_registry::Catalog;
use std::sync::Arc;
use tokio::sync::watch;

/// `Loader` is a handle; clones load the same plugins.
#[derive(Clone)]
pub struct Loader {
    /// `runtime` runs what is loaded.
    pub(super) runtime: Arc<Runtime>,
    /// `catalog` has the plugins that can be loaded.
    pub catalog: Arc<Catalog>,
    /// `workspaces` are the folders in which chat backends work.
    pub(super) workspaces: Workspaces,
}

impl Loader {
    /// Loads a login plugin by its name. Blocks, as all of these: a plugin that was not used before is compiled.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn auth(&self, name: &str) -> Result<Arc<dyn AuthProvider>, NotLoaded> {
        let loaded = self.load(name)?;
        self.runtime.auth(loaded).map_err(|error| not_loaded(name, &error))
    }

    /// Loads a chat plugin by its name.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn chat(&self, name: &str, status: StatusSender) -> Result<Arc<dyn ChatBackend>, NotLoaded> {
        let loaded = self.load(name)?;
        let chat = self.runtime.chat(loaded, self.workspaces.clone(), status);
        chat.map_err(|error| not_loaded(name, &error))
    }

    /// Loads a tunnel plugin, whose processes belong to `process_owner`.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn tunnel(
        &self,
        name: &str,
        process_owner: String,
        status: StatusSender,
    ) -> Result<Arc<dyn TunnelProvider>, NotLoaded> {
        let loaded = self.load(name)?;
        let tunnel = self.runtime.tunnel(loaded, process_owner, status);
        tunnel.map_err(|error| not_loaded(name, &error))
    }

    fn load(&self, name: &str) -> Result<Loaded, NotLoaded> {
        let plugin = self.catalog.find(name);
        let plugin = plugin.map_err(|error| NotLoaded::Unavailable(error.to_string()))?;
        let shipped = match plugin.source {
            Source::Builtin => builtin::builtin(name),
            Source::File(_) => None,
        };
        let loaded = self.runtime.load(&plugin, shipped);
        loaded.map_err(|error| not_loaded(name, &error))
    }

    /// Loads on a thread of its own: compiling is no work for a thread of the async runtime.
    async fn off_the_runtime<P: ?Sized + Send + Sync + 'static>(
        &self,
        load: impl FnOnce(Self) -> Result<Arc<P>, NotLoaded> + Send + 'static,
    ) -> Result<Arc<P>, NotLoaded> {
        let loader = self.clone();
        let loaded = tokio::task::spawn_blocking(move || load(loader)).await;
        loaded.map_err(|error| NotLoaded::Unavailable(error.to_string()))?
    }
}

impl PluginLoader for Loader {
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        status: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        let plugin = plugin.to_owned();
        self.off_the_runtime(move |loader| loader.chat(&plugin, status)).boxed()
    }
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
        status: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        let (plugin, owner) = (plugin.to_owned(), process_owner.to_owned());
        self.off_the_runtime(move |loader| loader.tunnel(&plugin, owner, status))
            .boxed()
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.runtime.compiling()
    }
}

fn not_loaded(plugin: &str, error: &LoadError) -> NotLoaded {
    NotLoaded::Component {
        plugin: plugin.to_owned(),
        cause: error.to_string(),
    }
}
