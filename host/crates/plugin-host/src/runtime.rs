//! The plugin runtime: loads components, checks them, runs each under a supervisor, and offers them to the services
//! as the traits in [`nexus_plugin_traits`].

use crate::capabilities::{Context, Gate, GeneratedSecrets, HostServices, LogSink, States};
use crate::cpu_share::CpuShare;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minors;
use crate::engine::{
    self, CodeCache, Compilations, GuestEngine, Inspection, LoadError, compile, enough_memory, fits, link,
    not_compiled, not_linked,
};
use crate::instance::{InstanceTemplate, Supervisor, identify};
use crate::minors::SUPPORTED;
use crate::plugin_stats::Counters;
use crate::worlds::{AuthThreads, PluginInfo, WasmAuth, WasmChat, WasmTunnel};
use nexus_config::ChangedComponent;
use nexus_config::resolved::Workspaces;
use nexus_config::resolved::{Plugin, Source};
use nexus_files::bounded;
use nexus_model::digest::sha256;
use nexus_model::limits;
use nexus_model::plugin::{Kind, PluginState, PluginStatus};
use nexus_model::token_bucket::TokenBucket;
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_traits::{AuthProvider, ChatBackend, StatusSender, TunnelProvider};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use wasmtime::component::{InstancePre, Linker};

/// `RuntimeOptions` are what the runtime needs of the rest of the host.
pub struct RuntimeOptions {
    /// `data_dir` is the folder in whose `tools` plugins find the programs that were installed for them.
    pub data_dir: PathBuf,
    /// `cache_in` is the folder in whose `cache` compiled code is kept: the data folder, but for a caller that must
    /// not make one.
    pub cache_in: PathBuf,
    /// `services` are what capabilities reach.
    pub services: HostServices,
}

/// `Runtime` compiles plugins and starts them. There is one for the whole host, whose engine, linker, compiled code and
/// threads for logins all plugins share.
pub struct Runtime {
    engine: GuestEngine,
    linker: Linker<InstanceState>,
    minors: Minors,
    cache: CodeCache,
    data_dir: PathBuf,
    services: HostServices,
    /// `generated` are the secrets that the host made for plugins.
    generated: Arc<GeneratedSecrets>,
    threads: Arc<AuthThreads>,
    compiling: Compilations,
    /// `counters` are by owner: a plugin that comes back to its place goes on counting.
    counters: Mutex<BTreeMap<String, Arc<Counters>>>,
}

/// `Loaded` is a plugin that was read, checked and compiled, and has its grants. Nothing of it has run.
#[derive(Clone)]
pub struct Loaded {
    inspection: Arc<Inspection>,
    plugin: Arc<Plugin>,
    pre: InstancePre<InstanceState>,
}

impl Loaded {
    /// `inspection` is what its component says, wants and offers.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }
    /// `manifest` is the one in its component.
    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }
    /// `digest` is the SHA-256 of its component, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.inspection.digest
    }
    /// `kind` is the one that its manifest names.
    pub fn kind(&self) -> Kind {
        self.inspection.kind
    }
}

impl Runtime {
    /// Makes the engine with its clock thread, and the linker. Nothing is read or written yet.
    ///
    /// # Errors
    /// The machine cannot run the compiler's code.
    pub fn new(options: RuntimeOptions) -> anyhow::Result<Arc<Self>> {
        Self::speaking(SUPPORTED, options)
    }

    /// Does as [`Runtime::new`], for these minors of the contract.
    pub(crate) fn speaking(minors: Minors, options: RuntimeOptions) -> anyhow::Result<Arc<Self>> {
        let engine = engine::engine()?;
        let linker = engine::linker(&engine, minors).map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let RuntimeOptions {
            data_dir,
            cache_in,
            services,
        } = options;
        Ok(Arc::new(Self {
            cache: CodeCache::new(&cache_in, &engine, minors),
            engine,
            linker,
            minors,
            data_dir,
            services,
            generated: Arc::default(),
            threads: Arc::default(),
            compiling: Compilations::default(),
            counters: Mutex::default(),
        }))
    }

    /// `compiling` are the names of the plugins that are being compiled; changes are seen at once.
    pub fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.compiling.names.subscribe()
    }

    /// Reads, checks and compiles (or takes from the cache) a plugin. Blocks: some milliseconds from the cache, up to a
    /// second without.
    ///
    /// # Errors
    /// In words: what was found, what was expected, what to do.
    pub fn load(&self, plugin: &Plugin, builtin: Option<&'static [u8]>) -> Result<Loaded, LoadError> {
        let loaded = self.load_unnamed(plugin, builtin);
        engine::give_back();
        loaded.map_err(|error| error.about(&component_of(plugin)))
    }

    fn load_unnamed(&self, plugin: &Plugin, builtin: Option<&'static [u8]>) -> Result<Loaded, LoadError> {
        let read: Vec<u8>;
        let bytes: &[u8] = match (&plugin.source, builtin) {
            (Source::Builtin, Some(bytes)) => bytes,
            (Source::Builtin, None) => {
                return Err(LoadError::Unsupported(format!(
                    "There is no built-in plugin {0}. To fix: give the path of its component: [plugin.{0}] source = \
                     \"/path/to/{0}.wasm\"",
                    plugin.name
                )));
            }
            (Source::File(path), _) => {
                read = bounded::read(path, limits::COMPONENT_BYTES)
                    .map_err(|e| LoadError::Unreadable(path.display().to_string(), e))?;
                &read
            }
        };
        let digest = sha256(&[bytes]);
        let inspection = engine::read(bytes, &digest, self.minors)?;
        enough_memory(&inspection, &plugin.name, plugin.limits.memory)?;
        ChangedComponent::check(&plugin.name, plugin.digest.as_deref(), Some(&inspection.digest))?;
        // Two tunnels with one plugin: the second one finds the first one's work in the cache.
        let turn = self.compiling.turn(&inspection.digest);
        let alone = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let component = self.cache.load(digest, || {
            engine::check_types(bytes, &inspection)?;
            let _shown = self.compiling.begin(&plugin.name, bytes.len());
            compile(&self.engine, bytes).map_err(|e| not_compiled(&e))
        })?;
        drop(alone);
        let pre = link(&self.linker, &component).map_err(|e| not_linked(&inspection, &e))?;
        if inspection.wants_sockets() {
            tracing::info!(
                plugin = plugin.name,
                "the plugin imports wasi:sockets, as standard libraries of languages do; Nexus denies each of its \
                 sockets. Plugins use the network through nexus:plugin/http, or wasi:http, and through programs started \
                 with nexus:plugin/process"
            );
        }
        Ok(Loaded {
            inspection: Arc::new(inspection),
            plugin: Arc::new(plugin.clone()),
            pre,
        })
    }

    /// Does as [`Runtime::load`], for a component in a file, and keeps nothing of it.
    ///
    /// # Errors
    /// What [`Runtime::load`] would say.
    pub fn would_load(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let Source::File(path) = &plugin.source else {
            return Ok(());
        };
        let unreadable = |e| LoadError::Unreadable(path.display().to_string(), e);
        let bytes = bounded::read(path, limits::COMPONENT_BYTES).map_err(unreadable)?;
        let inspection = fits(
            &self.engine,
            &self.linker,
            &bytes,
            &plugin.name,
            Some(plugin.limits.memory),
            self.minors,
        );
        engine::give_back();
        inspection.map(drop).map_err(|error| error.about(&component_of(plugin)))
    }

    /// Makes a chat backend. Nothing runs before `start()`. `shown`: the place that shows its state, where there is one already.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn chat(
        &self,
        loaded: Loaded,
        workspaces: Workspaces,
        shown: StatusSender,
    ) -> Result<Arc<dyn ChatBackend>, LoadError> {
        of_kind(&loaded, Kind::Chat)?;
        let status = identified(&loaded, shown);
        let owner = loaded.plugin.name.clone();
        let template = self.template(loaded, owner, Some(workspaces.clone()));
        Ok(Arc::new(WasmChat::new(Supervisor::new(template, status), workspaces)))
    }

    /// Makes a tunnel provider for one tunnel, whose processes belong to `owner`. Nothing runs before `start()`. `shown`: as in
    /// [`Self::chat`].
    ///
    /// # Errors
    /// It is of another kind.
    pub fn tunnel(
        &self,
        loaded: Loaded,
        owner: String,
        shown: StatusSender,
    ) -> Result<Arc<dyn TunnelProvider>, LoadError> {
        of_kind(&loaded, Kind::Tunnel)?;
        let status = identified(&loaded, shown);
        let template = self.template(loaded, owner, None);
        Ok(Arc::new(WasmTunnel::new(Supervisor::new(template, status))))
    }

    /// Makes an auth provider, which is always there, with an instance for each call.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn auth(&self, loaded: Loaded) -> Result<Arc<dyn AuthProvider>, LoadError> {
        of_kind(&loaded, Kind::Auth)?;
        let status = PluginStatus {
            version: loaded.manifest().version.to_string(),
            ..PluginStatus::unloaded(&loaded.plugin.name, Kind::Auth, PluginState::Running)
        };
        let owner = loaded.plugin.name.clone();
        let enrolls = loaded.inspection().offers("manage");
        let template = self.template(loaded, owner, None);
        let threads = Arc::clone(&self.threads);
        Ok(Arc::new(WasmAuth::new(template, threads, status, enrolls)))
    }

    fn template(&self, loaded: Loaded, owner: String, workspaces: Option<Workspaces>) -> InstanceTemplate {
        let plugin = &loaded.plugin;
        let (clock, counters) = (&self.services.clock, self.counters(&owner));
        let states = States::new(&self.services, &self.generated, plugin);
        let mask = Arc::clone(&states.secrets.mask);
        let log = LogSink::new(&plugin.name, plugin.limits.log_lines, Arc::clone(&counters)).hiding(Arc::clone(&mask));
        let gate = Gate::new(plugin, loaded.manifest(), &self.data_dir).counting(Arc::clone(&counters));
        let gate = Arc::new(gate);
        let record = PluginInfo::new(
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
            clock: Arc::clone(clock),
            workspaces,
            log: Arc::new(log),
            mask,
            states,
            cpu: Arc::new(CpuShare::new(
                &plugin.name,
                plugin.limits.cpu_share,
                Arc::clone(&counters),
            )),
            computing: Arc::default(),
            event_bytes: TokenBucket::new(limits::EVENT_BYTES as f64, limits::EVENTS_WINDOW),
            counters,
        };
        InstanceTemplate {
            engine: self.engine.clone(),
            pre: loaded.pre,
            minor: loaded.inspection.minor,
            context: Arc::new(context),
            record: Arc::new(record),
        }
    }

    fn counters(&self, owner: &str) -> Arc<Counters> {
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(owner.to_owned()).or_default())
    }
}

/// The place that shows the state of a loaded plugin.
fn identified(loaded: &Loaded, shown: StatusSender) -> watch::Sender<PluginStatus> {
    let stopped = || PluginStatus::unloaded(&loaded.plugin.name, loaded.kind(), PluginState::Stopped);
    let status = shown.unwrap_or_else(|| watch::Sender::new(stopped()));
    identify(&status, loaded.manifest().version.to_string());
    status
}

/// `component_of` names the component of a plugin: its file, or the name of a built-in one.
fn component_of(plugin: &Plugin) -> String {
    match &plugin.source {
        Source::Builtin => plugin.name.clone(),
        Source::File(path) => path.display().to_string(),
    }
}

fn of_kind(loaded: &Loaded, wanted: Kind) -> Result<(), LoadError> {
    if loaded.kind() == wanted {
        return Ok(());
    }
    Err(LoadError::Unsupported(format!(
        "The plugin {} is a {} plugin and cannot be used as a {wanted} plugin. Use another plugin in the configuration.",
        loaded.plugin.name,
        loaded.manifest().kind
    )))
}
