//! From the feed of one backend to the journal.
//!
//! One task takes the feed, so events of a session keep their order. Before the first event of a session in a connection
//! is written, the session is brought up to date by a snapshot; its events wait meanwhile and are written after it. What
//! the snapshot already had is then applied a second time, which revisions and whole-state events make harmless.
//! Browsers are not in this path: they read from the journal, and a slow one holds up nobody.

use super::local;
use super::port::JournalPort;
use super::shared::{Active, Shared};
use super::status::Phase;
use crate::limits;
use crate::model::chat::{Ask, Epoch, Event, SessionEvent, SessionId, SessionInfo, Snapshot};
use crate::model::plugin::Failure;
use crate::runtime::port::{CallError, ChatBackend, Feed};
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Taken from the feed at once, and written at once.
const BATCH: usize = 256;
/// Events that may wait for snapshots before the feed is held back.
const WAITING: usize = 20_000;
/// Bytes of text for which an event counts as one more of them.
const WEIGHT: usize = 4096;
const MOST_FOREIGN: usize = 100;
const SNAPSHOTS_AT_ONCE: usize = 4;
const SNAPSHOT_TRIES: u32 = 4;
const LISTED: u32 = 200;
/// Pages of older messages.
const PAGES: usize = 500;
const JOURNAL_RETRY: Duration = Duration::from_secs(1);

enum Sync {
    /// A snapshot is on its way; these came meanwhile.
    Pending(Vec<SessionEvent>),
    Live,
}

enum Done {
    Snapshot(SessionId, Box<Result<Snapshot, CallError>>),
    Listed(Vec<SessionInfo>),
}

pub(super) struct Pump {
    shared: Arc<Shared>,
    journal: Arc<dyn JournalPort>,
    plugin: String,
    backend: Arc<dyn ChatBackend>,
    feed: mpsc::Receiver<Feed>,
    wake: mpsc::UnboundedReceiver<SessionId>,
    sessions: BTreeMap<SessionId, Sync>,
    waiting: usize,
    /// Sessions of another plugin that this one has sent events of: said once, however many there are.
    foreign: BTreeSet<SessionId>,
    /// Of the connection that is open.
    epoch: Option<Epoch>,
    jobs: JoinSet<Done>,
    snapshots: Arc<Semaphore>,
}

impl Pump {
    /// Opens the backend's feed and makes it the active one.
    pub(super) fn new(shared: Arc<Shared>, plugin: &str, backend: Arc<dyn ChatBackend>) -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        let active = Active {
            plugin: plugin.to_owned(),
            backend: Arc::clone(&backend),
            open: false,
            wake,
        };
        shared.active.send_replace(Some(active));
        Self {
            journal: shared.journal.of_backend(plugin),
            shared,
            plugin: plugin.to_owned(),
            feed: backend.events(),
            backend,
            wake: woken,
            sessions: BTreeMap::new(),
            waiting: 0,
            foreign: BTreeSet::new(),
            epoch: None,
            jobs: JoinSet::new(),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE)),
        }
    }

    /// Until the feed ends (none), or fails for good.
    pub(super) async fn run(&mut self) -> Option<Failure> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => if let Ok(done) = done {
                    self.done(done).await;
                },
                Some(session) = self.wake.recv() => self.open(session),
                taken = self.feed.recv_many(&mut batch, BATCH), if self.waiting < WAITING => {
                    if taken == 0 {
                        self.closed().await;
                        return None;
                    }
                    if let Some(failure) = self.take(batch.drain(..)).await {
                        return Some(failure);
                    }
                }
            }
        }
    }

    async fn take(&mut self, batch: impl Iterator<Item = Feed>) -> Option<Failure> {
        let mut ready = Vec::new();
        for feed in batch {
            if let Feed::Event(event) = feed {
                ready.extend(self.route(event));
                continue;
            }
            self.write(std::mem::take(&mut ready)).await;
            match feed {
                Feed::Event(_) => {}
                Feed::Starting(what) => self.shared.phase(Phase::Starting { what }),
                Feed::Opened(epoch) => self.opened(epoch).await,
                Feed::Closed(failure) => {
                    self.closed().await;
                    if failure.permanent {
                        settle_all(&self.shared, &*self.journal, &self.plugin).await;
                        return Some(failure);
                    }
                    self.shared.phase(Phase::Reconnecting { why: failure.message });
                }
            }
        }
        self.write(ready).await;
        None
    }

    /// An event that may be written now.
    fn route(&mut self, event: SessionEvent) -> Option<SessionEvent> {
        if matches!(self.sessions.get(&event.session), Some(Sync::Live)) && event.event != Event::SessionRemoved {
            return Some(event);
        }
        let listed = self.shared.listed(&event.session);
        if let Some(listed) = &listed
            && listed.backend != self.plugin
        {
            if self.foreign.len() >= MOST_FOREIGN || !self.foreign.insert(event.session.clone()) {
                return None;
            }
            tracing::warn!(
                session = event.session,
                owner = listed.backend,
                plugin = self.plugin,
                "an event for a conversation of another plugin is dropped"
            );
            return None;
        }
        if event.event == Event::SessionRemoved {
            if let Some(Sync::Pending(before)) = self.sessions.remove(&event.session) {
                self.waiting -= before.iter().map(weight).sum::<usize>();
            }
            return listed.map(|_| event);
        }
        match self.sessions.get_mut(&event.session) {
            Some(Sync::Live) => Some(event),
            Some(Sync::Pending(before)) => {
                self.waiting += weight(&event);
                before.push(event);
                None
            }
            None => {
                let info = if let Event::Session { info } = &event.event {
                    Some(info.clone())
                } else {
                    None
                };
                self.waiting += weight(&event);
                self.fetch(event.session.clone(), info, vec![event]);
                None
            }
        }
    }

    /// Somebody looks at a session.
    fn open(&mut self, session: SessionId) {
        let ours = self
            .shared
            .listed(&session)
            .is_some_and(|listed| listed.backend == self.plugin);
        if ours && !self.sessions.contains_key(&session) {
            self.fetch(session, None, Vec::new());
        }
    }

    fn fetch(&mut self, session: SessionId, info: Option<SessionInfo>, events: Vec<SessionEvent>) {
        self.sessions.insert(session.clone(), Sync::Pending(events));
        if self.epoch.is_none() {
            return; // `opened` does it.
        }
        let info = info.or_else(|| self.shared.listed(&session).map(|listed| listed.info));
        let info = info.unwrap_or_else(|| unknown(&session));
        let (journal, backend, permits) = (
            Arc::clone(&self.journal),
            Arc::clone(&self.backend),
            Arc::clone(&self.snapshots),
        );
        self.jobs.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let whole = journal
                .state(&session)
                .await
                .is_ok_and(|state| state.messages.is_empty());
            Done::Snapshot(session, Box::new(snapshot(&*backend, &info, whole).await))
        });
    }

    async fn opened(&mut self, epoch: Epoch) {
        let used = self.release().await;
        self.journal.open_epoch();
        let mut sessions: BTreeSet<SessionId> = used.into_iter().collect();
        sessions.extend(epoch.running.iter().map(|(session, _)| session.clone()));
        sessions.extend(epoch.asks.iter().map(|(session, _)| session.clone()));
        let ours = |session: &SessionId| self.shared.listed(session).is_none_or(|l| l.backend == self.plugin);
        sessions.extend(self.journal.unfinished());
        sessions.retain(ours);
        let version = epoch.version.clone();
        self.epoch = Some(epoch);
        for session in sessions {
            self.fetch(session, None, Vec::new());
        }
        let backend = Arc::clone(&self.backend);
        self.jobs.spawn(async move {
            let listed = backend.sessions(LISTED).await;
            Done::Listed(listed.unwrap_or_else(|error| {
                tracing::warn!(%error, "the backend does not list its conversations");
                Vec::new()
            }))
        });
        // The component says what it is only once it runs.
        let (title, example) = (self.backend.title(), self.backend.is_example());
        self.shared.status.send_modify(|status| {
            (status.title, status.example) = (title, example);
            status.version = Some(version);
            status.phase = Phase::Up;
        });
        self.set_open(true);
    }

    async fn closed(&mut self) {
        self.set_open(false);
        for session in self.release().await {
            self.sessions.insert(session, Sync::Pending(Vec::new()));
        }
        self.epoch = None;
    }

    /// Writes what waits for a snapshot that will not come. Gives the sessions that were in use.
    async fn release(&mut self) -> Vec<SessionId> {
        self.jobs = JoinSet::new();
        self.waiting = 0;
        let mut names = Vec::with_capacity(self.sessions.len());
        for (session, sync) in std::mem::take(&mut self.sessions) {
            if let Sync::Pending(events) = sync {
                self.write_unsynced(&session, events).await;
            }
            names.push(session);
        }
        names
    }

    fn set_open(&self, open: bool) {
        self.shared.active.send_modify(|active| {
            if let Some(active) = active {
                active.open = open;
            }
        });
    }

    async fn done(&mut self, done: Done) {
        let (session, result) = match done {
            Done::Snapshot(session, result) => (session, *result),
            Done::Listed(infos) => {
                let known =
                    |info: &SessionInfo| self.shared.listed(&info.id).map(|listed| (listed.backend, listed.info));
                let new = infos.into_iter().filter(|info| match known(info) {
                    Some((backend, known)) => backend == self.plugin && known != *info,
                    None => true,
                });
                let events = new.map(|info| SessionEvent {
                    session: info.id.clone(),
                    event: Event::Session { info },
                });
                return self.write(events.collect()).await;
            }
        };
        let Some(Sync::Pending(events)) = self.sessions.insert(session.clone(), Sync::Live) else {
            // Deleted while the snapshot was taken.
            self.sessions.remove(&session);
            return;
        };
        self.waiting -= events.iter().map(weight).sum::<usize>();
        match result {
            Ok(snapshot) => self.reconcile(&session, snapshot).await,
            Err(error) => {
                tracing::warn!(session, %error, "the backend does not show the conversation");
                self.settle(&session).await;
            }
        }
        self.write_unsynced(&session, events).await;
    }

    async fn reconcile(&mut self, session: &str, mut snapshot: Snapshot) {
        if snapshot.info.id != session {
            tracing::warn!(
                session,
                got = snapshot.info.id,
                "the backend answered with another conversation"
            );
            return self.settle(session).await;
        }
        // A sub-agent's ask is shown at the root. Those answered since are closed by the events that wait.
        for ask in self.asks(session) {
            if !snapshot.asks.iter().any(|a| a.id == ask.id) {
                snapshot.asks.push(ask);
            }
        }
        if let Some(epoch) = &mut self.epoch {
            epoch.asks.retain(|(name, _)| name != session); // true at the opening only
        }
        let shared = Arc::clone(&self.shared);
        let mut local = shared.local.lock().await;
        let known = self.insist(|| self.journal.state(session)).await;
        let superseded = local::keep(&mut snapshot, &known, &mut local);
        self.insist(|| self.journal.reconcile(snapshot.clone())).await;
        if !superseded.is_empty() {
            self.insist(|| self.journal.append(session, superseded.clone())).await;
        }
    }

    fn asks(&self, session: &str) -> Vec<Ask> {
        let asks = self.epoch.iter().flat_map(|epoch| &epoch.asks);
        asks.filter(|(name, _)| name == session)
            .map(|(_, ask)| ask.clone())
            .collect()
    }

    /// What the connection said when it opened is all there is.
    async fn settle(&self, session: &str) {
        if let Some(epoch) = &self.epoch {
            self.insist(|| self.journal.settle(session, epoch)).await;
        }
    }

    /// As [`Self::write`], for a session that the journal may not know.
    async fn write_unsynced(&self, session: &str, mut events: Vec<SessionEvent>) {
        let introduced = events
            .first()
            .is_none_or(|event| matches!(event.event, Event::Session { .. }));
        if !introduced && self.shared.listed(session).is_none() {
            let event = Event::Session { info: unknown(session) };
            events.insert(
                0,
                SessionEvent {
                    session: session.to_owned(),
                    event,
                },
            );
        }
        self.write(events).await;
    }

    async fn write(&self, mut events: Vec<SessionEvent>) {
        if events.is_empty() {
            return;
        }
        if !events.iter().any(local::concerns) {
            return self.insist(|| self.journal.ingest(events.clone())).await;
        }
        let mut local = self.shared.local.lock().await;
        events = local::supersede(events, &mut local);
        self.insist(|| self.journal.ingest(events.clone())).await;
    }

    /// Nothing is thrown away because a disk is full: the feed is held back until it is written.
    async fn insist<'a, T>(&self, job: impl Fn() -> BoxFuture<'a, Result<T, String>>) -> T {
        insist(job).await
    }
}

/// Nobody runs any turn of this plugin. What cannot be written down in time, because the disk is full say, is when the
/// plugin is connected the next time: neither an order nor the word that the backend failed waits for a disk.
pub(super) async fn settle_all(shared: &Shared, journal: &dyn JournalPort, plugin: &str) {
    let settled = tokio::time::timeout(limits::SETTLE, settle_each(shared, journal, plugin)).await;
    if settled.is_err() {
        tracing::error!(
            plugin,
            "answers that were cut could not be marked; they are when {plugin} is back"
        );
    }
}

async fn settle_each(shared: &Shared, journal: &dyn JournalPort, plugin: &str) {
    let nothing = Epoch {
        id: String::new(),
        version: String::new(),
        running: Vec::new(),
        asks: Vec::new(),
    };
    for session in journal.unfinished() {
        if shared.listed(&session).is_some_and(|listed| listed.backend == plugin) {
            insist(|| journal.settle(&session, &nothing)).await;
        }
    }
}

async fn insist<'a, T>(job: impl Fn() -> BoxFuture<'a, Result<T, String>>) -> T {
    let mut said = false;
    loop {
        match job().await {
            Ok(done) => return done,
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(
                        error,
                        "the journal fails; the conversation is held back until it works again"
                    );
                }
                tokio::time::sleep(JOURNAL_RETRY).await;
            }
        }
    }
}

/// What an event counts while it waits: a long text takes the place of many short ones.
fn weight(event: &SessionEvent) -> usize {
    1 + event.event.size() / WEIGHT
}

async fn snapshot(backend: &dyn ChatBackend, info: &SessionInfo, whole: bool) -> Result<Snapshot, CallError> {
    let mut tries = 0;
    let mut snapshot = loop {
        let error = match backend.snapshot(info, None).await {
            Ok(snapshot) => break snapshot,
            Err(error) => error,
        };
        tries += 1;
        let passes = matches!(
            error,
            CallError::Unavailable(_) | CallError::Timeout(_) | CallError::Crashed(_) | CallError::Other(_)
        );
        if !passes || tries >= SNAPSHOT_TRIES {
            return Err(error);
        }
        tokio::time::sleep(limits::RESTART_FIRST * 2u32.pow(tries)).await;
    };
    if whole {
        for _ in 0..PAGES {
            let Some(before) = snapshot.before.clone() else { break };
            let Ok(mut page) = backend.snapshot(info, Some(before)).await else {
                break;
            };
            page.messages.append(&mut snapshot.messages);
            snapshot.messages = page.messages;
            snapshot.before = page.before;
        }
    }
    Ok(snapshot)
}

/// For a session that nobody has introduced. The empty workspace means the configured one.
fn unknown(session: &str) -> SessionInfo {
    SessionInfo {
        id: session.to_owned(),
        workspace: String::new(),
        parent: None,
        title: String::new(),
        created_at: 0,
        updated_at: 0,
    }
}
