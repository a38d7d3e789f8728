//! What lies below the services: the data folder with its lock and database, the process table, the outgoing
//! client, and the runtime with the plugins of the configuration. Also all that `nexus user` needs.

use crate::builtin;
use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved::{Config, Plugin, Source};
use nexus_model::time::{Clock, random_token};
use nexus_plugin_host::{LoadError, Loaded, Runtime, RuntimeOptions};
use nexus_plugin_traits::{AuthProvider, ChatBackend, NotLoaded, PluginLoader, ShownIn, TunnelProvider};
use nexus_process::{Processes, Refusing, TableOptions};
use nexus_registry::{Again, Catalog};
use nexus_store::Store;
use nexus_store::lock::Lock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// `DataDirLock` is the data folder, for this process alone.
pub struct DataDirLock(Lock);

impl DataDirLock {
    /// Takes the lock of the data folder.
    ///
    /// # Errors
    /// Another nexus runs on it.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(Lock::acquire(data_dir)?))
    }

    /// Says where the page listens, for the message that a second nexus gets.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn listening(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        Ok(self.0.listening(&format!("http://{address}"))?)
    }
}

/// `Foundation` is what the services stand on. There is one for each process.
pub struct Foundation {
    /// `config` is as it was at the start.
    pub config: Config,
    /// `catalog` has the plugins that can be loaded.
    pub catalog: Arc<Catalog>,
    /// `store` is the database in the data folder.
    pub store: Store,
    /// `processes` is the table of child processes.
    pub processes: Arc<dyn Processes>,
    runtime: Arc<Runtime>,
    _lock: Option<DataDirLock>,
}

impl Foundation {
    /// Opens the database and makes the rest. Without `held` there are no child processes: another host may own them.
    ///
    /// # Errors
    /// The database cannot be opened, or the machine cannot run plugins.
    pub fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        lock: Option<DataDirLock>,
        again: Option<Again>,
    ) -> anyhow::Result<Self> {
        let store = Store::open(&config.data_dir)?;
        let processes: Arc<dyn Processes> = if lock.is_some() {
            processes(&config, &config.data_dir)?
        } else {
            Arc::new(Refusing::new("Only `nexus up` starts processes, not this command."))
        };
        let cache_in = config.data_dir.clone();
        Self::on(store, processes, config, clock, cache_in, lock, again)
    }

    /// Makes one for a look at the plugins beside a host that runs: programs can be asked for their version, but with a
    /// folder and a store of their own below `scratch`, so that nothing of the host is touched but its cache.
    ///
    /// # Errors
    /// `scratch` cannot be written, or the machine cannot run plugins.
    pub fn beside(config: Config, clock: Arc<dyn Clock>, scratch: &Path) -> anyhow::Result<Self> {
        let store = Store::open(scratch)?;
        let processes = processes(&config, scratch)?;
        // Looking must not make a data folder where there is none.
        let cache_in = if config.data_dir.exists() {
            config.data_dir.clone()
        } else {
            scratch.to_owned()
        };
        Self::on(store, processes, config, clock, cache_in, None, None)
    }

    fn on(
        store: Store,
        processes: Arc<dyn Processes>,
        config: Config,
        clock: Arc<dyn Clock>,
        cache_in: PathBuf,
        lock: Option<DataDirLock>,
        again: Option<Again>,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in,
            clock,
            processes: Arc::clone(&processes),
            outgoing: Arc::new(nexus_egress::Client::new()),
            kv: store.clone().into(),
        })?;
        Ok(Self {
            catalog: Arc::new(Catalog::new(&config).looking(again)),
            config,
            store,
            processes,
            runtime,
            _lock: lock,
        })
    }

    /// Loads the login plugin that is selected.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn auth(&self) -> Result<Arc<dyn AuthProvider>, NotLoaded> {
        let name = &self.config.auth.plugin;
        let loaded = self.load(name)?;
        self.runtime.auth(loaded).map_err(|error| not_loaded(name, &error))
    }

    /// Loads a chat plugin by its name.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn chat(&self, name: &str, status: ShownIn) -> Result<Arc<dyn ChatBackend>, NotLoaded> {
        let loaded = self.load(name)?;
        let workspace = self.config.chat.workspace.clone();
        let chat = self.runtime.chat(loaded, workspace, status);
        chat.map_err(|error| not_loaded(name, &error))
    }

    /// Loads a tunnel plugin, whose processes belong to `process_owner`.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn tunnel(
        &self,
        plugin: &str,
        process_owner: String,
        status: ShownIn,
    ) -> Result<Arc<dyn TunnelProvider>, NotLoaded> {
        let loaded = self.load(plugin)?;
        let tunnel = self.runtime.tunnel(loaded, process_owner, status);
        tunnel.map_err(|error| not_loaded(plugin, &error))
    }

    /// Checks that the component of this plugin would load, without running it.
    ///
    /// # Errors
    /// Why the component of this plugin would not load.
    pub fn would_load(&self, plugin: &Plugin) -> Result<(), LoadError> {
        self.runtime.would_load(plugin)
    }

    /// The names of the plugins that are being compiled.
    pub fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.runtime.compiling()
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
}

/// `processes` is the table of child processes, whose files are kept in `data_dir`.
fn processes(config: &Config, data_dir: &Path) -> anyhow::Result<Arc<dyn Processes>> {
    Ok(nexus_process::open(TableOptions {
        data_dir: data_dir.to_owned(),
        instance_id: random_token()?,
        shim_exe: std::env::current_exe().context("cannot find this program's own file")?,
        hidden_env: config.secret_variables.clone(),
    })?)
}

fn not_loaded(plugin: &str, error: &LoadError) -> NotLoaded {
    NotLoaded::Component {
        plugin: plugin.to_owned(),
        why: error.to_string(),
    }
}

/// Loads on a thread of its own: compiling is no work for a thread of the async runtime.
async fn off_the_runtime<P: ?Sized + Send + Sync + 'static>(
    load: impl FnOnce() -> Result<Arc<P>, NotLoaded> + Send + 'static,
) -> Result<Arc<P>, NotLoaded> {
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.map_err(|error| NotLoaded::Unavailable(error.to_string()))?
}

/// `Loader` is a handle, for [`PluginLoader`].
pub(super) struct Loader(pub(super) Arc<Foundation>);

impl PluginLoader for Loader {
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        status: ShownIn,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        let (foundation, plugin) = (Arc::clone(&self.0), plugin.to_owned());
        off_the_runtime(move || foundation.chat(&plugin, status)).boxed()
    }
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
        status: ShownIn,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        let (foundation, plugin, owner) = (Arc::clone(&self.0), plugin.to_owned(), process_owner.to_owned());
        off_the_runtime(move || foundation.tunnel(&plugin, owner, status)).boxed()
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.0.compiling()
    }
}
