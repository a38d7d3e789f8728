//! The journal: what is written, and the state of the sessions in use.

use super::entry::{Appended, Entry, Seq, Trim, part_of};
use super::reconcile;
use super::session_from_rows::Folded;
use super::session_list::{List, Listed};
use super::session_row::Row;
use super::session_state::SessionState;
use super::tables::{self, Room};
use nexus_model::chat::{BackendConnection, Event, Root, SessionId, SessionInfo, Snapshot};
use nexus_model::limits::{JOURNAL_BACKLOG, JOURNAL_BYTES, JOURNAL_CACHE, JOURNAL_CACHE_BYTES};
use nexus_model::time::Clock;
use nexus_store::{Flushed, Health, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, broadcast, watch};

/// `OPEN_ROWS` is how many numbers of a session go by until a part that is still open is trimmed too.
pub(super) const OPEN_ROWS: Seq = 4096;

/// `Journal` is the record of all sessions. It is cheap to clone; all clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    pub(super) inner: Arc<Inner>,
    /// `backend` is written on sessions that are new.
    backend: Arc<str>,
}

pub(super) struct Inner {
    pub(super) store: Store,
    clock: Arc<dyn Clock>,
    pub(super) sessions: Mutex<HashMap<SessionId, Arc<Live>>>,
    list: List,
    /// `generation` counts the openings of a backend; see [`Journal::open_connection`].
    generation: AtomicU64,
    uses: AtomicU64,
    most: CacheLimits,
    room: Arc<Room>,
}

/// `CacheLimits` has two bounds of [`nexus_model::limits`]; a test has smaller ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheLimits {
    /// `written` is the size of the database in bytes from which on nothing more is taken.
    pub(super) written: u64,
    /// `cached` bounds the bytes in memory of sessions that nobody looks at.
    pub(super) cached: usize,
}

pub(super) struct Live {
    pub(super) id: SessionId,
    pub(super) tail: broadcast::Sender<Arc<Entry>>,
    cached: AsyncMutex<Cached>,
    used: AtomicU64,
    /// `bytes` is the size of the state that is held, for who forgets what is too much.
    pub(super) bytes: AtomicUsize,
}

/// `Cached` is what is known of a session in memory.
#[derive(Default)]
pub(super) struct Cached {
    /// `loaded` is false where `state`, `key` and `first` have to be read from the database.
    loaded: bool,
    pub(super) key: Option<i64>,
    pub(super) state: SessionState,
    /// `first` is the number of each part's first event that is still in the database.
    first: HashMap<String, Seq>,
    /// `trimmed` is up to where the rows of a part were deleted last.
    trimmed: HashMap<String, Seq>,
    generation: u64,
    /// `base` is added to the revisions of this generation.
    base: u64,
}

impl Journal {
    /// Opens the journal of a database.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let most = CacheLimits {
            written: JOURNAL_BYTES,
            cached: JOURNAL_CACHE_BYTES,
        };
        Self::open_with(store, clock, most).await
    }

    /// `store` is the database that it is in.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(super) async fn open_with(store: Store, clock: Arc<dyn Clock>, most: CacheLimits) -> Result<Self, StoreError> {
        let list = List::load(&store).await?;
        let inner = Inner {
            store,
            clock,
            sessions: Mutex::default(),
            list,
            generation: AtomicU64::new(1),
            uses: AtomicU64::new(0),
            room: Arc::new(Room::new(most.written)),
            most,
        };
        Ok(Self {
            inner: Arc::new(inner),
            backend: "".into(),
        })
    }

    /// Returns the same journal, for the sessions of the chat plugin `backend`.
    #[must_use]
    pub fn of_backend(&self, backend: &str) -> Self {
        Self {
            inner: self.inner.clone(),
            backend: backend.into(),
        }
    }

    /// Notes that a connection to the backend opened: it may count revisions again. It is called before anything of the
    /// new connection is ingested or reconciled.
    pub fn open_connection(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Numbers, writes and then fans out what the host itself has to say, and returns once what of it has to last is on the
    /// disk; revisions are taken as they are. Returns `None` if it changed nothing.
    ///
    /// # Errors
    /// Where it cannot be written: then nobody saw it. Where the disk does not take what was written, it was seen, and to append
    /// it again changes nothing.
    pub async fn append(&self, session: &str, events: Vec<Event>) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut cached = self.hold(&live).await?;
        let written = self.write(&live, &mut cached, events).await?;
        drop(cached);
        lasting(written).await
    }

    /// Writes a session that was made just now; also one of the name of a deleted one.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn create(&self, info: SessionInfo) -> Result<Option<Appended>, StoreError> {
        let live = self.live(&info.id);
        let mut cached = self.hold(&live).await?;
        cached.state.removed = false;
        let written = self.write(&live, &mut cached, vec![Event::Session { info }]).await?;
        drop(cached);
        lasting(written).await
    }

    /// Deletes a session, also one whose record cannot be read.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn remove(&self, session: &str) -> Result<(), StoreError> {
        match self.append(session, vec![Event::SessionRemoved]).await {
            Err(StoreError::Database(_)) => {
                tables::remove(&self.inner.store, session).await?;
                self.inner.list.remove(session);
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Tells whether the session was deleted.
    pub fn is_removed(&self, session: &str) -> bool {
        self.inner.list.is_removed(session)
    }

    /// `watched` are the sessions that somebody looks at now.
    pub fn watched(&self) -> Vec<SessionId> {
        let sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = sessions.values().filter(|live| live.tail.receiver_count() > 0);
        watched.map(|live| live.id.clone()).collect()
    }

    /// Does as [`Journal::append`], for events as they come from a backend, and returns once they are committed: nothing that
    /// streams waits for a disk. What has to last is brought there later; what cannot be is seen in [`Journal::health`].
    ///
    /// # Errors
    /// Where it cannot be written: then nobody saw it.
    pub async fn ingest(&self, session: &str, mut events: Vec<Event>) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut cached = self.hold(&live).await?;
        let base = self.base(&mut cached);
        for event in &mut events {
            match event {
                Event::Part { part } => part.revision = lift(base, part.revision),
                Event::Delta { revision, .. } => *revision = lift(base, *revision),
                _ => {}
            }
        }
        let written = self.write(&live, &mut cached, events).await?;
        Ok(written.map(|written| written.appended))
    }

    /// Brings a session to what the backend says it is, keeping what only this journal has; see [`reconcile`].
    ///
    /// # Errors
    /// As [`Journal::ingest`].
    pub async fn reconcile(&self, mut snapshot: Snapshot) -> Result<Option<Appended>, StoreError> {
        let live = self.live(&snapshot.info.id);
        let mut cached = self.hold(&live).await?;
        let base = self.base(&mut cached);
        for part in snapshot.messages.iter_mut().flat_map(|(_, parts)| parts) {
            part.revision = lift(base, part.revision);
        }
        let events = reconcile::reconcile(&cached.state, &snapshot);
        let written = self.write(&live, &mut cached, events).await?;
        Ok(written.map(|written| written.appended))
    }

    /// Brings turn and requests of a session to what the backend said when the connection opened, where there is no snapshot.
    ///
    /// # Errors
    /// As [`Journal::ingest`].
    pub async fn settle(&self, session: &str, connection: &BackendConnection) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut cached = self.hold(&live).await?;
        let events = reconcile::settle(&cached.state, session, connection);
        let written = self.write(&live, &mut cached, events).await?;
        Ok(written.map(|written| written.appended))
    }

    /// `state` is the present one of a session; a session that nobody wrote of is empty, its number 0.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn state(&self, session: &str) -> Result<SessionState, StoreError> {
        let live = self.live(session);
        let cached = self.hold(&live).await?;
        Ok(cached.state.clone())
    }

    /// Looks at the present state without copying it.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn look<T>(&self, session: &str, look: impl FnOnce(&SessionState) -> T) -> Result<T, StoreError> {
        let live = self.live(session);
        let cached = self.hold(&live).await?;
        Ok(look(&cached.state))
    }

    /// `roots` are the sessions of all backends that are no sub-agent's, the most recently active first; changes are
    /// seen at once.
    pub fn roots(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.inner.list.roots()
    }

    /// Finds a session of the list, also a sub-agent's, as of the last write.
    pub fn find(&self, session: &str) -> Option<Listed> {
        self.inner.list.find(session)
    }

    /// `children` are the sub-agents of a session.
    pub fn children(&self, session: &str) -> Vec<SessionId> {
        self.inner.list.children(session)
    }

    /// `running` is how many sessions of a chat plugin are being answered now.
    pub fn running(&self, backend: &str) -> usize {
        self.inner.list.running(backend)
    }

    /// `health` says whether anything can be saved now.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.store.health()
    }

    /// `unfinished` are the sessions whose turn had not ended when last heard of: what to reconcile when the backend
    /// opens.
    pub fn unfinished(&self) -> Vec<SessionId> {
        self.inner.list.unfinished()
    }

    /// Tells whether its turn had not ended when last heard of, or something waits for an answer.
    pub fn is_unfinished(&self, session: &str) -> bool {
        self.inner.list.is_unfinished(session)
    }

    pub(super) fn live(&self, session: &str) -> Arc<Live> {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let used = self.inner.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(live) = sessions.get(session) {
            live.used.store(used, Ordering::Relaxed);
            return live.clone();
        }
        let live = Arc::new(Live {
            id: session.to_owned(),
            tail: broadcast::Sender::new(JOURNAL_BACKLOG),
            cached: AsyncMutex::default(),
            used: AtomicU64::new(used),
            bytes: AtomicUsize::new(0),
        });
        sessions.insert(session.to_owned(), live.clone());
        live
    }

    /// Locks the session's state, which is read from the database where it is not in memory.
    pub(super) async fn hold<'a>(&self, live: &'a Live) -> Result<MutexGuard<'a, Cached>, StoreError> {
        let mut cached = live.cached.lock().await;
        if !cached.loaded {
            let Folded { key, state, first } = tables::load(&self.inner.store, &live.id).await?;
            (cached.key, cached.state, cached.first) = (key, state, first);
            cached.trimmed.clear();
            cached.loaded = true;
            live.bytes.store(cached.state.bytes, Ordering::Relaxed);
            self.evict();
        }
        Ok(cached)
    }

    /// Forgets the sessions that were not used for longest and that nobody listens to.
    fn evict(&self) {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |live: &Arc<Live>| live.bytes.load(Ordering::Relaxed);
        let mut all: usize = sessions.values().map(bytes).sum();
        if sessions.len() <= JOURNAL_CACHE && all <= self.inner.most.cached {
            return;
        }
        let mut idle: Vec<(u64, usize, SessionId)> = sessions
            .values()
            // Only the map has it, so nobody holds its state or waits for it.
            .filter(|live| Arc::strong_count(live) == 1 && live.tail.receiver_count() == 0)
            .map(|live| (live.used.load(Ordering::Relaxed), bytes(live), live.id.clone()))
            .collect();
        idle.sort_unstable();
        for (_, size, id) in idle {
            if sessions.len() <= JOURNAL_CACHE && all <= self.inner.most.cached {
                return;
            }
            sessions.remove(&id);
            all = all.saturating_sub(size);
        }
    }

    /// `base` is what the revisions of this connection are lifted by.
    fn base(&self, cached: &mut Cached) -> u64 {
        let generation = self.inner.generation.load(Ordering::SeqCst);
        if cached.generation != generation {
            cached.generation = generation;
            cached.base = cached
                .state
                .parts()
                .map(|part| part.revision.saturating_add(1))
                .max()
                .unwrap_or(0);
        }
        cached.base
    }

    async fn write(&self, live: &Live, cached: &mut Cached, events: Vec<Event>) -> Result<Option<Written>, StoreError> {
        if cached.state.removed {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        cached.loaded = false; // until it is written: this future may be dropped while it waits
        let before = cached.state.seq;
        let (mut entries, mut trims, mut listed) = (Vec::with_capacity(events.len()), Vec::new(), false);
        for mut event in events {
            cached.state.complete(&mut event);
            if let Some(cause) = cached.state.refuses(&event) {
                event = Event::Error {
                    message: None,
                    text: cause.to_owned(),
                };
            }
            let gone: Vec<String> = match &event {
                Event::PartRemoved { part, .. } => vec![part.clone()],
                Event::MessageRemoved { message } => cached.state.part_ids(message),
                _ => Vec::new(),
            };
            let seq = cached.state.seq + 1;
            if cached.state.repeats(&event) || !cached.state.advance(seq, &event) {
                continue;
            }
            listed |= List::concerns(&event);
            trims.extend(gone.into_iter().filter_map(|part| {
                let first = cached.first.remove(&part)?;
                Some(Trim {
                    part,
                    after: first,
                    before: seq,
                })
            }));
            if let Some(part) = part_of(&event) {
                let part = part.as_ref();
                let first = *cached.first.entry(part.to_owned()).or_insert(seq);
                let whole = match &event {
                    Event::Part { part } => Some(part.closed),
                    Event::Todo { .. } | Event::Changes { .. } | Event::Note { .. } => Some(true),
                    _ => None,
                };
                let since = cached.trimmed.get(part).copied().unwrap_or(first);
                if whole == Some(true) && seq > first + 1 || whole == Some(false) && seq > since + OPEN_ROWS {
                    cached.trimmed.insert(part.to_owned(), seq);
                    trims.push(Trim {
                        part: part.to_owned(),
                        after: first,
                        before: seq,
                    });
                }
            }
            let json = serde_json::to_string(&event)
                .map_err(|e| StoreError::Database(format!("an event is not JSON: {e}")))?
                .into_boxed_str();
            entries.push(Arc::new(Entry {
                seq,
                event,
                json,
                shown: OnceLock::new(),
            }));
        }
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            cached.loaded = true;
            return Ok(None);
        };
        let appended = Appended {
            first: first.seq,
            last: last.seq,
        };
        debug_assert_eq!(appended.first, before + 1);
        let row = (listed || cached.key.is_none()).then(|| {
            Row::of(
                &live.id,
                &self.backend,
                &cached.state,
                self.inner.list.activity(&live.id, &cached.state, now),
            )
        });
        let key = tables::write(
            &self.inner.store,
            cached.key,
            row.clone(),
            entries.clone(),
            &self.inner.room,
        )
        .await?;
        let flushed = tables::lasts(&entries).then(|| self.inner.store.flush());
        nexus_model::event_trace::Hop::Committed.reached();
        live.bytes.store(cached.state.bytes, Ordering::Relaxed);
        cached.key = Some(key);
        cached.loaded = true;
        for entry in entries {
            let _ = live.tail.send(entry); // nobody listens
        }
        tables::trim(&self.inner.store, key, trims);
        if cached.state.removed {
            cached.loaded = false; // its rows are gone
            self.inner.list.remove(&live.id);
        } else if let Some(row) = row {
            self.inner.list.put(row);
        }
        Ok(Some(Written { appended, flushed }))
    }
}

/// `Written` is what was committed and shown.
struct Written {
    appended: Appended,
    /// `flushed` is whether what has to last is on the disk.
    flushed: Option<Flushed>,
}

/// Waits until what has to last is on the disk.
async fn lasting(written: Option<Written>) -> Result<Option<Appended>, StoreError> {
    let Some(Written { appended, flushed }) = written else {
        return Ok(None);
    };
    if let Some(flushed) = flushed {
        flushed.wait().await?;
    }
    Ok(Some(appended))
}

fn lift(base: u64, revision: u64) -> u64 {
    base.saturating_add(revision.saturating_mul(2))
}
