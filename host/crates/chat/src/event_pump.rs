//! From the event stream of one backend to the journal.
//!
//! # Problem
//! A backend reports what happens as it happens, and forgets: whatever it says while nobody listens is lost, it repeats or
//! skips events when a connection opens again, and what another program does with it comes by no event at all. Browsers
//! are the same on the other side: they come late, they are slow, and they lose the network.
//!
//! # Mechanism
//! One task takes the stream of the connected backend, so events of a session keep their order. A session is in one of three
//! states here:
//! - *unknown*: nothing of it was written in this connection. Its first event begins a reading.
//! - *pending*: a snapshot of it is on its way ([`SyncState::Pending`]). Its events wait, and are written after the snapshot.
//!   What the snapshot already had is then applied a second time, which revisions and whole-state events make harmless.
//! - *live*: events are written as they come ([`SyncState::Live`]).
//!
//! When a connection opens, all sessions that run, wait for an answer, did not end, or are looked at are read; when it closes,
//! all of them are unknown again. While a turn of it runs, a live session needs no reading. Otherwise it is read again when
//! somebody opens it, and the list when somebody opens a page: that is how work of other programs is seen.
//! Events that are there at the same time are written together: sessions in parallel, mostly in one commit. Browsers are not
//! in this path. They read from the journal, so a slow one delays nobody.
//!
//! # Limits
//! - Of a backend that keeps no history the journal is the only record: nothing is read, and what had not ended when a
//!   connection opens was interrupted.
//! - No session is made up. One that nobody introduced is written once the backend shows it; what is said of one that the
//!   backend does not show, that was deleted, or that belongs to another plugin is dropped.
//! - A record that cannot be read costs the session it is of, until the next connection, and no other.
//! - A full disk stops the stream ([`insist`]), and through its bounded channel the plugin; nothing is lost.
//! - [`WAITING`] events wait for snapshots at most; then the stream is not read until a snapshot comes. [`SNAPSHOTS_AT_ONCE`]
//!   are read at a time, [`limits::LIVE_SESSIONS`] are live.
//!
//! # Cost
//! For an event of a live session: one look into a map, and its share of the commit. For a session in each connection: one
//! snapshot, and all pages of older messages where the journal has none of them.
//!
//! # Rejected
//! Writing events as they come and reading the session afterwards. Between the two, everybody would see text without its
//! beginning, and a part that ended while the connection was lost would stay open. A task for each session: the order of a
//! session's creation, deletion and list entry would need locks between them, and commits could not be shared.

use crate::backend_status::Phase;
use crate::journal::{Journal, Listed};
use crate::journal_writes::{insist, settle_all, write_one};
use crate::named_backend::NamedBackend;
use crate::pending_prompts::{self, is_pending};
use crate::prompts::turned;
use crate::shared::{Active, Shared, Wake};
use crate::snapshots::{list_sessions, read_session, unknown};
use nexus_model::chat::{
    AgentRequest, BackendConnection, Event, Feature, Role, SessionEvent, SessionId, SessionInfo, Snapshot,
};
use nexus_model::limits;
use nexus_model::plugin::Failure;
use nexus_plugin_traits::{BackendEvent, BackendEvents, CallError, ChatBackend};
use nexus_store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// `BATCH` is how many events are taken from the event stream and written together.
const BATCH: usize = 256;
/// `WAITING` is how many events may wait for snapshots before the event stream is held back.
const WAITING: usize = 20_000;
/// `WEIGHT` is the number of bytes of text for which an event counts as one more of them.
const WEIGHT: usize = 4096;
const MOST_FOREIGN: usize = 100;
/// `NAME` is how many bytes a session's name may have that the backend is asked for.
const NAME: usize = 256;
const SNAPSHOTS_AT_ONCE: usize = 4;

enum SyncState {
    /// `Pending`: a snapshot is on its way; these events came meanwhile, and these readers wait for it.
    Pending(Vec<SessionEvent>, Vec<oneshot::Sender<()>>),
    /// `Live` has when it was read.
    Live(Instant),
}

enum Done {
    Snapshot(SessionId, Box<Result<Snapshot, NoSnapshot>>),
    Listed(Vec<SessionInfo>),
}

enum NoSnapshot {
    Backend(CallError),
    Journal(StoreError),
    /// `NotKept`: the backend keeps nothing of what was said, so that the journal is the only record.
    NotKept,
}

/// `EventPump` writes what one backend reports to the journal; see above.
pub(crate) struct EventPump {
    shared: Arc<Shared>,
    journal: Journal,
    plugin: String,
    backend: Arc<dyn ChatBackend>,
    stream: BackendEvents,
    wake: mpsc::UnboundedReceiver<Wake>,
    sessions: BTreeMap<SessionId, SyncState>,
    waiting: usize,
    /// `foreign` are sessions of another plugin that this one has sent events of: said once, however many there are.
    foreign: BTreeSet<SessionId>,
    /// `damaged` are sessions whose record cannot be read or written. They are tried again at the next connection.
    damaged: BTreeSet<SessionId>,
    /// `outdated` are sessions that the backend has changed while a snapshot of them was on its way.
    outdated: BTreeSet<SessionId>,
    /// `listed` is when the list was read last.
    listed: Option<Instant>,
    /// `connection` is the one that is open.
    connection: Option<BackendConnection>,
    jobs: JoinSet<Done>,
    snapshots: Arc<Semaphore>,
}

impl EventPump {
    /// Opens the backend's stream and makes it the active one.
    pub(crate) fn new(shared: Arc<Shared>, named: NamedBackend) -> Self {
        let NamedBackend { plugin, backend } = named;
        let (wake, woken) = mpsc::unbounded_channel();
        let active = Active {
            plugin: plugin.clone(),
            backend: Arc::clone(&backend),
            open: false,
            wake,
        };
        shared.active.send_replace(Some(active));
        Self {
            journal: shared.journal.of_backend(&plugin),
            shared,
            plugin,
            stream: backend.events(),
            backend,
            wake: woken,
            sessions: BTreeMap::new(),
            waiting: 0,
            foreign: BTreeSet::new(),
            damaged: BTreeSet::new(),
            outdated: BTreeSet::new(),
            listed: None,
            connection: None,
            jobs: JoinSet::new(),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE)),
        }
    }

    /// Runs until the event stream ends (`None`), or the backend fails for good.
    pub(crate) async fn run(&mut self) -> Option<Failure> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => if let Ok(done) = done {
                    self.done(done).await;
                },
                Some(wake) = self.wake.recv() => match wake {
                    Wake::Session(session, read) => self.open(session, read, false),
                    Wake::Changed(session, read) => self.open(session, read, true),
                    Wake::List => self.list(),
                },
                taken = self.stream.recv_many(&mut batch, BATCH), if self.waiting < WAITING => {
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

    async fn take(&mut self, batch: impl Iterator<Item = BackendEvent>) -> Option<Failure> {
        nexus_model::event_trace::Hop::Taken.reached();
        let mut ready = Vec::new();
        for event in batch {
            if let BackendEvent::Event(event) = event {
                ready.extend(self.route(event));
                continue;
            }
            self.write(std::mem::take(&mut ready)).await;
            match event {
                BackendEvent::Event(_) => {}
                BackendEvent::Starting(progress) => self.shared.phase(Phase::Starting { progress }),
                BackendEvent::Opened(connection) => self.opened(connection).await,
                BackendEvent::Closed(failure) => {
                    self.closed().await;
                    if failure.permanent {
                        settle_all(&self.shared, &self.journal, &self.plugin).await;
                        return Some(failure);
                    }
                    self.shared.phase(Phase::Reconnecting { cause: failure.cause });
                }
            }
        }
        self.write(ready).await;
        None
    }

    /// Returns the event if it may be written now; otherwise it waits, or is dropped.
    fn route(&mut self, mut event: SessionEvent) -> Option<SessionEvent> {
        if self.damaged.contains(&event.session) || self.journal.is_removed(&event.session) {
            return None;
        }
        if !self.is_the_backends(&event) {
            return None;
        }
        if let Event::Session { info } = &mut event.event {
            self.keep_what_the_host_made(info);
            self.keep_title(info);
        }
        if matches!(self.sessions.get(&event.session), Some(SyncState::Live(_))) && event.event != Event::SessionRemoved
        {
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
                "dropped an event for a session of another plugin"
            );
            return None;
        }
        if event.event == Event::SessionRemoved {
            if let Some(SyncState::Pending(before, _)) = self.sessions.remove(&event.session) {
                self.waiting -= before.iter().map(weight).sum::<usize>();
            }
            return listed.map(|_| event);
        }
        self.waiting += weight(&event);
        match self.sessions.get_mut(&event.session) {
            Some(SyncState::Pending(before, _)) => before.push(event),
            Some(SyncState::Live(_)) | None => {
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

    /// Tells whether it is the backend's to say that: sessions that the host made, and messages of the user that it alone
    /// has, are the host's.
    fn is_the_backends(&self, event: &SessionEvent) -> bool {
        let of_the_host = match &event.event {
            Event::SessionRemoved => !self.has(Feature::Sessions),
            Event::Message { message } => {
                self.is_the_hosts_message(&message.id) || message.role == Role::User && !self.has(Feature::History)
            }
            Event::Part { part } => self.is_the_hosts_message(&part.message),
            Event::MessageRemoved { message } | Event::PartRemoved { message, .. } | Event::Delta { message, .. } => {
                self.is_the_hosts_message(message)
            }
            _ => false,
        };
        !of_the_host
    }

    fn is_the_hosts_message(&self, message: &str) -> bool {
        pending_prompts::is_own_id(message) && !self.has(Feature::History)
    }

    fn has(&self, feature: Feature) -> bool {
        self.backend.features().contains(&feature)
    }

    /// Of a session that the host made, a backend says the title and what it has under its own name: the rest it cannot know.
    fn keep_what_the_host_made(&self, info: &mut SessionInfo) {
        let known = self.shared.listed(&info.id);
        let mine = |known: &Listed| known.backend == self.plugin && known.info.parent.is_none();
        if let Some(known) = known.filter(|known| !self.has(Feature::Sessions) && mine(known)) {
            let (title, ext) = (std::mem::take(&mut info.title), std::mem::take(&mut info.ext));
            *info = SessionInfo { ext, ..known.info };
            if !title.is_empty() {
                info.title = title;
            }
        }
    }

    /// Keeps a title that a person chose against one that the backend made up meanwhile.
    fn keep_title(&self, info: &mut SessionInfo) {
        let Some(title) = self.shared.chosen_title(info) else {
            return;
        };
        info.title = title;
        if !self.has(Feature::Sessions) {
            return; // it keeps none
        }
        let (backend, info) = (Arc::clone(&self.backend), info.clone());
        tokio::spawn(async move {
            if let Err(error) = backend.rename(&info, &info.title).await {
                tracing::warn!(session = info.id, %error, "cannot restore a title that the user chose");
            }
        });
    }

    /// Reads a session that somebody looks at, where that is due. `read` is dropped when it was read.
    fn open(&mut self, session: SessionId, read: oneshot::Sender<()>, again: bool) {
        let foreign = match self.shared.listed(&session) {
            Some(listed) => listed.backend != self.plugin,
            // An address may hold anything; only what could be a name is asked for.
            None => session.is_empty() || session.len() > NAME,
        };
        if foreign || self.connection.is_none() || self.journal.is_removed(&session) {
            return; // `opened` reads what is looked at
        }
        let keeps_history = self.has(Feature::History);
        match self.sessions.get_mut(&session) {
            Some(SyncState::Pending(_, waiting)) => {
                waiting.push(read);
                // What is on its way may be from before the change.
                if again {
                    self.outdated.insert(session);
                }
                return;
            }
            // What happens in a turn comes by events, and must not wait for this.
            Some(SyncState::Live(at))
                if !keeps_history
                    || !again && (at.elapsed() < limits::READ_AGAIN || self.journal.is_unfinished(&session)) =>
            {
                return;
            }
            Some(SyncState::Live(_)) | None => {}
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
        self.sessions
            .insert(session.clone(), SyncState::Pending(events, waiting));
        if self.connection.is_none() {
            return; // `opened` does it.
        }
        if !self.has(Feature::History) {
            let nothing = Done::Snapshot(session, Box::new(Err(NoSnapshot::NotKept)));
            self.jobs.spawn(async { nothing });
            return;
        }
        let info = info.or_else(|| self.shared.listed(&session).map(|listed| listed.info));
        let info = info.unwrap_or_else(|| unknown(&session));
        let (journal, backend, permits) = (
            self.journal.clone(),
            Arc::clone(&self.backend),
            Arc::clone(&self.snapshots),
        );
        self.jobs.spawn(async move {
            let _permit = permits.acquire_owned().await;
            let unread = journal.look(&session, |state| {
                state.messages.iter().all(|known| is_pending(&known.message))
            });
            let result = match unread.await {
                Ok(whole) => read_session(&*backend, &info, whole).await.map_err(NoSnapshot::Backend),
                Err(error) => Err(NoSnapshot::Journal(error)),
            };
            Done::Snapshot(session, Box::new(result))
        });
    }

    /// Reads the backend's list, unless that was just done.
    fn list(&mut self) {
        let fresh = self.listed.is_some_and(|at| at.elapsed() < limits::READ_AGAIN);
        if fresh || self.connection.is_none() || !self.has(Feature::Sessions) {
            return;
        }
        self.listed = Some(Instant::now());
        let backend = Arc::clone(&self.backend);
        self.jobs
            .spawn(async move { Done::Listed(list_sessions(&*backend).await) });
    }

    async fn opened(&mut self, connection: BackendConnection) {
        let unread = self.release().await;
        self.journal.open_connection();
        self.damaged.clear();
        let mut sessions: BTreeSet<SessionId> = unread.into_iter().collect();
        sessions.extend(connection.running.iter().map(|(session, _)| session.clone()));
        sessions.extend(connection.requests.iter().map(|(session, _)| session.clone()));
        sessions.extend(self.journal.unfinished());
        sessions.extend(self.journal.watched());
        let ours = |session: &SessionId| {
            !self.journal.is_removed(session) && self.shared.listed(session).is_none_or(|l| l.backend == self.plugin)
        };
        sessions.retain(ours);
        let version = connection.version.clone();
        self.connection = Some(connection);
        for session in sessions {
            self.fetch(session, None, Vec::new(), Vec::new());
        }
        self.listed = None;
        self.list();
        // The component says what it is only once it runs.
        let (title, example) = (self.backend.title(), self.backend.is_example());
        let features = self.backend.features();
        self.shared.status.send_modify(|status| {
            (status.title, status.example) = (title, example);
            status.features = features;
            status.version = Some(version);
            status.phase = Phase::Up;
        });
        self.set_open(true);
    }

    async fn closed(&mut self) {
        self.set_open(false);
        for session in self.release().await {
            self.sessions
                .insert(session, SyncState::Pending(Vec::new(), Vec::new()));
        }
        self.connection = None;
    }

    /// Writes what waits for a snapshot that will not come. Returns the sessions that were not read yet.
    async fn release(&mut self) -> Vec<SessionId> {
        self.jobs = JoinSet::new();
        self.waiting = 0;
        self.outdated.clear();
        let mut names = Vec::new();
        for (session, sync) in std::mem::take(&mut self.sessions) {
            if let SyncState::Pending(events, _) = sync {
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
        let Some(SyncState::Pending(events, waiting)) = self.sessions.remove(&session) else {
            return; // deleted while the snapshot was taken
        };
        if self.outdated.remove(&session) && result.is_ok() {
            return self.fetch(session, None, events, waiting);
        }
        self.waiting -= events.iter().map(weight).sum::<usize>();
        let known = self.shared.listed(&session).is_some();
        match result {
            Ok(snapshot) => {
                self.live(&session);
                self.reconcile(&session, snapshot).await;
                self.write_unsynced(&session, events).await;
            }
            Err(NoSnapshot::Journal(error)) => self.damaged(&session, &error),
            Err(NoSnapshot::NotKept) => {
                // What came before a session was introduced is of nothing.
                let introduction = |event: &SessionEvent| matches!(event.event, Event::Session { .. });
                let events: Vec<_> = match known {
                    true => events,
                    false => events.into_iter().skip_while(|event| !introduction(event)).collect(),
                };
                if known || !events.is_empty() {
                    self.live(&session);
                    self.settle(&session).await;
                    self.give_back(&session).await;
                    // What the connection said when it opened is true at the opening only.
                    if let Some(connection) = &mut self.connection {
                        connection.requests.retain(|(name, _)| *name != session);
                        connection.running.retain(|(name, _)| *name != session);
                    }
                    self.write_unsynced(&session, events).await;
                }
            }
            // It was deleted, here or elsewhere: what was still said of it is of no use to anybody.
            Err(NoSnapshot::Backend(CallError::NotFound(_))) => self.settle(&session).await,
            Err(NoSnapshot::Backend(error)) => {
                tracing::warn!(session, %error, "cannot read a session from the backend");
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

    /// Marks a session as up to date. Those that nobody looks at and in which nothing happens are forgotten where there are
    /// too many.
    fn live(&mut self, session: &str) {
        if self.sessions.len() >= limits::LIVE_SESSIONS {
            let (unfinished, watched) = (self.journal.unfinished(), self.journal.watched());
            self.sessions.retain(|session, sync| {
                matches!(sync, SyncState::Pending(..)) || unfinished.contains(session) || watched.contains(session)
            });
        }
        self.sessions
            .insert(session.to_owned(), SyncState::Live(Instant::now()));
    }

    async fn reconcile(&mut self, session: &str, mut snapshot: Snapshot) {
        if snapshot.info.id != session {
            tracing::warn!(
                session,
                got = snapshot.info.id,
                plugin = self.plugin,
                "the backend answered with another session. This is a bug of the plugin"
            );
            return self.settle(session).await;
        }
        self.keep_title(&mut snapshot.info);
        // A sub-agent's request is shown at the root. Those answered since are closed by the events that wait.
        for request in self.requests(session) {
            if !snapshot.requests.iter().any(|a| a.id == request.id) {
                snapshot.requests.push(request);
            }
        }
        if let Some(connection) = &mut self.connection {
            connection.requests.retain(|(name, _)| name != session); // true at the opening only
        }
        let turn = snapshot.turn.clone();
        let (shared, journal) = (&self.shared, &self.journal);
        let written = insist(|| {
            let mut snapshot = snapshot.clone();
            async move {
                // Locked for one try: whoever has a prompt to show must hear that the disk is full, not wait for it.
                let mut pending = shared.pending_prompts.lock().await;
                let mut left = pending.clone();
                let superseded = journal
                    .look(session, |known| pending_prompts::keep(&mut snapshot, known, &mut left))
                    .await?;
                journal.reconcile(snapshot).await?;
                if !superseded.is_empty() {
                    journal.append(session, superseded).await?;
                }
                *pending = left;
                Ok(())
            }
        })
        .await;
        match written {
            Ok(()) => turned(&self.shared, session, &turn),
            Err(error) => self.damaged(session, &error),
        }
    }

    fn requests(&self, session: &str) -> Vec<AgentRequest> {
        let requests = self.connection.iter().flat_map(|connection| &connection.requests);
        requests
            .filter(|(name, _)| name == session)
            .map(|(_, request)| request.clone())
            .collect()
    }

    /// Brings a session without a snapshot to what the connection said when it opened.
    async fn settle(&mut self, session: &str) {
        if self.shared.listed(session).is_none() {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let settled = async {
            insist(|| self.journal.settle(session, connection)).await?;
            self.journal.look(session, |state| state.turn.clone()).await
        };
        match settled.await {
            Ok(turn) => turned(&self.shared, session, &turn),
            Err(error) => self.damaged(session, &error),
        }
    }

    /// Gives prompts of an earlier run back to their owner: nobody is at sending them any more.
    async fn give_back(&mut self, session: &str) {
        let (shared, journal) = (&self.shared, &self.journal);
        let given = insist(|| async move {
            let pending = shared.pending_prompts.lock().await;
            let left = journal
                .look(session, |known| pending_prompts::left(known, &pending))
                .await?;
            if !left.is_empty() {
                journal.append(session, left).await?;
            }
            Ok(())
        });
        if let Err(error) = given.await {
            self.damaged(session, &error);
        }
    }

    /// Does as [`Self::write`], for a session that the journal may not know: then nothing is written that does not
    /// introduce it.
    async fn write_unsynced(&mut self, session: &str, events: Vec<SessionEvent>) {
        let introduced = events
            .first()
            .is_some_and(|event| matches!(event.event, Event::Session { .. }));
        if introduced || self.shared.listed(session).is_some() {
            self.write(events).await;
        }
    }

    /// Writes events: sessions at the same time, and mostly in one commit.
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
            let written = insist(|| write_one(shared, journal, &session, &events)).await;
            if written.is_ok() {
                for event in &events {
                    if let Event::Turn { turn } = &event.event {
                        turned(shared, &session, turn);
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

    /// Takes nothing more of a session whose record cannot be read or written.
    fn damaged(&mut self, session: &str, error: &StoreError) {
        if *error != StoreError::Closed && self.damaged.insert(session.to_owned()) {
            tracing::error!(session, %error, "cannot keep a session up to date");
        }
        if let Some(SyncState::Pending(events, _)) = self.sessions.remove(session) {
            self.waiting -= events.iter().map(weight).sum::<usize>();
        }
    }
}

/// `weight` is that of an event while it waits: a long text is as much as many short ones.
fn weight(event: &SessionEvent) -> usize {
    1 + event.event.size() / WEIGHT
}
