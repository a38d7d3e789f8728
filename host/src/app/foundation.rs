//! What lies below the services: the data directory with its lock and database, the process table, the outgoing
//! client, and the runtime with the plugins of the configuration. Also all that `nexus user` needs.

use super::catalog::Catalog;
use crate::builtin;
use crate::config::resolved::{Config, Plugin, Source, Tunnel};
use crate::outgoing;
use crate::process::port::Processes;
use crate::process::{self, Refusing, TableOptions};
use crate::runtime::port::{AuthProvider, ChatBackend, TunnelProvider};
use crate::runtime::{LoadError, Loaded, Runtime, RuntimeOptions};
use crate::store::Store;
use crate::store::lock::Lock;
use crate::time::{Clock, random_token};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The data directory, for this process alone.
pub struct Held(Lock);

impl Held {
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

pub struct Foundation {
    /// As it was at the start.
    pub config: Config,
    pub plugins: Catalog,
    pub store: Store,
    pub processes: Arc<dyn Processes>,
    runtime: Arc<Runtime>,
    _held: Option<Held>,
}

impl Foundation {
    /// Without `held` there are no child processes: another host may own them.
    ///
    /// # Errors
    /// The database cannot be opened, or the machine cannot run plugins.
    pub fn open(config: Config, clock: Arc<dyn Clock>, held: Option<Held>) -> anyhow::Result<Self> {
        let store = Store::open(&config.data_dir)?;
        let processes: Arc<dyn Processes> = if held.is_some() {
            process::open(TableOptions {
                data_dir: config.data_dir.clone(),
                marker: random_token()?,
                keeper_exe: std::env::current_exe().context("cannot find this program's own file")?,
                clock: Arc::clone(&clock),
                hidden_env: config.secret_variables.clone(),
            })?
        } else {
            Arc::new(Refusing::new(
                "Processes are started by `nexus up` alone, not by this command.",
            ))
        };
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in: config.data_dir.clone(),
            clock,
            processes: Arc::clone(&processes),
            outgoing: Arc::new(outgoing::Client::new()),
            kv: Arc::new(store.clone()),
        })?;
        Ok(Self {
            plugins: Catalog::new(config.plugins.clone()),
            config,
            store,
            processes,
            runtime,
            _held: held,
        })
    }

    /// For a look at the plugins beside a host that runs: programs can be asked for their version, but with a folder and a
    /// store of their own below `scratch`, so that nothing of the host is touched but its cache.
    ///
    /// # Errors
    /// `scratch` cannot be written, or the machine cannot run plugins.
    pub fn beside(config: Config, clock: Arc<dyn Clock>, scratch: &Path) -> anyhow::Result<Self> {
        let store = Store::open(scratch)?;
        let processes = process::open(TableOptions {
            data_dir: scratch.to_owned(),
            marker: random_token()?,
            keeper_exe: std::env::current_exe().context("cannot find this program's own file")?,
            clock: Arc::clone(&clock),
            hidden_env: config.secret_variables.clone(),
        })?;
        // Looking must not make a data directory where there is none.
        let cache_in = if config.data_dir.exists() {
            &config.data_dir
        } else {
            scratch
        };
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in: cache_in.to_owned(),
            clock,
            processes: Arc::clone(&processes),
            outgoing: Arc::new(outgoing::Client::new()),
            kv: Arc::new(store.clone()),
        })?;
        Ok(Self {
            plugins: Catalog::new(config.plugins.clone()),
            config,
            store,
            processes,
            runtime,
            _held: None,
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
    pub fn tunnel(&self, tunnel: &Tunnel) -> anyhow::Result<Arc<dyn TunnelProvider>> {
        let loaded = self.load(&tunnel.plugin)?;
        self.runtime
            .tunnel(loaded, tunnel.process_owner())
            .with_context(|| of(&tunnel.plugin))
    }

    /// # Errors
    /// Why the component of this plugin would not load.
    pub fn would_load(&self, plugin: &Plugin) -> Result<(), LoadError> {
        self.runtime.would_load(plugin)
    }

    fn load(&self, name: &str) -> anyhow::Result<Loaded> {
        let plugin = self
            .plugins
            .get(name)
            .with_context(|| format!("the configuration has no plugin `{name}`"))?;
        let shipped = match plugin.source {
            Source::Builtin => builtin::builtin(name),
            Source::File(_) => None,
        };
        self.runtime.load(&plugin, shipped).with_context(|| of(name))
    }
}

fn of(plugin: &str) -> String {
    format!("plugin {plugin}")
}
