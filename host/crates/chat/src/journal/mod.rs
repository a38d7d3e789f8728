//! The host's own record of every conversation: numbered events, written before anybody sees them.
//!
//! **Numbers.** Each session counts from 1, strictly upwards, never twice. An event that changes nothing (a part whose
//! revision is known already) gets no number. Once a
//! part is closed, the deltas and intermediate states between its first event and the closing one are deleted, because
//! the closing one holds all of it; so it is with a part that was given up. The first event stays, so that folding what
//! is left gives the same state with the parts in the same order. The same happens now and then to a part that stays open
//! and is told anew as a whole again and again: a disk would not hold that. A client that resumes from inside such a range gets
//! the present state; any other gets each event that it missed. Nobody sees a hole.
//!
//! **Revisions.** A backend counts the revisions of a part anew in each epoch. [`Journal::ingest`] lifts them above
//! what the session has, doubled, so that the host's own corrections ([`reconcile`]) lie between two of the backend.
//!
//! **Deletion.** A session that was deleted leaves its id and its last number behind. Nothing that a backend still says of
//! it, and nothing that was on its way, brings it back; only [`Journal::create`] does, and its numbers go on.
//!
//! **Bounds.** A session takes no more than [`nexus_model::limits::SESSION_BYTES`] and says so from there on, in place of what it
//! does not take; so it is with requests that wait. Where the whole database has reached [`JOURNAL_BYTES`], nothing is taken
//! until something is deleted, as where the disk is full.
//!
//! **Memory.** The folded state of a session in use is held; otherwise it is folded again from its rows. If a write fails
//! or is given up half way, the held state is thrown away and read again: the database is right.

mod disk;
pub mod list;
pub mod reconcile;
pub mod state;
pub mod subscription;

use disk::Row;
use list::List;
pub use list::Listed;
use nexus_model::chat::{Epoch, Event, SessionId, SessionInfo, Snapshot};
use nexus_model::limits::{HELD_BYTES, JOURNAL_BACKLOG, JOURNAL_BYTES, JOURNAL_HELD};
use nexus_model::time::Clock;
use nexus_store::{Store, StoreError};
use serde::Serialize;
use state::SessionState;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, broadcast, watch};

pub use subscription::{Item, Subscription};

/// An event's number in its session; the first is 1, and 0 is before all.
pub type Seq = u64;

/// Numbers of a session after which a part that is still open is trimmed too.
const OPEN_ROWS: Seq = 4096;

/// A numbered event. `json` is its JSON text, made once for the database and every subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub seq: Seq,
    pub event: Event,
    #[serde(skip)]
    pub json: Box<str>,
}

/// The first and last number that a call gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first: Seq,
    pub last: Seq,
}

#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
    /// Written on sessions that are new.
    backend: Arc<str>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    sessions: Mutex<HashMap<SessionId, Arc<Live>>>,
    list: List,
    /// Counts the openings of a backend; see [`Journal::open_epoch`].
    generation: AtomicU64,
    uses: AtomicU64,
    most: Most,
}

/// See [`nexus_model::limits`]; a test has smaller ones.
#[derive(Debug, Clone, Copy)]
struct Most {
    /// Bytes of the database from which on nothing more is taken.
    written: u64,
    /// Bytes in memory of sessions that nobody looks at.
    held: usize,
}

struct Live {
    id: SessionId,
    tail: broadcast::Sender<Arc<Entry>>,
    held: AsyncMutex<Held>,
    used: AtomicU64,
    /// Of the state that is held, for who forgets what is too much.
    bytes: AtomicUsize,
}

/// What is known of a session in memory.
#[derive(Default)]
struct Held {
    /// False: `state`, `key` and `first` have to be read from the database.
    loaded: bool,
    key: Option<i64>,
    state: SessionState,
    /// The number of each part's first event that is still in the database.
    first: HashMap<String, Seq>,
    /// Up to where the rows of a part were deleted last.
    trimmed: HashMap<String, Seq>,
    generation: u64,
    /// Added to the revisions of this generation.
    base: u64,
}

/// Rows of a part that a later event holds the whole of: those of `part` above `after` and below `before`.
struct Trim {
    part: String,
    after: Seq,
    before: Seq,
}

impl Journal {
    /// # Errors
    /// Where the database cannot be read.
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let most = Most {
            written: JOURNAL_BYTES,
            held: HELD_BYTES,
        };
        Self::open_with(store, clock, most).await
    }

    async fn open_with(store: Store, clock: Arc<dyn Clock>, most: Most) -> Result<Self, StoreError> {
        let list = List::load(&store).await?;
        let inner = Inner {
            store,
            clock,
            sessions: Mutex::default(),
            list,
            generation: AtomicU64::new(1),
            uses: AtomicU64::new(0),
            most,
        };
        Ok(Self {
            inner: Arc::new(inner),
            backend: "".into(),
        })
    }

    /// The same journal, for the sessions of the chat plugin `backend`.
    #[must_use]
    pub fn of_backend(&self, backend: &str) -> Self {
        Self {
            inner: self.inner.clone(),
            backend: backend.into(),
        }
    }

    /// A connection to the backend opened: it may count revisions anew. Call it before anything of the new epoch is
    /// ingested or reconciled.
    pub fn open_epoch(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Numbers, writes and then fans out what the host itself has to say; revisions are taken as they are. None: it
    /// changed nothing.
    ///
    /// # Errors
    /// Where it cannot be written: then nobody saw it.
    pub async fn append(&self, session: &str, events: Vec<Event>) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut held = self.hold(&live).await?;
        self.write(&live, &mut held, events).await
    }

    /// A session that was made just now; also one of the name of a deleted one.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn create(&self, info: SessionInfo) -> Result<Option<Appended>, StoreError> {
        let live = self.live(&info.id);
        let mut held = self.hold(&live).await?;
        held.state.removed = false;
        self.write(&live, &mut held, vec![Event::Session { info }]).await
    }

    /// Deletes a session, also one whose record cannot be read.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn remove(&self, session: &str) -> Result<(), StoreError> {
        match self.append(session, vec![Event::SessionRemoved]).await {
            Err(StoreError::Database(_)) => {
                disk::remove(&self.inner.store, session).await?;
                self.inner.list.remove(session);
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Whether it was deleted.
    pub fn is_removed(&self, session: &str) -> bool {
        self.inner.list.is_removed(session)
    }

    /// Sessions that somebody looks at now.
    pub fn watched(&self) -> Vec<SessionId> {
        let sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = sessions.values().filter(|live| live.tail.receiver_count() > 0);
        watched.map(|live| live.id.clone()).collect()
    }

    /// As [`Journal::append`], for events as they come from a backend.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn ingest(&self, session: &str, mut events: Vec<Event>) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut held = self.hold(&live).await?;
        let base = self.base(&mut held);
        for event in &mut events {
            match event {
                Event::Part { part } => part.revision = lift(base, part.revision),
                Event::Delta { revision, .. } => *revision = lift(base, *revision),
                _ => {}
            }
        }
        self.write(&live, &mut held, events).await
    }

    /// Brings a session to what the backend says it is, keeping what only this journal has; see [`reconcile`].
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn reconcile(&self, mut snapshot: Snapshot) -> Result<Option<Appended>, StoreError> {
        let live = self.live(&snapshot.info.id);
        let mut held = self.hold(&live).await?;
        let base = self.base(&mut held);
        for part in snapshot.messages.iter_mut().flat_map(|(_, parts)| parts) {
            part.revision = lift(base, part.revision);
        }
        let events = reconcile::reconcile(&held.state, &snapshot);
        self.write(&live, &mut held, events).await
    }

    /// Brings turn and asks of a session to what the backend said when the connection opened, where there is no snapshot.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub async fn settle(&self, session: &str, epoch: &Epoch) -> Result<Option<Appended>, StoreError> {
        let live = self.live(session);
        let mut held = self.hold(&live).await?;
        let events = reconcile::settle(&held.state, session, epoch);
        self.write(&live, &mut held, events).await
    }

    /// The present state of a session; a session that nobody wrote of is empty, its number 0.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn state(&self, session: &str) -> Result<SessionState, StoreError> {
        let live = self.live(session);
        let held = self.hold(&live).await?;
        Ok(held.state.clone())
    }

    /// Looks at the present state without copying it.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn look<T>(&self, session: &str, look: impl FnOnce(&SessionState) -> T) -> Result<T, StoreError> {
        let live = self.live(session);
        let held = self.hold(&live).await?;
        Ok(look(&held.state))
    }

    /// What happens in a session, each event exactly once. `from`: the last number the caller has; it gets what came after.
    /// Without one, with one that this journal never gave, or where what came after is not held one by one any more, it
    /// gets the present state first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn subscribe(&self, session: &str, from: Option<Seq>) -> Result<Subscription, StoreError> {
        let live = self.live(session);
        let held = self.hold(&live).await?;
        let tail = live.tail.subscribe();
        let subscription = match from {
            Some(seq) if seq <= held.state.seq && seq > 0 => {
                Subscription::after(self.clone(), live.id.clone(), held.key, seq, held.state.seq, tail)
            }
            _ => Subscription::whole(self.clone(), held.key, held.state.clone(), live.id.clone(), tail),
        };
        Ok(subscription)
    }

    /// All sessions, the most recently active first; changes are seen at once.
    pub fn subscribe_list(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        self.inner.list.subscribe()
    }

    /// Sessions whose turn had not ended when last heard of: what to reconcile when the backend opens.
    pub fn unfinished(&self) -> Vec<SessionId> {
        self.inner.list.unfinished()
    }

    fn live(&self, session: &str) -> Arc<Live> {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let used = self.inner.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(live) = sessions.get(session) {
            live.used.store(used, Ordering::Relaxed);
            return live.clone();
        }
        let live = Arc::new(Live {
            id: session.to_owned(),
            tail: broadcast::Sender::new(JOURNAL_BACKLOG),
            held: AsyncMutex::default(),
            used: AtomicU64::new(used),
            bytes: AtomicUsize::new(0),
        });
        sessions.insert(session.to_owned(), live.clone());
        live
    }

    /// The session's state, read from the database where it is not in memory.
    async fn hold<'a>(&self, live: &'a Live) -> Result<MutexGuard<'a, Held>, StoreError> {
        let mut held = live.held.lock().await;
        if !held.loaded {
            let Folded { key, state, first } = disk::load(&self.inner.store, &live.id).await?;
            (held.key, held.state, held.first) = (key, state, first);
            held.trimmed.clear();
            held.loaded = true;
            live.bytes.store(held.state.bytes, Ordering::Relaxed);
            self.evict();
        }
        Ok(held)
    }

    /// Forgets the sessions that were not used for longest and that nobody listens to.
    fn evict(&self) {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = |live: &Arc<Live>| live.bytes.load(Ordering::Relaxed);
        let mut all: usize = sessions.values().map(bytes).sum();
        if sessions.len() <= JOURNAL_HELD && all <= self.inner.most.held {
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
            if sessions.len() <= JOURNAL_HELD && all <= self.inner.most.held {
                return;
            }
            sessions.remove(&id);
            all = all.saturating_sub(size);
        }
    }

    /// What the revisions of this epoch are lifted by.
    fn base(&self, held: &mut Held) -> u64 {
        let generation = self.inner.generation.load(Ordering::SeqCst);
        if held.generation != generation {
            held.generation = generation;
            held.base = held
                .state
                .parts()
                .map(|part| part.revision.saturating_add(1))
                .max()
                .unwrap_or(0);
        }
        held.base
    }

    async fn write(&self, live: &Live, held: &mut Held, events: Vec<Event>) -> Result<Option<Appended>, StoreError> {
        if held.state.removed {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        held.loaded = false; // until it is written: this future may be dropped while it waits
        let before = held.state.seq;
        let (mut entries, mut trims, mut listed) = (Vec::with_capacity(events.len()), Vec::new(), false);
        for mut event in events {
            held.state.complete(&mut event);
            if let Some(why) = held.state.refuses(&event) {
                event = Event::Error {
                    message: None,
                    text: why.to_owned(),
                };
            }
            let gone: Vec<String> = match &event {
                Event::PartRemoved { part, .. } => vec![part.clone()],
                Event::MessageRemoved { message } => held.state.part_ids(message),
                _ => Vec::new(),
            };
            let seq = held.state.seq + 1;
            if held.state.repeats(&event) || !held.state.advance(seq, &event) {
                continue;
            }
            listed |= List::concerns(&event);
            trims.extend(gone.into_iter().filter_map(|part| {
                let first = held.first.remove(&part)?;
                Some(Trim {
                    part,
                    after: first,
                    before: seq,
                })
            }));
            if let Some(part) = part_of(&event) {
                let first = *held.first.entry(part.to_owned()).or_insert(seq);
                let whole = match &event {
                    Event::Part { part } => Some(part.closed),
                    _ => None,
                };
                let since = held.trimmed.get(part).copied().unwrap_or(first);
                if whole == Some(true) && seq > first + 1 || whole == Some(false) && seq > since + OPEN_ROWS {
                    held.trimmed.insert(part.to_owned(), seq);
                    trims.push(Trim {
                        part: part.to_owned(),
                        after: first,
                        before: seq,
                    });
                }
            }
            let json = serde_json::to_string(&event)
                .map_err(|e| StoreError::Database(format!("an event is no JSON: {e}")))?
                .into_boxed_str();
            entries.push(Arc::new(Entry { seq, event, json }));
        }
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            held.loaded = true;
            return Ok(None);
        };
        let appended = Appended {
            first: first.seq,
            last: last.seq,
        };
        debug_assert_eq!(appended.first, before + 1);
        let row = (listed || held.key.is_none()).then(|| {
            Row::of(
                &live.id,
                &self.backend,
                &held.state,
                self.inner.list.activity(&live.id, &held.state, now),
            )
        });
        let key = disk::write(
            &self.inner.store,
            held.key,
            row.clone(),
            entries.clone(),
            trims,
            self.inner.most.written,
        )
        .await?;
        live.bytes.store(held.state.bytes, Ordering::Relaxed);
        held.key = Some(key);
        held.loaded = true;
        for entry in entries {
            let _ = live.tail.send(entry); // nobody listens
        }
        if held.state.removed {
            held.loaded = false; // its rows are gone
            self.inner.list.remove(&live.id);
        } else if let Some(row) = row {
            self.inner.list.put(row);
        }
        Ok(Some(appended))
    }
}

struct Folded {
    key: Option<i64>,
    state: SessionState,
    first: HashMap<String, Seq>,
}

impl Folded {
    fn new(key: Option<i64>) -> Self {
        Self {
            key,
            state: SessionState::default(),
            first: HashMap::new(),
        }
    }

    /// Takes one row as it was written.
    fn take(&mut self, seq: Seq, event: &Event) {
        match event {
            Event::PartRemoved { part, .. } => {
                self.first.remove(part);
            }
            Event::MessageRemoved { message } => {
                for part in self.state.part_ids(message) {
                    self.first.remove(&part);
                }
            }
            _ => {}
        }
        self.state.advance(seq, event);
        self.state.seq = seq; // given, whatever it changes
        if let Some(part) = part_of(event) {
            self.first.entry(part.to_owned()).or_insert(seq);
        }
    }
}

fn part_of(event: &Event) -> Option<&str> {
    match event {
        Event::Part { part } => Some(&part.id),
        Event::Delta { part, .. } => Some(part),
        _ => None,
    }
}

fn lift(base: u64, revision: u64) -> u64 {
    base.saturating_add(revision.saturating_mul(2))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod bounds;
