//! What lies below the services: the data directory with its lock and database, the process table, the outgoing
//! client, and the runtime with the plugins of the configuration. Also all that `nexus user` needs.

use crate::builtin;
use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved::{Config, Plugin, Source, Tunnel};
use nexus_model::plugin::{Kind, PluginStatus};
use nexus_model::time::{Clock, random_token};
use nexus_model::trouble::{Trouble, parted, sentence};
use nexus_plugin_host::{Late, LoadError, Loaded, Runtime, RuntimeOptions};
use nexus_plugin_traits::{AuthProvider, ChatBackend, PluginLoader, TunnelProvider};
use nexus_process::{Processes, Refusing, TableOptions};
use nexus_registry::Catalog;
use nexus_store::Store;
use nexus_store::lock::Lock;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The data directory, for this process alone.
pub struct DataDirLock(Lock);

impl DataDirLock {
    /// # Errors
    /// Another nexus runs on it.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(Lock::acquire(data_dir)?))
    }

    /// # Errors
    /// The directory cannot be written.
    pub fn listening(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        Ok(self.0.listening(&format!("http://{address}"))?)
    }
}

/// What this machine makes of the active configuration now. `Err`: a sentence for the operator.
pub type Again = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

pub struct Foundation {
    /// As it was at the start.
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub store: Store,
    pub processes: Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
    runtime: Arc<Runtime>,
    /// None: what was not fit when the configuration was read stays so.
    again: Option<Again>,
    _lock: Option<DataDirLock>,
}

impl Foundation {
    /// Without `lock` there are no child processes: another host may own them.
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
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in: config.data_dir.clone(),
            clock: Arc::clone(&clock),
            processes: Arc::clone(&processes),
            outgoing: Arc::new(nexus_egress::Client::new()),
            kv: store.clone().into(),
        })?;
        Ok(Self {
            catalog: Arc::new(Catalog::new(&config)),
            config,
            store,
            processes,
            clock,
            runtime,
            again,
            _lock: lock,
        })
    }

    /// For a look at the plugins beside a host that runs: programs can be asked for their version, but with a folder and a
    /// store of their own below `scratch`, so that nothing of the host is touched but its cache.
    ///
    /// # Errors
    /// `scratch` cannot be written, or the machine cannot run plugins.
    pub fn beside(config: Config, clock: Arc<dyn Clock>, scratch: &Path) -> anyhow::Result<Self> {
        let store = Store::open(scratch)?;
        let processes = processes(&config, scratch)?;
        // Looking must not make a data directory where there is none.
        let cache_in = if config.data_dir.exists() {
            &config.data_dir
        } else {
            scratch
        };
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in: cache_in.to_owned(),
            clock: Arc::clone(&clock),
            processes: Arc::clone(&processes),
            outgoing: Arc::new(nexus_egress::Client::new()),
            kv: store.clone().into(),
        })?;
        Ok(Self {
            catalog: Arc::new(Catalog::new(&config)),
            config,
            store,
            processes,
            clock,
            runtime,
            again: None,
            _lock: None,
        })
    }

    /// The login plugin that is selected.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn auth(&self) -> anyhow::Result<Arc<dyn AuthProvider>> {
        let name = &self.config.auth.plugin;
        let loaded = self.load(name)?;
        self.runtime.auth(loaded).with_context(|| of(name))
    }

    /// # Errors
    /// It cannot be loaded.
    pub fn chat(&self, name: &str) -> anyhow::Result<Arc<dyn ChatBackend>> {
        let loaded = self.load(name)?;
        let workspace = self.config.chat.workspace.clone();
        self.runtime.chat(loaded, workspace).with_context(|| of(name))
    }

    /// # Errors
    /// It cannot be loaded.
    pub fn tunnel(&self, plugin: &str, process_owner: String) -> anyhow::Result<Arc<dyn TunnelProvider>> {
        let loaded = self.load(plugin)?;
        self.runtime.tunnel(loaded, process_owner).with_context(|| of(plugin))
    }

    /// # Errors
    /// Why the component of this plugin would not load.
    pub fn would_load(&self, plugin: &Plugin) -> Result<(), LoadError> {
        self.runtime.would_load(plugin)
    }

    /// A chat backend that is loaded by and by.
    pub fn late_chat(self: &Arc<Self>, name: &str) -> Arc<Late<dyn ChatBackend>> {
        let order = "nexus chat start";
        self.late(name, Kind::Chat, order, |foundation, name, status| {
            let loaded = foundation.load(name)?;
            let workspace = foundation.config.chat.workspace.clone();
            let chat = foundation.runtime.chat_shown(loaded, workspace, status);
            chat.with_context(|| of(name))
        })
    }

    /// A tunnel's plugin that is loaded by and by. `barred`: why no tunnel may open, while that is so.
    pub fn late_tunnel(
        self: &Arc<Self>,
        tunnel: &Tunnel,
        barred: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Arc<Late<dyn TunnelProvider>> {
        let (order, owner) = (format!("nexus tunnel start {}", tunnel.name), tunnel.process_owner());
        self.late(&tunnel.plugin, Kind::Tunnel, &order, move |foundation, name, status| {
            if let Some(why) = barred() {
                return Err(Barred(why).into());
            }
            let loaded = foundation.load(name)?;
            let tunnel = foundation.runtime.tunnel_shown(loaded, owner.clone(), status);
            tunnel.with_context(|| of(name))
        })
    }

    /// `order`: what starts it, once the cause is gone.
    fn late<P: nexus_plugin_traits::Supervised + ?Sized>(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        order: &str,
        load: impl Fn(&Self, &str, watch::Sender<PluginStatus>) -> anyhow::Result<Arc<P>> + Send + Sync + 'static,
    ) -> Arc<Late<P>> {
        let (foundation, owned, order) = (Arc::clone(self), name.to_owned(), order.to_owned());
        let load = move |status| {
            let loaded = load(&foundation, &owned, status);
            loaded.map_err(|error| foundation.unloadable(&owned, &order, &error))
        };
        Arc::new(Late::new(name, kind, Arc::clone(&self.clock), Box::new(load)))
    }

    /// Why a plugin cannot be loaded, and what to do. `order`: what starts it then.
    pub fn unloadable(&self, name: &str, order: &str, error: &anyhow::Error) -> Trouble {
        let known = self
            .config
            .broken
            .get(name)
            .filter(|_| self.catalog.get(name).is_none());
        let text = error.root_cause().to_string();
        let (why, named) = parted(&text);
        let fix = known.and_then(|broken| broken.trouble.fix.clone());
        let fix = fix.or_else(|| named.map(str::to_owned)).unwrap_or_else(|| match self.catalog.get(name).map(|plugin| plugin.source) {
            Some(Source::File(path)) => format!(
                "put a component that this version of nexus can load at {} (`nexus plugin check` shows what is wrong \
                 with it)",
                path.display()
            ),
            _ => "reinstall nexus".to_owned(),
        });
        Trouble {
            part: format!("plugin {name}"),
            // The part is named beside it.
            why: sentence(why, None),
            fix: Some(if fix.contains('\n') {
                format!("{fix}\nThen run `{order}`.")
            } else {
                format!("{fix}, then run `{order}`")
            }),
        }
    }

    /// The names of the plugins that are being compiled.
    pub fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.runtime.compiling()
    }

    fn load(&self, name: &str) -> anyhow::Result<Loaded> {
        let plugin = self.plugin(name)?;
        let shipped = match plugin.source {
            Source::Builtin => builtin::builtin(name),
            Source::File(_) => None,
        };
        self.runtime.load(&plugin, shipped).with_context(|| of(name))
    }

    fn plugin(&self, name: &str) -> anyhow::Result<Plugin> {
        if let Some(plugin) = self.catalog.get(name) {
            return Ok(plugin);
        }
        let Some(broken) = self.config.broken.get(name) else {
            anyhow::bail!("the configuration has no plugin `{name}`");
        };
        let Some(again) = &self.again else {
            anyhow::bail!("{}", broken.trouble.why);
        };
        // It may be fit by now. What the file says since then does not count here: it waits to be confirmed.
        let config = again().map_err(anyhow::Error::msg)?;
        if let Some(still) = config.broken.get(name) {
            anyhow::bail!("{}", still.trouble.why);
        }
        let plugin = config.plugins.get(name).with_context(|| broken.trouble.why.clone())?;
        if broken.digest.is_some() && broken.digest != plugin.digest {
            anyhow::bail!(
                "The component of {name} has changed since the configuration was read, so its grants do not apply. \
                 Confirm the component on the status page, or restart Nexus."
            );
        }
        tracing::info!(
            target: "audit",
            event = "plugin-found",
            plugin = name,
            digest = plugin.digest,
            "a plugin that could not be loaded at the start is loaded now"
        );
        self.catalog.insert(plugin.clone());
        Ok(plugin.clone())
    }
}

/// The table of child processes, whose files are kept in `data_dir`.
fn processes(config: &Config, data_dir: &Path) -> anyhow::Result<Arc<dyn Processes>> {
    Ok(nexus_process::open(TableOptions {
        data_dir: data_dir.to_owned(),
        instance_id: random_token()?,
        shim_exe: std::env::current_exe().context("cannot find this program's own file")?,
        hidden_env: config.secret_variables.clone(),
    })?)
}

/// It is no matter of the plugin itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Barred(String);

fn of(plugin: &str) -> String {
    format!("plugin {plugin}")
}

/// Compiling is no work for a thread of the async runtime.
async fn off_the_runtime<P: ?Sized + Send + Sync + 'static>(
    load: impl FnOnce() -> anyhow::Result<Arc<P>> + Send + 'static,
) -> Result<Arc<P>, String> {
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.map_err(|e| e.to_string())?.map_err(|e| format!("{e:#}"))
}

/// A handle, for [`PluginLoader`].
pub(super) struct Loader(pub(super) Arc<Foundation>);

impl PluginLoader for Loader {
    fn load_chat<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, String>> {
        let (foundation, plugin) = (Arc::clone(&self.0), plugin.to_owned());
        off_the_runtime(move || foundation.chat(&plugin)).boxed()
    }
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, String>> {
        let (foundation, plugin, owner) = (Arc::clone(&self.0), plugin.to_owned(), process_owner.to_owned());
        off_the_runtime(move || foundation.tunnel(&plugin, owner)).boxed()
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.0.compiling()
    }
}
