//! A provider, a web layer and a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crate::dependencies::{Dependencies, RegisteredProvider, Spec};
use crate::origin_listener::{ListenerHandle, ListenerServer, NotServed, PublicName, Relocation, TunnelListener};
use crate::origin_secret::OriginSecret;
use crate::public_checker::PublicChecker;
use crate::service::TunnelService;
use crate::wanted_tunnels::WantedTunnels;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_model::plugin::{Availability, Kind, PluginState, PluginStatus};
use nexus_model::time::ManualClock;
use nexus_model::tunnel::{Descriptor, Encryption, Network, PublicCheckFailure, TunnelEvent, TunnelStatus};
use nexus_plugin_traits::{
    Call, CallError, CancelReason, ChatBackend, NotLoaded, PluginLoader, RunFailure, StatusSender, Supervised,
    TunnelProvider, TunnelRun,
};
use nexus_process::Refusing;
use nexus_registry::{Catalog, LoadProgress, PluginOverrides, PluginStatuses, Plugins, tunnel_place};
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

pub(super) struct Run {
    /// Which plugin runs.
    pub(super) plugin: String,
    pub(super) origin: SocketAddr,
    pub(super) events: mpsc::Sender<TunnelEvent>,
    pub(super) outcome: oneshot::Sender<Result<(), RunFailure>>,
    pub(super) cancel: oneshot::Receiver<CancelReason>,
}

impl Run {
    pub(super) async fn up(&self, url: &str) {
        self.events.send(TunnelEvent::url(url.to_owned())).await.unwrap();
        self.events.send(TunnelEvent::Ready(1)).await.unwrap();
    }
    pub(super) fn end(self, outcome: Result<(), RunFailure>) {
        let Self {
            events,
            outcome: sender,
            ..
        } = self;
        drop(events);
        sender.send(outcome).unwrap();
    }
}

/// Answers the cancel of a run as a plugin does; why it was canceled, once that is done.
pub(super) fn obey(run: Run) -> tokio::task::JoinHandle<CancelReason> {
    tokio::spawn(async move {
        let Run {
            cancel,
            outcome,
            events,
            ..
        } = run;
        let reason = cancel.await.unwrap_or(CancelReason::Stop);
        drop(events);
        let _ = outcome.send(Ok(()));
        reason
    })
}

pub(super) struct Provider {
    pub(super) status: watch::Sender<PluginStatus>,
    pub(super) descriptor: Descriptor,
    pub(super) availability: Mutex<Availability>,
    pub(super) runs: mpsc::UnboundedSender<Run>,
    pub(super) starts: AtomicU32,
    pub(super) stops: AtomicU32,
}

impl Provider {
    pub(super) fn state(&self, state: PluginState) {
        self.status.send_modify(|status| status.state = state);
    }
}

impl Supervised for Provider {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.status.subscribe()
    }
    fn start(&self) {
        self.starts.fetch_add(1, Ordering::SeqCst);
        self.state(PluginState::Running);
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.stops.fetch_add(1, Ordering::SeqCst);
        self.state(PluginState::Stopped);
        Box::pin(async {})
    }
}

impl TunnelProvider for Provider {
    fn describe(&self) -> Call<'_, Descriptor> {
        Box::pin(async { Ok(self.descriptor.clone()) })
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        Box::pin(async { Ok(self.availability.lock().unwrap().clone()) })
    }
    fn run(&self, origin: SocketAddr) -> Call<'_, TunnelRun> {
        Box::pin(async move {
            if self.status.borrow().state != PluginState::Running {
                return Err(CallError::Unavailable("the plugin does not run".to_owned()));
            }
            let (events_in, events) = mpsc::channel(16);
            let (outcome_in, outcome) = oneshot::channel();
            let (cancel, cancelled) = oneshot::channel();
            self.runs
                .send(Run {
                    plugin: self.status.borrow().name.clone(),
                    origin,
                    events: events_in,
                    outcome: outcome_in,
                    cancel: cancelled,
                })
                .unwrap();
            Ok(TunnelRun {
                events,
                outcome,
                cancel,
            })
        })
    }
}

#[derive(Default)]
pub(super) struct FakeListeners {
    pub(super) names: Mutex<Vec<watch::Receiver<Vec<PublicName>>>>,
    pub(super) moved: Mutex<Vec<watch::Receiver<Option<Relocation>>>>,
    pub(super) open: Arc<AtomicU32>,
}

impl ListenerServer for FakeListeners {
    fn serve<'a>(
        &'a self,
        _: &'a str,
        listener_server: TunnelListener,
    ) -> BoxFuture<'a, Result<ListenerHandle, NotServed>> {
        Box::pin(async move {
            self.names.lock().unwrap().push(listener_server.names.clone());
            self.moved.lock().unwrap().push(listener_server.moved.clone());
            self.open.fetch_add(1, Ordering::SeqCst);
            let (stop, stopped) = oneshot::channel::<()>();
            let open = Arc::clone(&self.open);
            let served = tokio::spawn(async move {
                let _ = stopped.await;
                drop(listener_server);
                open.fetch_sub(1, Ordering::SeqCst);
            });
            Ok(ListenerHandle::new(
                stop,
                Box::pin(async move { served.await.unwrap() }),
            ))
        })
    }
}

/// Every plugin of the catalog is there.
struct FakeLoader(mpsc::UnboundedSender<Run>);

impl PluginLoader for FakeLoader {
    fn load_chat<'a>(&'a self, _: &'a str, _: StatusSender) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        unreachable!("tunnels load no chat backend")
    }
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        _: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        let loaded: Arc<dyn TunnelProvider> = provider(plugin, Encryption::None, self.0.clone());
        Box::pin(async move { Ok(loaded) })
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        watch::channel(Vec::new()).1
    }
}

/// Says what it is told to say of the public side.
pub(super) struct FakeChecker(
    pub(super) Mutex<Result<(), String>>,
    pub(super) AtomicU32,
    /// What a failure proves, and whether the own listener answers.
    pub(super) Mutex<(Network, bool)>,
    /// Plain looks, and when.
    pub(super) Mutex<Vec<Instant>>,
);

impl FakeChecker {
    fn said(&self) -> Result<(), PublicCheckFailure> {
        let network = self.2.lock().unwrap().0;
        self.0
            .lock()
            .unwrap()
            .clone()
            .map_err(|cause| PublicCheckFailure { cause, network })
    }
}

impl PublicChecker for FakeChecker {
    fn check_http<'a>(
        &'a self,
        _: &'a resolved::PublicCheckMode,
        _: &'a str,
        _: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<Duration, PublicCheckFailure>> {
        self.3.lock().unwrap().push(Instant::now());
        let said = self.said();
        Box::pin(async move { said.map(|()| Duration::from_millis(42)) })
    }
    fn check_local<'a>(&'a self, _: SocketAddr, _: &'a str, _: &'a OriginSecret) -> BoxFuture<'a, bool> {
        let answers = self.2.lock().unwrap().1;
        Box::pin(async move { answers })
    }
    fn check_streaming<'a>(
        &'a self,
        _: &'a resolved::PublicCheckMode,
        _: &'a str,
        _: &'a OriginSecret,
    ) -> BoxFuture<'a, Result<(), PublicCheckFailure>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let said = self.said();
        Box::pin(async move { said })
    }
}

pub(super) struct Rig {
    pub(super) service: Arc<TunnelService>,
    pub(super) statuses: watch::Receiver<Vec<TunnelStatus>>,
    pub(super) provider: Arc<Provider>,
    pub(super) runs: mpsc::UnboundedReceiver<Run>,
    pub(super) listeners: Arc<FakeListeners>,
    pub(super) account: watch::Sender<bool>,
    pub(super) store: Store,
    pub(super) reaped: Arc<AtomicU32>,
    pub(super) plugins: Plugins,
    _dir: tempfile::TempDir,
    pub(super) checker: Arc<FakeChecker>,
}

pub(super) struct Setup {
    pub(super) encryption: Encryption,
    pub(super) allow_plaintext: bool,
    pub(super) autostart: bool,
    pub(super) account: bool,
    pub(super) listen: SocketAddr,
    pub(super) wanted: BTreeMap<String, bool>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            encryption: Encryption::None,
            allow_plaintext: true,
            autostart: false,
            account: true,
            listen: "127.0.0.1:0".parse().unwrap(),
            wanted: BTreeMap::new(),
        }
    }
}

pub(super) fn provider(name: &str, encryption: Encryption, runs: mpsc::UnboundedSender<Run>) -> Arc<Provider> {
    let status = PluginStatus {
        name: name.to_owned(),
        kind: Kind::Tunnel,
        version: "1.0.0".to_owned(),
        state: PluginState::Running,
        restarts: 0,
        last_failure: None,
        tunnel: None,
    };
    Arc::new(Provider {
        status: watch::Sender::new(status),
        descriptor: Descriptor {
            title: "X".to_owned(),
            stable_url: false,
            encryption,
            event_streams: true,
            client_address_header: None,
            public_name_header: None,
            liveness: nexus_model::tunnel::Liveness::Reported,
        },
        availability: Mutex::new(Availability::ready("1")),
        runs,
        starts: AtomicU32::new(0),
        stops: AtomicU32::new(0),
    })
}

pub(super) async fn rig(setup: Setup) -> Rig {
    let (runs_in, runs) = mpsc::unbounded_channel();
    let provider = provider("tunnel-x", setup.encryption, runs_in.clone());
    let config = resolved::Tunnel {
        name: "main".to_owned(),
        plugin: "tunnel-x".to_owned(),
        autostart: setup.autostart,
        allow_plaintext: setup.allow_plaintext,
        listen: setup.listen,
        hosts: vec!["own.example".to_owned()],
        public_check: resolved::PublicCheckMode::On,
    };
    let (account, has_account) = watch::channel(setup.account);
    let listeners = Arc::new(FakeListeners::default());
    let store = Store::in_memory().unwrap();
    for (tunnel, wanted) in setup.wanted {
        WantedTunnels::new(store.clone()).save(&tunnel, wanted).await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let known = nexus_testkit::config(dir.path(), "[tunnel.main]\nplugin = \"tunnel-x\"\n");
    let loader: Arc<dyn PluginLoader> = Arc::new(FakeLoader(runs_in));
    let plugins = Plugins {
        catalog: Arc::new(Catalog::new(&known)),
        statuses: Arc::new(PluginStatuses::new(
            Arc::new(ActivityLog::unkept(Arc::new(ManualClock::at(1_000)))),
            Arc::new(Refusing::new("these tests start no process")),
            Vec::new(),
        )),
        overrides: Arc::new(PluginOverrides::new(store.clone(), &known)),
        progress: Arc::new(LoadProgress::new(loader.compiling())),
        loader,
    };
    let checker = Arc::new(FakeChecker(
        Mutex::new(Ok(())),
        AtomicU32::new(0),
        Mutex::new((Network::Answered, true)),
        Mutex::default(),
    ));
    let reaped = Arc::new(AtomicU32::new(0));
    let reaper = Arc::clone(&reaped);
    let parts = Dependencies {
        listener_server: Arc::<FakeListeners>::clone(&listeners),
        has_account,
        store: store.clone(),
        stop_processes: Arc::new(move |_| {
            reaper.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {})
        }),
        plugins: plugins.clone(),
        barred: None,
        checker: Arc::<FakeChecker>::clone(&checker),
        activity: Arc::new(ActivityLog::unkept(Arc::new(ManualClock::at(1_000)))),
        clock: Arc::new(ManualClock::at(1_000)),
    };
    let spec = Spec {
        config,
        provided: RegisteredProvider::register(&plugins, "main", Arc::<Provider>::clone(&provider)),
    };
    let service = Arc::new(TunnelService::start(vec![spec], parts).await);
    let statuses = service.statuses();
    Rig {
        service,
        statuses,
        provider,
        runs,
        listeners,
        account,
        store,
        reaped,
        plugins,
        _dir: dir,
        checker,
    }
}

impl Rig {
    /// Whether a tunnel is to be open, as the database has it.
    pub(super) async fn wanted(&self, tunnel: &str) -> Option<bool> {
        let names = [tunnel.to_owned()].into_iter();
        WantedTunnels::new(self.store.clone())
            .load(names)
            .await
            .get(tunnel)
            .copied()
    }
    /// The plugin that serves `main` after a restart.
    pub(super) async fn chosen(&self) -> String {
        let (place, catalog) = (tunnel_place("main"), &self.plugins.catalog);
        self.plugins.overrides.plugin(&place, Kind::Tunnel, catalog).await
    }
    /// The plugins that serve.
    pub(super) fn serving(&self) -> Vec<String> {
        let all = self.plugins.statuses.subscribe();
        all.borrow().iter().map(|status| status.name.clone()).collect()
    }
    /// A description of the tunnel `main`.
    pub(super) fn config(&self) -> resolved::Tunnel {
        resolved::Tunnel {
            name: "main".to_owned(),
            plugin: "tunnel-x".to_owned(),
            autostart: false,
            allow_plaintext: true,
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: Vec::new(),
            public_check: resolved::PublicCheckMode::Off,
        }
    }
    pub(super) async fn until(&mut self, is: impl Fn(&TunnelStatus) -> bool) -> TunnelStatus {
        let found = tokio::time::timeout(Duration::from_secs(3600), self.statuses.wait_for(|all| is(&all[0]))).await;
        found
            .unwrap_or_else(|_| panic!("still {:?}", self.service.statuses().borrow()))
            .unwrap()[0]
            .clone()
    }
    pub(super) async fn run(&mut self) -> Run {
        tokio::time::timeout(Duration::from_secs(3600), self.runs.recv())
            .await
            .expect("a run")
            .unwrap()
    }
    pub(super) fn hosts(&self) -> Vec<String> {
        self.names().into_iter().map(|name| name.host).collect()
    }

    pub(super) fn names(&self) -> Vec<PublicName> {
        self.listeners.names.lock().unwrap().last().unwrap().borrow().clone()
    }
    pub(super) fn listeners(&self) -> u32 {
        self.listeners.open.load(Ordering::SeqCst)
    }
}
