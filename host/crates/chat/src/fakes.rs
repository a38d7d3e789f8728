//! The service on a fake backend, with its journal in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crate::backend_status::Phase;
use crate::dependencies::Dependencies;
use crate::journal::{Journal, SessionState, Subscription};
use crate::named_backend::NamedBackend;
use crate::service::ChatService;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_model::chat::{Event, Turn};
use nexus_model::plugin::Availability;
use nexus_model::time::ManualClock;
use nexus_plugin_traits::{BackendEvent, ChatBackend, NotLoaded, PluginLoader, StatusSender, TunnelProvider};
use nexus_process::Refusing;
use nexus_registry::{Catalog, LoadProgress, PluginOverrides, PluginStatuses, Plugins};
use nexus_store::activity_log::ActivityLog;
use nexus_store::{Durability, Store, StoreError};
use nexus_testkit::FakeChat;
use nexus_testkit::fake_chat::{EventStreams, event, opened, session_info, session_snapshot};
use nexus_testkit::wait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What a future gives that waits for nothing, as all of a database in memory.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it waits for nothing")
}

/// The journal of the service, and its database.
pub(crate) struct TestJournal {
    pub(crate) journal: Journal,
    store: Store,
    watching: Mutex<Vec<Subscription>>,
}

impl TestJournal {
    pub(crate) fn new() -> Self {
        let store = Store::in_memory().unwrap();
        let journal = at_once(Journal::open(store.clone(), Arc::new(ManualClock::at(5_000)))).unwrap();
        Self {
            journal,
            store,
            watching: Mutex::default(),
        }
    }
    /// What is written of a session, in order.
    pub(crate) fn events(&self, session: &str) -> Vec<Event> {
        let session = session.to_owned();
        let read = self.store.read(move |db| {
            let of = "SELECT body FROM event WHERE session = (SELECT key FROM session WHERE id = ?1) ORDER BY seq";
            let mut query = db.prepare(of)?;
            let bodies = query.query_map([session], |row| row.get(0))?;
            bodies.collect::<Result<Vec<String>, _>>()
        });
        let bodies = at_once(read).unwrap();
        bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
    }
    /// How many events are written of all sessions, and how many sessions were deleted.
    pub(crate) fn written(&self) -> (u32, u32) {
        let read = self.store.read(|db| {
            let count = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM removed)";
            db.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))
        });
        at_once(read).unwrap()
    }
    /// The disk is full from now on; or there is room again.
    pub(crate) fn disk_is_full(&self, full: bool) {
        let error = StoreError::ReadOnly("the disk is full".to_owned());
        self.store.fail_writes(full.then_some(error));
    }
    /// The rows of a session cannot be read any more.
    pub(crate) fn damage(&self, session: &str) {
        // A write that fails lets the journal forget what it holds in memory.
        self.disk_is_full(true);
        let turn = Turn::Retrying {
            attempt: 9,
            cause: String::new(),
            next_at: None,
        };
        at_once(self.journal.append(session, vec![Event::Turn { turn }])).unwrap_err();
        self.disk_is_full(false);
        let session = session.to_owned();
        let spoil = self.store.write(Durability::Process, move |db| {
            let spoil = "UPDATE event SET body = '{' WHERE session = (SELECT key FROM session WHERE id = ?1)";
            db.execute(spoil, [session])
        });
        assert!(at_once(spoil).unwrap() > 0);
    }
    /// Somebody looks at a session from now on.
    pub(crate) fn watch(&self, session: &str) {
        let subscription = at_once(self.journal.subscribe(session, None)).unwrap();
        self.watching.lock().unwrap().push(subscription);
    }
    /// The journal as a host has it that starts again.
    pub(crate) fn reopened(&self) -> Journal {
        at_once(Journal::open(self.store.clone(), Arc::new(ManualClock::at(5_000)))).unwrap()
    }
    pub(crate) fn now(&self, session: &str) -> SessionState {
        at_once(self.journal.state(session)).unwrap()
    }
    /// A session of a plugin as an earlier run of the host left it.
    pub(crate) fn seed(&self, plugin: &str, id: &str, events: Vec<Event>) {
        let journal = self.journal.of_backend(plugin);
        at_once(journal.create(session_info(id))).unwrap();
        at_once(journal.append(id, events)).unwrap();
    }
}

/// The chat backends that can be loaded, by the name of their plugin.
#[derive(Default)]
pub(crate) struct FakeLoader {
    pub(crate) backends: Mutex<BTreeMap<String, Arc<FakeChat>>>,
    pub(crate) compiling: watch::Sender<Vec<String>>,
}

impl PluginLoader for FakeLoader {
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        let found = self.backends.lock().unwrap().get(plugin).cloned();
        let loaded = found.ok_or_else(|| NotLoaded::Unavailable(format!("{plugin} cannot be loaded")));
        Box::pin(async move { loaded.map(|backend| backend as Arc<dyn ChatBackend>) })
    }
    fn load_tunnel<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        unreachable!("the chat loads no tunnel")
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        self.compiling.subscribe()
    }
}

/// The service with `chat-opencode`, and `chat-echo` for the time that its program is missing.
pub(crate) struct Rig {
    pub(crate) service: Arc<ChatService>,
    pub(crate) backend: Arc<FakeChat>,
    pub(crate) streams: EventStreams,
    pub(crate) journal: TestJournal,
    pub(crate) echo: Arc<FakeChat>,
    pub(crate) echo_streams: EventStreams,
    pub(crate) shelf: Arc<FakeLoader>,
    pub(crate) plugins: Plugins,
    pub(crate) clock: Arc<ManualClock>,
    /// Plugins whose processes were stopped.
    pub(crate) stopped: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

pub(crate) fn rig_with(journal: TestJournal, availability: Availability) -> Rig {
    let (backend, streams) = FakeChat::new("opencode");
    *backend.availability.lock().unwrap() = availability;
    let (echo, echo_streams) = FakeChat::new("echo");
    let stopped = Arc::<Mutex<Vec<String>>>::default();
    let named = |plugin: &str, backend: &Arc<FakeChat>| NamedBackend {
        plugin: plugin.to_owned(),
        backend: Arc::<FakeChat>::clone(backend),
    };
    let dir = tempfile::tempdir().unwrap();
    let config = nexus_testkit::config(dir.path(), "");
    let shelf = Arc::<FakeLoader>::default();
    let plugins = Plugins {
        catalog: Arc::new(Catalog::new(&config)),
        statuses: Arc::new(PluginStatuses::new(
            Arc::new(ActivityLog::unkept(Arc::new(ManualClock::at(5_000)))),
            Arc::new(Refusing::new("these tests start no process")),
            Vec::new(),
        )),
        overrides: Arc::new(PluginOverrides::new(journal.store.clone(), &config)),
        progress: Arc::new(LoadProgress::new(shelf.compiling())),
        loader: Arc::<FakeLoader>::clone(&shelf),
    };
    let clock = Arc::new(ManualClock::at(5_000));
    let service = ChatService::spawn(
        named("chat-opencode", &backend),
        Some(named("chat-echo", &echo)),
        Dependencies {
            journal: journal.journal.clone(),
            plugins: plugins.clone(),
            stop_processes: Arc::new({
                let stopped = Arc::clone(&stopped);
                move |plugin: String| {
                    stopped.lock().unwrap().push(plugin);
                    Box::pin(async {})
                }
            }),
            activity: Arc::new(ActivityLog::unkept(Arc::new(ManualClock::at(5_000)))),
            clock: Arc::<ManualClock>::clone(&clock),
            config: config.chat.clone(),
            config_file: None,
            data_dir: config.data_dir.clone(),
            path: None,
        },
    );
    Rig {
        service: Arc::new(service),
        backend,
        streams,
        journal,
        echo,
        echo_streams,
        shelf,
        plugins,
        clock,
        stopped,
        _dir: dir,
    }
}

pub(crate) fn rig() -> Rig {
    rig_with(TestJournal::new(), Availability::ready("1.18.33"))
}

/// Until nothing more happens by itself.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// The stream that the service opens next at a backend.
pub(crate) async fn next_stream(streams: &mut EventStreams) -> mpsc::Sender<BackendEvent> {
    wait::within("the events of the backend are asked for", streams.recv())
        .await
        .unwrap()
}

impl Rig {
    pub(crate) async fn stream(&mut self) -> mpsc::Sender<BackendEvent> {
        next_stream(&mut self.streams).await
    }
    /// Up, with session `s`.
    pub(crate) async fn up(&mut self) -> mpsc::Sender<BackendEvent> {
        let stream = self.stream().await;
        self.backend.has(session_snapshot("s", Turn::Idle));
        stream.send(opened("e1", &[])).await.unwrap();
        let info = session_info("s");
        stream.send(event("s", Event::Session { info })).await.unwrap();
        settle().await;
        stream
    }
    /// Up, with a turn of session `s` that runs.
    pub(crate) async fn running(&mut self) -> mpsc::Sender<BackendEvent> {
        let stream = self.up().await;
        self.backend.has(session_snapshot("s", Turn::Running));
        stream
            .send(event("s", Event::Turn { turn: Turn::Running }))
            .await
            .unwrap();
        settle().await;
        assert_eq!(self.journal.now("s").turn, Turn::Running);
        stream
    }
    /// Another plugin that can be loaded.
    pub(crate) fn offers(&self, plugin: &str, backend: &Arc<FakeChat>) {
        let mut known = self.plugins.catalog.get("chat-echo").unwrap();
        known.name = plugin.to_owned();
        self.plugins.catalog.insert(known);
        let backend = Arc::clone(backend);
        self.shelf.backends.lock().unwrap().insert(plugin.to_owned(), backend);
    }
    /// The ids of the messages of session `s`.
    pub(crate) fn message_ids(&self) -> Vec<String> {
        let messages = self.journal.now("s").messages.into_iter();
        messages.map(|known| known.message.id).collect()
    }
    pub(crate) fn phase(&self) -> Phase {
        self.service.backend().borrow().phase.clone()
    }
}
