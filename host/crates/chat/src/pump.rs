//! From the feed of one backend to the journal.
//!
//! One task takes the feed, so events of a session keep their order. Before the first event of a session in a connection
//! is written, the session is brought up to date by a snapshot; its events wait meanwhile and are written after it. What
//! the snapshot already had is then applied a second time, which revisions and whole-state events make harmless.
//! Browsers are not in this path: they read from the journal, and a slow one holds up nobody.
//!
//! What another program does with the same backend comes by no event. So a session is read again whenever somebody opens
//! it while no turn of it runs here, and the list whenever somebody opens a page.
//!
//! No session is made up: one that nobody introduced is written once the backend shows it, and what is said of one that the
//! backend does not show is dropped. A record that cannot be read costs the session it is of, and no other.

use super::local;
use super::port::{JournalPort, StoreError};
use super::queue;
use super::shared::{Active, Shared, Wake};
use super::status::Phase;
use super::writing::{insist, settle_all, write_one};
use nexus_model::chat::{Ask, Epoch, Event, SessionEvent, SessionId, SessionInfo, Snapshot};
use nexus_model::limits;
use nexus_model::plugin::Failure;
use nexus_plugin_traits::{CallError, ChatBackend, Feed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Taken from the feed at once, and written at once.
const BATCH: usize = 256;
/// Events that may wait for snapshots before the feed is held back.
const WAITING: usize = 20_000;
/// Bytes of text for which an event counts as one more of them.
const WEIGHT: usize = 4096;
const MOST_FOREIGN: usize = 100;
/// Bytes of a session's name that the backend is asked for.
const NAME: usize = 256;
const SNAPSHOTS_AT_ONCE: usize = 4;
const SNAPSHOT_TRIES: u32 = 4;
/// Pages of older messages.
const PAGES: usize = 500;

enum Sync {
    /// A snapshot is on its way; these came meanwhile, and these wait for it.
    Pending(Vec<SessionEvent>, Vec<oneshot::Sender<()>>),
    /// When it was read.
    Live(Instant),
}

enum Done {
    Snapshot(SessionId, Box<Result<Snapshot, NoSnapshot>>),
    Listed(Vec<SessionInfo>),
}

enum NoSnapshot {
    Backend(CallError),
    Journal(StoreError),
}

pub(super) struct Pump {
    shared: Arc<Shared>,
    journal: Arc<dyn JournalPort>,
    plugin: String,
    backend: Arc<dyn ChatBackend>,
    feed: mpsc::Receiver<Feed>,
    wake: mpsc::UnboundedReceiver<Wake>,
    sessions: BTreeMap<SessionId, Sync>,
    waiting: usize,
    /// Sessions of another plugin that this one has sent events of: said once, however many there are.
    foreign: BTreeSet<SessionId>,
    /// Sessions whose record cannot be read or written. They are tried again at the next connection.
    damaged: BTreeSet<SessionId>,
    /// When the list was read last.
    listed: Option<Instant>,
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
            damaged: BTreeSet::new(),
            listed: None,
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
                Some(wake) = self.wake.recv() => match wake {
                    Wake::Session(session, read) => self.open(session, read),
                    Wake::List => self.list(),
                },
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
    fn route(&mut self, mut event: SessionEvent) -> Option<SessionEvent> {
        if self.damaged.contains(&event.session) || self.journal.is_removed(&event.session) {
            return None;
        }
        if let Event::Session { info } = &mut event.event {
            self.keep_title(info);
        }
        if matches!(self.sessions.get(&event.session), Some(Sync::Live(_))) && event.event != Event::SessionRemoved {
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
            if let Some(Sync::Pending(before, _)) = self.sessions.remove(&event.session) {
                self.waiting -= before.iter().map(weight).sum::<usize>();
            }
            return listed.map(|_| event);
        }
        self.waiting += weight(&event);
        match self.sessions.get_mut(&event.session) {
            Some(Sync::Pending(before, _)) => before.push(event),
            Some(Sync::Live(_)) | None => {
                let info = if let Event::Session { info } = &event.event {
                    Some(info.clone())
                } else {
                    None
                };
                self.fetch(event.session.clone(), info, vec![event], Vec::new());
            }
        }
        None
    }

    /// A title that a person chose is not lost to one that was made up meanwhile.
    fn keep_title(&self, info: &mut SessionInfo) {
        let Some(title) = self.shared.chosen_title(info) else {
            return;
        };
        info.title = title;
        let (backend, info) = (Arc::clone(&self.backend), info.clone());
        tokio::spawn(async move {
            if let Err(error) = backend.rename(&info, &info.title).await {
                tracing::warn!(session = info.id, %error, "a title that was chosen could not be given again");
            }
        });
    }

    /// Somebody looks at a session.
    fn open(&mut self, session: SessionId, read: oneshot::Sender<()>) {
        let foreign = match self.shared.listed(&session) {
            Some(listed) => listed.backend != self.plugin,
            // An address may hold anything; only what could be a name is asked for.
            None => session.is_empty() || session.len() > NAME,
        };
        if foreign || self.epoch.is_none() || self.journal.is_removed(&session) {
            return; // `opened` reads what is looked at
        }
        match self.sessions.get_mut(&session) {
            Some(Sync::Pending(_, waiting)) => return waiting.push(read),
            // What happens in a turn comes by events, and must not wait for this.
            Some(Sync::Live(at))
                if at.elapsed() < limits::READ_AGAIN || self.journal.unfinished().contains(&session) =>
            {
                return;
            }
            Some(Sync::Live(_)) | None => {}
        }
        self.damaged.remove(&session);
        self.fetch(session, None, Vec::new(), vec![read]);
    }

    fn fetch(
        &mut self,
        session: SessionId,
        info: Option<SessionInfo>,
        events: Vec<SessionEvent>,
        waiting: Vec<oneshot::Sender<()>>,
    ) {
        self.sessions.insert(session.clone(), Sync::Pending(events, waiting));
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
            let result = match journal.state(&session).await {
                Ok(state) => {
                    let whole = state.messages.iter().all(|(message, _)| local::is_local(message));
                    snapshot(&*backend, &info, whole).await.map_err(NoSnapshot::Backend)
                }
                Err(error) => Err(NoSnapshot::Journal(error)),
            };
            Done::Snapshot(session, Box::new(result))
        });
    }

    /// Reads the backend's list, unless that was just done.
    fn list(&mut self) {
        let fresh = self.listed.is_some_and(|at| at.elapsed() < limits::READ_AGAIN);
        if fresh || self.epoch.is_none() {
            return;
        }
        self.listed = Some(Instant::now());
        let backend = Arc::clone(&self.backend);
        self.jobs.spawn(async move {
            let listed = backend.sessions(limits::LISTED_SESSIONS).await;
            Done::Listed(listed.unwrap_or_else(|error| {
                tracing::warn!(%error, "the backend does not list its conversations");
                Vec::new()
            }))
        });
    }

    async fn opened(&mut self, epoch: Epoch) {
        let unread = self.release().await;
        self.journal.open_epoch();
        self.damaged.clear();
        let mut sessions: BTreeSet<SessionId> = unread.into_iter().collect();
        sessions.extend(epoch.running.iter().map(|(session, _)| session.clone()));
        sessions.extend(epoch.asks.iter().map(|(session, _)| session.clone()));
        sessions.extend(self.journal.unfinished());
        sessions.extend(self.journal.watched());
        let ours = |session: &SessionId| {
            !self.journal.is_removed(session) && self.shared.listed(session).is_none_or(|l| l.backend == self.plugin)
        };
        sessions.retain(ours);
        let version = epoch.version.clone();
        self.epoch = Some(epoch);
        for session in sessions {
            self.fetch(session, None, Vec::new(), Vec::new());
        }
        self.listed = None;
        self.list();
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
            self.sessions.insert(session, Sync::Pending(Vec::new(), Vec::new()));
        }
        self.epoch = None;
    }

    /// Writes what waits for a snapshot that will not come. Gives the sessions that were not read yet.
    async fn release(&mut self) -> Vec<SessionId> {
        self.jobs = JoinSet::new();
        self.waiting = 0;
        let mut names = Vec::new();
        for (session, sync) in std::mem::take(&mut self.sessions) {
            if let Sync::Pending(events, _) = sync {
                self.write_unsynced(&session, events).await;
                names.push(session);
            }
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
            Done::Listed(infos) => return self.listed(infos).await,
        };
        let Some(Sync::Pending(events, waiting)) = self.sessions.remove(&session) else {
            return; // deleted while the snapshot was taken
        };
        self.waiting -= events.iter().map(weight).sum::<usize>();
        let known = self.shared.listed(&session).is_some();
        match result {
            Ok(snapshot) => {
                self.live(&session);
                self.reconcile(&session, snapshot).await;
                self.write_unsynced(&session, events).await;
            }
            Err(NoSnapshot::Journal(error)) => self.damaged(&session, &error),
            // It was deleted, here or elsewhere: what was still said of it is of no use to anybody.
            Err(NoSnapshot::Backend(CallError::NotFound(_))) => self.settle(&session).await,
            Err(NoSnapshot::Backend(error)) => {
                tracing::warn!(session, %error, "the backend does not show the conversation");
                if known {
                    self.live(&session);
                    self.settle(&session).await;
                    self.write_unsynced(&session, events).await;
                }
                // Otherwise the next event of it asks for it again.
            }
        }
        drop(waiting);
    }

    async fn listed(&mut self, infos: Vec<SessionInfo>) {
        let mut events = Vec::new();
        for mut info in infos {
            if self.journal.is_removed(&info.id) {
                continue;
            }
            self.keep_title(&mut info);
            let new = match self.shared.listed(&info.id) {
                Some(known) => known.backend == self.plugin && known.info != info,
                None => true,
            };
            if new {
                let session = info.id.clone();
                let event = Event::Session { info };
                events.push(SessionEvent { session, event });
            }
        }
        self.write(events).await;
    }

    /// It is up to date. Those that nobody looks at and in which nothing happens are forgotten where there are too many.
    fn live(&mut self, session: &str) {
        if self.sessions.len() >= limits::LIVE_SESSIONS {
            let (unfinished, watched) = (self.journal.unfinished(), self.journal.watched());
            self.sessions.retain(|session, sync| {
                matches!(sync, Sync::Pending(..)) || unfinished.contains(session) || watched.contains(session)
            });
        }
        self.sessions.insert(session.to_owned(), Sync::Live(Instant::now()));
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
        self.keep_title(&mut snapshot.info);
        // A sub-agent's ask is shown at the root. Those answered since are closed by the events that wait.
        for ask in self.asks(session) {
            if !snapshot.asks.iter().any(|a| a.id == ask.id) {
                snapshot.asks.push(ask);
            }
        }
        if let Some(epoch) = &mut self.epoch {
            epoch.asks.retain(|(name, _)| name != session); // true at the opening only
        }
        let turn = snapshot.turn.clone();
        let (shared, journal) = (&self.shared, &self.journal);
        let written = insist(|| {
            let mut snapshot = snapshot.clone();
            Box::pin(async move {
                // Held for one try: whoever has a prompt to show must hear that the disk is full, not wait for it.
                let mut local = shared.local.lock().await;
                let known = journal.state(session).await?;
                let mut left = local.clone();
                let superseded = local::keep(&mut snapshot, &known, &mut left);
                journal.reconcile(snapshot).await?;
                if !superseded.is_empty() {
                    journal.append(session, superseded).await?;
                }
                *local = left;
                Ok(())
            })
        })
        .await;
        match written {
            Ok(()) => queue::turned(&self.shared, session, &turn),
            Err(error) => self.damaged(session, &error),
        }
    }

    fn asks(&self, session: &str) -> Vec<Ask> {
        let asks = self.epoch.iter().flat_map(|epoch| &epoch.asks);
        asks.filter(|(name, _)| name == session)
            .map(|(_, ask)| ask.clone())
            .collect()
    }

    /// What the connection said when it opened is all there is.
    async fn settle(&mut self, session: &str) {
        if self.shared.listed(session).is_none() {
            return;
        }
        if let Some(epoch) = &self.epoch
            && let Err(error) = insist(|| self.journal.settle(session, epoch)).await
        {
            self.damaged(session, &error);
        }
    }

    /// As [`Self::write`], for a session that the journal may not know: then nothing is written that does not introduce it.
    async fn write_unsynced(&mut self, session: &str, events: Vec<SessionEvent>) {
        let introduced = events
            .first()
            .is_some_and(|event| matches!(event.event, Event::Session { .. }));
        if introduced || self.shared.listed(session).is_some() {
            self.write(events).await;
        }
    }

    /// Sessions are written at the same time, and mostly in one commit.
    async fn write(&mut self, events: Vec<SessionEvent>) {
        let mut by_session: Vec<(SessionId, Vec<SessionEvent>)> = Vec::new();
        for event in events {
            match by_session.iter_mut().find(|(id, _)| *id == event.session) {
                Some((_, events)) => events.push(event),
                None => by_session.push((event.session.clone(), vec![event])),
            }
        }
        let (shared, journal) = (&self.shared, &self.journal);
        let writes = by_session.into_iter().map(|(session, events)| async move {
            let written = insist(|| Box::pin(write_one(shared, &**journal, &session, &events))).await;
            if written.is_ok() {
                for event in &events {
                    if let Event::Turn { turn } = &event.event {
                        queue::turned(shared, &session, turn);
                    }
                }
            }
            (session, written)
        });
        let written = futures::future::join_all(writes).await;
        for (session, written) in written {
            if let Err(error) = written {
                self.damaged(&session, &error);
            }
        }
    }

    /// Nothing more of it is taken; the others go on.
    fn damaged(&mut self, session: &str, error: &StoreError) {
        if *error != StoreError::Closed && self.damaged.insert(session.to_owned()) {
            tracing::error!(session, %error, "a conversation cannot be kept up to date");
        }
        if let Some(Sync::Pending(events, _)) = self.sessions.remove(session) {
            self.waiting -= events.iter().map(weight).sum::<usize>();
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
        archived: false,
    }
}
