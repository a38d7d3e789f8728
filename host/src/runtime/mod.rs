//! The plugin runtime: loads components, checks them, runs each under a supervisor, and offers them to the services
//! as the traits in [`port`].

pub mod component;
pub mod port;

mod actor;
mod auth;
mod budget;
mod cache;
mod chat;
mod clip;
mod convert;
mod engine;
mod facts;
mod feed;
#[cfg(test)]
mod fixtures;
mod guest_limits;
mod linker;
mod pipe;
mod state;
mod stdio;
mod supervisor;
mod terminal;
#[cfg(test)]
mod tests;
mod tunnel;

pub use cache::{CacheState, cache_state};
pub use component::{Inspection, LoadError, inspect};

use crate::capabilities::log::LogSink;
use crate::capabilities::{Context, Counters, Gate, GeneratedSecrets, Ports, Requests};
use crate::config::file;
use crate::config::resolved::{Plugin, Source};
use crate::model::plugin::{Kind, State as PluginState, Status};
use crate::outgoing::port::Outgoing;
use crate::process::port::Processes;
use crate::store::port::KeyValue;
use crate::time::Clock;
use auth::{AuthThreads, WasmAuth};
use cache::CodeCache;
use chat::WasmChat;
use facts::Measured;
use nexus_plugin_api::host;
use nexus_plugin_api::manifest::Manifest;
use port::{AuthProvider, ChatBackend, TunnelProvider};
use state::State;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use supervisor::{Recipe, Supervisor};
use tunnel::WasmTunnel;
use wasmtime::Engine;
use wasmtime::component::{InstancePre, Linker};

/// What the runtime needs of the rest of the host.
pub struct RuntimeOptions {
    /// Where plugins find the programs that were installed for them.
    pub data_dir: PathBuf,
    /// Its `cache` keeps compiled code: the data directory, but for who must not make one.
    pub cache_in: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub processes: Arc<dyn Processes>,
    pub outgoing: Arc<dyn Outgoing>,
    pub kv: Arc<dyn KeyValue>,
}

/// One for the whole host.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    cache: CodeCache,
    data_dir: PathBuf,
    ports: Ports,
    threads: Arc<AuthThreads>,
    /// By owner: a plugin that comes back to its place goes on counting.
    counters: Mutex<BTreeMap<String, Arc<Counters>>>,
}

/// A plugin that was read, checked and compiled, with its grants. Nothing of it has run.
#[derive(Clone)]
pub struct Loaded {
    inspection: Arc<Inspection>,
    plugin: Arc<Plugin>,
    pre: InstancePre<State>,
}

impl Loaded {
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }
    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }
    /// SHA-256 of the component in hex.
    pub fn digest(&self) -> &str {
        &self.inspection.digest
    }
    pub fn kind(&self) -> Kind {
        self.inspection.kind
    }
}

impl Runtime {
    /// # Errors
    /// The machine cannot run the compiler's code.
    pub fn new(options: RuntimeOptions) -> anyhow::Result<Arc<Self>> {
        let engine = engine::engine()?;
        let linker = linker::linker(&engine).map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let RuntimeOptions {
            data_dir,
            cache_in,
            clock,
            processes,
            outgoing,
            kv,
        } = options;
        Ok(Arc::new(Self {
            engine,
            linker,
            cache: CodeCache::new(&cache_in),
            data_dir,
            ports: Ports {
                clock,
                processes,
                outgoing,
                kv,
                generated: Arc::new(GeneratedSecrets::default()),
            },
            threads: Arc::default(),
            counters: Mutex::default(),
        }))
    }

    /// Reads, checks and compiles (or takes from the cache) a plugin. Blocks: some milliseconds from the cache, up to a
    /// second without.
    ///
    /// # Errors
    /// In words: what was found, what was expected, what to do.
    pub fn load(&self, plugin: &Plugin, builtin: Option<&'static [u8]>) -> Result<Loaded, LoadError> {
        let read: Vec<u8>;
        let bytes: &[u8] = match (&plugin.source, builtin) {
            (Source::Builtin, Some(bytes)) => bytes,
            (Source::Builtin, None) => {
                return Err(LoadError::Unfit(format!(
                    "No plugin named {0} is built in. Give the component's file: [plugin.{0}] source = \"/path/to/{0}.wasm\"",
                    plugin.name
                )));
            }
            (Source::File(path), _) => {
                read = file::read(path, file::COMPONENT)
                    .map_err(|e| LoadError::Unreadable(path.display().to_string(), e))?;
                &read
            }
        };
        let inspection = component::read(bytes)?;
        if plugin
            .digest
            .as_ref()
            .is_some_and(|confirmed| *confirmed != inspection.digest)
        {
            return Err(LoadError::Unfit(format!(
                "The component of {} is another one than when the configuration was read, and was not granted anything. \
                 Confirm it on the status page, or start Nexus again.",
                plugin.name
            )));
        }
        let component = self
            .cache
            .load(&self.engine, bytes, &inspection.digest)
            .map_err(|e| LoadError::NotComponent(format!("The component does not compile: {e:#}. Build it again.")))?;
        let unfit = |e: wasmtime::Error| {
            LoadError::Api(format!(
                "The plugin {} does not fit nexus:plugin {}: {e:#}. Build it against that version of the contract.",
                plugin.name,
                nexus_plugin_api::API_VERSION
            ))
        };
        let pre = self.linker.instantiate_pre(&component).map_err(unfit)?;
        match inspection.kind {
            Kind::Auth => host::auth::AuthProviderPre::new(pre.clone()).map(drop),
            Kind::Chat => host::chat::ChatBackendPre::new(pre.clone()).map(drop),
            Kind::Tunnel => host::tunnel::TunnelProviderPre::new(pre.clone()).map(drop),
        }
        .map_err(unfit)?;
        if inspection.kind == Kind::Chat && inspection.offers("sessions") {
            host::sessions::OptionalSessionsPre::new(pre.clone()).map_err(unfit)?;
        }
        if inspection.kind == Kind::Auth && inspection.offers("manage") {
            host::manage::OptionalManagePre::new(pre.clone()).map_err(unfit)?;
        }
        Ok(Loaded {
            inspection: Arc::new(inspection),
            plugin: Arc::new(plugin.clone()),
            pre,
        })
    }

    /// A chat backend. Nothing runs before `start()`.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn chat(&self, loaded: Loaded, workspace: PathBuf) -> Result<Arc<dyn ChatBackend>, LoadError> {
        of_kind(&loaded, Kind::Chat)?;
        let status = status(&loaded, PluginState::Stopped);
        let owner = loaded.plugin.name.clone();
        let recipe = self.recipe(loaded, owner, Some(workspace.clone()));
        Ok(Arc::new(WasmChat::new(Supervisor::new(recipe, status), workspace)))
    }

    /// A tunnel provider for one tunnel, whose processes belong to `owner`. Nothing runs before `start()`.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn tunnel(&self, loaded: Loaded, owner: String) -> Result<Arc<dyn TunnelProvider>, LoadError> {
        of_kind(&loaded, Kind::Tunnel)?;
        let status = status(&loaded, PluginState::Stopped);
        let recipe = self.recipe(loaded, owner, None);
        Ok(Arc::new(WasmTunnel::new(Supervisor::new(recipe, status))))
    }

    /// An auth provider: always there, with an instance for each call.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn auth(&self, loaded: Loaded) -> Result<Arc<dyn AuthProvider>, LoadError> {
        of_kind(&loaded, Kind::Auth)?;
        let status = status(&loaded, PluginState::Running);
        let owner = loaded.plugin.name.clone();
        let recipe = self.recipe(loaded, owner, None);
        Ok(Arc::new(WasmAuth::new(recipe, Arc::clone(&self.threads), status)))
    }

    fn recipe(&self, loaded: Loaded, owner: String, workspace: Option<PathBuf>) -> Recipe {
        let plugin = &loaded.plugin;
        let (clock, counters) = (&self.ports.clock, self.counters(&owner));
        let log = LogSink::new(
            &plugin.name,
            Arc::clone(clock),
            plugin.limits.log_lines,
            Arc::clone(&counters),
        );
        let requests = Requests::of(loaded.manifest(), &plugin.config);
        let gate = Gate::new(plugin, requests, &self.data_dir).counting(Arc::clone(&counters));
        let gate = Arc::new(gate);
        let measured = Measured::new(
            owner.clone(),
            loaded.inspection(),
            plugin,
            Arc::clone(&gate),
            Arc::clone(&counters),
            Arc::clone(clock),
        );
        let context = Context {
            gate,
            owner,
            ports: self.ports.clone(),
            config: serde_json::Value::Object(plugin.config.clone()).to_string(),
            workspace,
            log: Arc::new(log),
            starts: Mutex::default(),
            counters,
        };
        Recipe {
            engine: self.engine.clone(),
            pre: loaded.pre,
            context: Arc::new(context),
            measured: Arc::new(measured),
        }
    }

    fn counters(&self, owner: &str) -> Arc<Counters> {
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(owner.to_owned()).or_default())
    }
}

fn status(loaded: &Loaded, state: PluginState) -> Status {
    Status {
        name: loaded.plugin.name.clone(),
        kind: loaded.kind(),
        version: loaded.manifest().version.to_string(),
        state,
        restarts: 0,
        last_failure: None,
    }
}

fn of_kind(loaded: &Loaded, wanted: Kind) -> Result<(), LoadError> {
    if loaded.kind() == wanted {
        return Ok(());
    }
    Err(LoadError::Unfit(format!(
        "The plugin {} is a {} plugin and cannot be used as a {wanted} plugin. Name another one in the configuration.",
        loaded.plugin.name,
        loaded.manifest().kind
    )))
}
