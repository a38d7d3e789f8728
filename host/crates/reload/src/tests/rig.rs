//! The real services on plugins that only note that they are loaded, and a file that is edited.

use crate::{Refused, ReloadHost, ReloadService, ReloadTargets};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_chat::journal::Journal;
use nexus_chat::{ChatService, NamedBackend};
use nexus_config::resolved::{Config, Plugin, Source};
use nexus_config::{HostEnvironment, LoadedManifest, Overrides, PluginSource, load};
use nexus_model::digest::{hex, sha256};
use nexus_model::plugin::{Availability, Kind, PluginState, PluginStatus};
use nexus_model::reload::Pending;
use nexus_model::time::{Clock, ManualClock};
use nexus_model::tunnel::{Descriptor, Encryption};
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_traits::{
    Call, CallError, ChatBackend, NotLoaded, PluginLoader, StatusSender, Supervised, TunnelProvider, TunnelRun,
};
use nexus_process::Refusing;
use nexus_registry::{Catalog, LoadProgress, PluginOverrides, PluginStatuses, Plugins};
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use nexus_testkit::fake_chat::EventStreams;
use nexus_testkit::{FakeChat, wait};
use nexus_tunnels::{
    HttpChecker, ListenerHandle, ListenerServer, NotServed, RegisteredProvider, Spec, TunnelListener, TunnelService,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// In the place of a component: the manifest of a plugin that ships.
pub(super) fn manifest(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let folder = if name == "chat-echo" { "examples" } else { "plugins" };
    std::fs::read_to_string(root.join(folder).join(name).join("plugin.toml")).unwrap()
}

/// A component is its manifest here.
struct Manifests;

impl PluginSource for Manifests {
    fn manifest(&self, name: &str, source: &Source) -> Result<LoadedManifest, String> {
        let (text, digest) = match source {
            Source::Builtin => (manifest(name), None),
            Source::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
                let digest = hex(&sha256(&[text.as_bytes()]));
                (text, Some(digest))
            }
        };
        let manifest = Manifest::parse(&text).map_err(|error| error.to_string())?;
        Ok(LoadedManifest { manifest, digest })
    }
    fn builtins(&self) -> Vec<String> {
        [
            "auth-local",
            "chat-echo",
            "chat-opencode",
            "tunnel-bore",
            "tunnel-cloudflared",
            "tunnel-ssh",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn read(file: &Path, dir: &Path) -> Result<Config, Refused> {
    let machine = HostEnvironment {
        cwd: dir.to_owned(),
        data_home: Some(dir.to_owned()),
        env: &|name| (name == "TOKEN").then(|| "s3cret".to_owned()),
        plugins: &Manifests,
    };
    load(Some(file), &Overrides::default(), &machine).map_err(|report| Refused(report.to_string()))
}

/// Loads whatever is asked for, and notes it.
#[derive(Default)]
pub(super) struct Loads {
    done: Mutex<Vec<String>>,
    /// What fails: the beginning of what is noted, and why.
    fails: Mutex<Option<(String, String)>>,
    feeds: Mutex<Vec<EventStreams>>,
}

impl Loads {
    pub(super) fn fail(&self, fails: Option<(&str, &str)>) {
        *self.fails.lock().unwrap() = fails.map(|(what, cause)| (what.to_owned(), cause.to_owned()));
    }

    fn note(&self, what: String) -> Result<(), NotLoaded> {
        let fails = self.fails.lock().unwrap().clone();
        let failure = fails.filter(|(begins, _)| what.starts_with(begins));
        self.done.lock().unwrap().push(what);
        failure.map_or(Ok(()), |(_, cause)| Err(NotLoaded::Unavailable(cause)))
    }

    fn backend(&self, plugin: &str) -> Arc<dyn ChatBackend> {
        let (backend, feeds) = FakeChat::new(plugin);
        self.feeds.lock().unwrap().push(feeds);
        backend
    }
}

impl PluginLoader for Loads {
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        let loaded = self.note(format!("chat by {plugin}")).map(|()| self.backend(plugin));
        async move { loaded }.boxed()
    }
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        let tunnel = process_owner.rsplit('.').next().unwrap();
        let loaded = self.note(format!("tunnel {tunnel} by {plugin}"));
        async move { loaded.map(|()| Arc::new(Tunnel::new(plugin)) as Arc<dyn TunnelProvider>) }.boxed()
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        watch::Sender::default().subscribe()
    }
}

/// A provider that is never asked to open: there is no account.
struct Tunnel(watch::Sender<PluginStatus>);

impl Tunnel {
    fn new(plugin: &str) -> Self {
        Self(watch::Sender::new(PluginStatus::unloaded(
            plugin,
            Kind::Tunnel,
            PluginState::Running,
        )))
    }
}

impl Supervised for Tunnel {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.0.subscribe()
    }
    fn start(&self) {}
    fn stop(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl TunnelProvider for Tunnel {
    fn describe(&self) -> Call<'_, Descriptor> {
        let descriptor = Descriptor {
            title: "a tunnel".to_owned(),
            stable_url: true,
            encryption: Encryption::Edge,
            event_streams: true,
            client_address_header: None,
            public_name_header: None,
            liveness: nexus_model::tunnel::Liveness::Reported,
        };
        async { Ok(descriptor) }.boxed()
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        async { Ok(Availability::ready("1")) }.boxed()
    }
    fn run(&self, _: SocketAddr) -> Call<'_, TunnelRun> {
        async { Err(CallError::Other("no tunnel opens here".to_owned())) }.boxed()
    }
}

impl ListenerServer for Loads {
    fn serve<'a>(&'a self, _: &'a str, _: TunnelListener) -> BoxFuture<'a, Result<ListenerHandle, NotServed>> {
        async { Err(NotServed("no tunnel opens here".to_owned())) }.boxed()
    }
}

/// Reads the file, and notes which filter the log gets.
struct FileAndLog {
    file: PathBuf,
    dir: PathBuf,
    loads: Arc<Loads>,
}

impl ReloadHost for FileAndLog {
    fn read(&self) -> Result<Config, Refused> {
        read(&self.file, &self.dir)
    }
    fn would_load(&self, plugin: &Plugin) -> Result<(), Refused> {
        if plugin.component.version.starts_with("9.") {
            return Err(Refused("it wants another contract".to_owned()));
        }
        Ok(())
    }
    fn log_filter(&self, filter: &str) -> Result<(), Refused> {
        self.loads.done.lock().unwrap().push(format!("filter {filter}"));
        Ok(())
    }
}

pub(super) struct Rig {
    pub(super) service: ReloadService,
    pub(super) tunnels: Arc<TunnelService>,
    pub(super) chat: Arc<ChatService>,
    pub(super) loads: Arc<Loads>,
    pub(super) pending: watch::Receiver<Option<Pending>>,
    pub(super) file: PathBuf,
    pub(super) dir: PathBuf,
    plugins: Plugins,
    _account: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

pub(super) const BEGUN: &str = "config_version = 1\n[chat.main]\nplugin = \"chat-echo\"\n[tunnel.main]\nplugin = \
                                \"tunnel-bore\"\n[tunnel.spare]\nplugin = \
                                \"tunnel-bore\"\n[plugin.tunnel-bore.config]\nserver = \"one.example\"\n";

pub(super) async fn rig() -> Rig {
    rig_with(|_| ()).await
}

/// `more`: what is active besides what the file says.
pub(super) async fn rig_with(more: impl FnOnce(&mut Config)) -> Rig {
    rig_of(BEGUN, more).await
}

/// `text` is the file at the start.
pub(super) async fn rig_of(text: &str, more: impl FnOnce(&mut Config)) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.toml");
    std::fs::write(&file, text).unwrap();
    let mut config = read(&file, dir.path()).unwrap();
    more(&mut config);
    let store = Store::in_memory().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(7));
    let activity = Arc::new(ActivityLog::unkept(Arc::clone(&clock)));
    let loads = Arc::new(Loads::default());
    let loader: Arc<dyn PluginLoader> = Arc::<Loads>::clone(&loads);
    let no_process = Arc::new(Refusing::new("these tests start no process"));
    let plugins = Plugins {
        catalog: Arc::new(Catalog::new(&config)),
        statuses: Arc::new(PluginStatuses::new(Arc::clone(&activity), no_process, Vec::new())),
        overrides: Arc::new(PluginOverrides::new(store.clone(), &config)),
        progress: Arc::new(LoadProgress::new(loader.compiling())),
        loader,
    };
    let chat = ChatService::spawn(
        NamedBackend {
            plugin: config.chat.plugin.clone(),
            backend: loads.backend(&config.chat.plugin),
        },
        None,
        nexus_chat::Dependencies {
            journal: Journal::open(store.clone(), Arc::clone(&clock)).await.unwrap(),
            plugins: plugins.clone(),
            stop_processes: Arc::new(|_| async {}.boxed()),
            activity: Arc::clone(&activity),
            clock: Arc::clone(&clock),
            config: config.chat.clone(),
            config_file: None,
            data_dir: config.data_dir.clone(),
            path: None,
        },
    );
    let (account, has_account) = watch::channel(false);
    let parts = nexus_tunnels::Dependencies {
        listener_server: Arc::<Loads>::clone(&loads),
        has_account,
        store,
        stop_processes: Arc::new(|_| async {}.boxed()),
        plugins: plugins.clone(),
        barred: None,
        checker: Arc::new(HttpChecker::default()),
        activity: Arc::clone(&activity),
        clock: Arc::clone(&clock),
    };
    let specs = config.tunnels.values().map(|tunnel| Spec {
        config: tunnel.clone(),
        provided: RegisteredProvider::register(&plugins, &tunnel.name, Arc::new(Tunnel::new(&tunnel.plugin))),
    });
    let tunnels = TunnelService::start(specs.collect(), parts).await;
    let (chat, tunnels) = (Arc::new(chat), Arc::new(tunnels));
    let rooms = ReloadTargets {
        plugins: plugins.clone(),
        tunnels: Arc::clone(&tunnels),
        chat: Arc::clone(&chat),
    };
    let outside = FileAndLog {
        file: file.clone(),
        dir: dir.path().to_owned(),
        loads: Arc::clone(&loads),
    };
    let service = ReloadService::start(Some(file.clone()), &config, Arc::new(outside), rooms, activity, clock).unwrap();
    Rig {
        pending: service.pending(),
        service,
        tunnels,
        chat,
        loads,
        file,
        dir: dir.path().to_owned(),
        plugins,
        _account: account,
        _dir: dir,
    }
}

impl Rig {
    /// Writes the file whole: in tokio's paused time a look follows a look at once, and would find it half written.
    pub(super) fn put(&self, text: &str) {
        let beside = self.file.with_extension("part");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    /// What is pending after an edit, once that is something else than before. None: nothing new comes.
    pub(super) async fn write(&mut self, text: &str) -> Option<Pending> {
        let before = self
            .pending
            .borrow_and_update()
            .as_ref()
            .map(|pending| pending.id.clone());
        self.put(text);
        let other = |pending: &Option<Pending>| pending.as_ref().is_some_and(|now| Some(&now.id) != before.as_ref());
        let read = tokio::time::timeout(Duration::from_secs(60), self.pending.wait_for(other)).await;
        read.ok().map(|pending| pending.unwrap().clone().unwrap())
    }

    /// Until nothing is pending.
    pub(super) async fn settled(&mut self) {
        wait::watched("nothing is pending", &mut self.pending, Option::is_none).await;
    }

    /// What is pending, once `takes` it.
    pub(super) async fn pending(&mut self, what: &str, takes: impl Fn(&Pending) -> bool) -> Pending {
        let takes = |pending: &Option<Pending>| pending.as_ref().is_some_and(&takes);
        wait::watched(what, &mut self.pending, takes).await.unwrap()
    }

    /// `(key → now)` of what waits for a confirmation, and of what waits for the next start.
    pub(super) async fn changed(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        super::lists(&self.write(text).await.expect("something is pending"))
    }

    /// What was loaded since the last time, in its order.
    pub(super) fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.loads.done.lock().unwrap())
    }

    /// What is loaded under a name from now on.
    pub(super) fn plugin(&self, name: &str) -> Plugin {
        self.plugins.catalog.get(name).unwrap()
    }
}
