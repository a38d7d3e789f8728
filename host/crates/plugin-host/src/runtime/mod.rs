//! The plugin runtime: loads components, checks them, runs each under a supervisor, and offers them to the services
//! as the traits in [`nexus_plugin_traits`].

pub mod component;

mod actor;
mod auth;
mod budget;
mod cache;
mod chat;
mod clip;
mod convert;
mod deltas;
mod engine;
mod facts;
mod feed;
mod fit;
mod guest_limits;
pub mod late;
mod leads;
mod linker;
mod pipe;
mod refused;
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
use crate::capabilities::mask::Mask;
use crate::capabilities::{Allowance, Context, Counters, CpuShare, Gate, GeneratedSecrets, Ports, Requests};
use auth::{AuthThreads, WasmAuth};
use cache::CodeCache;
use chat::WasmChat;
use facts::Measured;
use nexus_config::file;
use nexus_config::resolved::{Plugin, Source};
use nexus_egress::port::Outgoing;
use nexus_model::limits;
use nexus_model::plugin::{Kind, State as PluginState, Status};
use nexus_model::time::Clock;
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_traits::{AuthProvider, ChatBackend, TunnelProvider};
use nexus_process::port::Processes;
use nexus_store::port::KeyValue;
use state::State;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use supervisor::{Recipe, Supervisor};
use tokio::sync::watch;
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
    compiling: Compiling,
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
            compiling: Compiling::default(),
            counters: Mutex::default(),
        }))
    }

    /// The names of the plugins that are being compiled; changes are seen at once.
    pub fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.compiling.names.subscribe()
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
                read = file::read(path, limits::COMPONENT_BYTES)
                    .map_err(|e| LoadError::Unreadable(path.display().to_string(), e))?;
                &read
            }
        };
        let inspection = component::read(bytes)?;
        enough_memory(&inspection, &plugin.name, plugin.limits.memory)?;
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
        // Two tunnels with one plugin: the second one finds the first one's work in the cache.
        let turn = self.compiling.turn(&inspection.digest);
        let alone = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let component = self
            .cache
            .load_noting(&self.engine, bytes, || self.compiling.begin(&plugin.name, bytes.len()));
        drop(alone);
        let component = component.map_err(|e| not_compiled(&e))?;
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|e| not_linked(&inspection, &e))?;
        if inspection.wants_sockets() {
            tracing::info!(
                plugin = plugin.name,
                "the plugin imports wasi:sockets, as standard libraries of languages do: each of its sockets is denied. It \
                 reaches others by nexus:plugin/http, and by programs that it starts with nexus:plugin/process"
            );
        }
        Ok(Loaded {
            inspection: Arc::new(inspection),
            plugin: Arc::new(plugin.clone()),
            pre,
        })
    }

    /// As [`Runtime::load`], of a component in a file, and keeps nothing of it.
    ///
    /// # Errors
    /// What [`Runtime::load`] would say.
    pub fn would_load(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let Source::File(path) = &plugin.source else {
            return Ok(());
        };
        let unreadable = |e| LoadError::Unreadable(path.display().to_string(), e);
        let bytes = file::read(path, limits::COMPONENT_BYTES).map_err(unreadable)?;
        fits(
            &self.engine,
            &self.linker,
            &bytes,
            &plugin.name,
            Some(plugin.limits.memory),
        )
        .map(drop)
    }

    /// A chat backend. Nothing runs before `start()`.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn chat(&self, loaded: Loaded, workspace: PathBuf) -> Result<Arc<dyn ChatBackend>, LoadError> {
        let status = unloaded(&loaded.plugin.name, Kind::Chat, PluginState::Stopped);
        self.chat_shown(loaded, workspace, watch::Sender::new(status))
    }

    /// The same, whose state is shown in a place that was there before it.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn chat_shown(
        &self,
        loaded: Loaded,
        workspace: PathBuf,
        status: watch::Sender<Status>,
    ) -> Result<Arc<dyn ChatBackend>, LoadError> {
        of_kind(&loaded, Kind::Chat)?;
        identify(&status, &loaded);
        let owner = loaded.plugin.name.clone();
        let recipe = self.recipe(loaded, owner, Some(workspace.clone()));
        Ok(Arc::new(WasmChat::new(Supervisor::new(recipe, status), workspace)))
    }

    /// A tunnel provider for one tunnel, whose processes belong to `owner`. Nothing runs before `start()`.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn tunnel(&self, loaded: Loaded, owner: String) -> Result<Arc<dyn TunnelProvider>, LoadError> {
        let status = unloaded(&loaded.plugin.name, Kind::Tunnel, PluginState::Stopped);
        self.tunnel_shown(loaded, owner, watch::Sender::new(status))
    }

    /// As [`Self::chat_shown`].
    ///
    /// # Errors
    /// It is of another kind.
    pub fn tunnel_shown(
        &self,
        loaded: Loaded,
        owner: String,
        status: watch::Sender<Status>,
    ) -> Result<Arc<dyn TunnelProvider>, LoadError> {
        of_kind(&loaded, Kind::Tunnel)?;
        identify(&status, &loaded);
        let recipe = self.recipe(loaded, owner, None);
        Ok(Arc::new(WasmTunnel::new(Supervisor::new(recipe, status))))
    }

    /// An auth provider: always there, with an instance for each call.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn auth(&self, loaded: Loaded) -> Result<Arc<dyn AuthProvider>, LoadError> {
        of_kind(&loaded, Kind::Auth)?;
        let status = Status {
            version: loaded.manifest().version.to_string(),
            ..unloaded(&loaded.plugin.name, Kind::Auth, PluginState::Running)
        };
        let owner = loaded.plugin.name.clone();
        let recipe = self.recipe(loaded, owner, None);
        Ok(Arc::new(WasmAuth::new(recipe, Arc::clone(&self.threads), status)))
    }

    fn recipe(&self, loaded: Loaded, owner: String, workspace: Option<PathBuf>) -> Recipe {
        let plugin = &loaded.plugin;
        let (clock, counters) = (&self.ports.clock, self.counters(&owner));
        let mask = Arc::new(Mask::of(&plugin.grants.secrets, &self.ports.generated, &plugin.name));
        let log = LogSink::new(
            &plugin.name,
            Arc::clone(clock),
            plugin.limits.log_lines,
            Arc::clone(&counters),
        )
        .hiding(Arc::clone(&mask));
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
            mask,
            starts: Mutex::default(),
            cpu: Arc::new(CpuShare::new(
                &plugin.name,
                plugin.limits.cpu_share,
                Arc::clone(&counters),
            )),
            writes: Allowance::new(plugin.limits.store_writes as f64, limits::STORE_WRITES_WINDOW),
            said: Allowance::new(limits::EVENT_BYTES as f64, limits::EVENTS_WINDOW),
            started: Allowance::new(f64::from(limits::PROCESS_STARTS), limits::PROCESS_STARTS_WINDOW),
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

/// Everything that [`Runtime::load`] would refuse, and nothing of the plugin runs: reads, compiles and links it.
///
/// # Errors
/// In words: what was found, what was expected, what to do.
pub fn check(bytes: &[u8], name: &str, memory: Option<u64>) -> Result<Inspection, LoadError> {
    let cannot = |e: &dyn std::fmt::Display| LoadError::Unfit(format!("This machine cannot compile plugins: {e:#}."));
    let engine = engine::engine().map_err(|e| cannot(&e))?;
    let linker = linker::linker(&engine).map_err(|e| cannot(&e))?;
    fits(&engine, &linker, bytes, name, memory)
}

/// `memory`: its limit; none: what it asks for.
fn fits(
    engine: &Engine,
    linker: &Linker<State>,
    bytes: &[u8],
    name: &str,
    memory: Option<u64>,
) -> Result<Inspection, LoadError> {
    let inspection = inspect(bytes)?;
    let asked = inspection.manifest.limits.memory.unwrap_or(limits::PLUGIN_MEMORY);
    enough_memory(&inspection, name, memory.unwrap_or(asked))?;
    let component = wasmtime::component::Component::new(engine, bytes).map_err(|e| not_compiled(&e))?;
    linker
        .instantiate_pre(&component)
        .map_err(|e| not_linked(&inspection, &e))?;
    Ok(inspection)
}

fn not_compiled(e: &wasmtime::Error) -> LoadError {
    LoadError::NotComponent(format!("The component does not compile: {e:#}. Build it again."))
}

/// The contract was compared before: it is something of WASI.
fn not_linked(inspection: &Inspection, e: &wasmtime::Error) -> LoadError {
    LoadError::Api(format!(
        "The plugin {} wants something of WASI that this host does not offer: {}. Offered is WASI 0.2 without http (its \
         sockets are all denied). Build it for wasm32-wasip2, or with tools for WASI 0.2.",
        inspection.manifest.name,
        nexus_plugin_api::text::line(&format!("{e:#}"))
    ))
}

fn enough_memory(inspection: &Inspection, name: &str, limit: u64) -> Result<(), LoadError> {
    if inspection.memory <= limit {
        return Ok(());
    }
    let needed = inspection.memory.div_ceil(1 << 20);
    Err(LoadError::Unfit(format!(
        "The plugin {} has {} bytes of memory from the beginning, and its limit is {limit}. To fix: write into the configuration\n\
         [plugin.{name}.limits]\nmemory = \"{needed} MiB\"",
        inspection.manifest.name, inspection.memory
    )))
}

/// What is known of a plugin before its component was read.
pub fn unloaded(name: &str, kind: Kind, state: PluginState) -> Status {
    Status {
        name: name.to_owned(),
        kind,
        version: String::new(),
        state,
        restarts: 0,
        last_failure: None,
    }
}

fn identify(status: &watch::Sender<Status>, loaded: &Loaded) {
    let version = loaded.manifest().version.to_string();
    status.send_if_modified(|status| {
        let changed = status.version != version;
        status.version = version;
        changed
    });
}

/// Which plugins are being compiled, for whoever waits for it.
#[derive(Default)]
struct Compiling {
    names: watch::Sender<Vec<String>>,
    /// By the component's digest: one is compiled once, however many want it.
    turns: Mutex<BTreeMap<String, Weak<Mutex<()>>>>,
}

/// Bytes of a component that are compiled in a second, about: what the first start says is a hint and no promise.
const COMPILED_IN_A_SECOND: usize = 2 << 20;

impl Compiling {
    fn turn(&self, digest: &str) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(digest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(digest.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Until what it returns is dropped.
    fn begin(&self, name: &str, bytes: usize) -> impl Drop + use<'_> {
        let seconds = bytes.div_ceil(COMPILED_IN_A_SECOND).max(1);
        tracing::info!("compiling {name} (first start with this version of it; about {seconds} s)");
        self.names.send_modify(|names| names.push(name.to_owned()));
        Compiled {
            names: &self.names,
            name: name.to_owned(),
        }
    }
}

struct Compiled<'a> {
    names: &'a watch::Sender<Vec<String>>,
    name: String,
}

impl Drop for Compiled<'_> {
    fn drop(&mut self) {
        self.names.send_modify(|names| {
            if let Some(at) = names.iter().position(|name| *name == self.name) {
                names.remove(at);
            }
        });
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
