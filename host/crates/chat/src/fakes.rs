//! A backend and a journal in memory. The journal is the bare fold; what it makes of snapshots is tested where it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::port::{JournalPort, Journaled, Listed, State, StoreError};
use futures::future::BoxFuture;
use nexus_model::chat::{Admission, Answer, Epoch, Event, LastError, SessionId, SessionInfo, Snapshot, Turn};
use nexus_model::plugin::{self, Availability, Kind};
use nexus_plugin_traits::{Call, CallError, ChatBackend, Feed, Prompt, Supervised};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

pub(super) fn info(id: &str) -> SessionInfo {
    SessionInfo {
        id: id.to_owned(),
        workspace: "/project".to_owned(),
        parent: None,
        title: "t".to_owned(),
        created_at: 1,
        updated_at: 1,
        archived: false,
    }
}

pub(super) fn snapshot(id: &str, turn: Turn) -> Snapshot {
    Snapshot {
        info: info(id),
        messages: Vec::new(),
        turn,
        asks: Vec::new(),
        before: None,
    }
}

/// What was written, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    Event(String, Event),
    Snapshot(Snapshot),
    Settled(String),
}

#[derive(Default)]
struct Book {
    writes: Vec<Write>,
    states: BTreeMap<SessionId, State>,
    removed: BTreeSet<SessionId>,
    watched: Vec<SessionId>,
    /// Sessions whose rows cannot be read.
    damaged: BTreeSet<SessionId>,
    broken: u32,
}

#[derive(Clone)]
pub(super) struct FakeJournal {
    book: Arc<Mutex<Book>>,
    list: Arc<watch::Sender<Arc<Vec<Listed>>>>,
    plugin: String,
}

impl FakeJournal {
    pub(super) fn new() -> Self {
        let list = Arc::new(watch::Sender::new(Arc::default()));
        Self {
            book: Arc::default(),
            list,
            plugin: String::new(),
        }
    }
    pub(super) fn writes(&self) -> Vec<Write> {
        self.book.lock().unwrap().writes.clone()
    }
    /// The next writes fail, as with a full disk.
    pub(super) fn break_for(&self, writes: u32) {
        self.book.lock().unwrap().broken = writes;
    }
    pub(super) fn damage(&self, session: &str) {
        self.book.lock().unwrap().damaged.insert(session.to_owned());
    }
    pub(super) fn watch(&self, session: &str) {
        self.book.lock().unwrap().watched.push(session.to_owned());
    }
    pub(super) fn now(&self, session: &str) -> State {
        self.book
            .lock()
            .unwrap()
            .states
            .get(session)
            .cloned()
            .unwrap_or_default()
    }
    pub(super) fn seed(&self, plugin: &str, id: &str, turn: Turn) {
        let state = State {
            messages: Vec::new(),
            turn,
            error: None,
        };
        self.book.lock().unwrap().states.insert(id.to_owned(), state);
        self.put(Listed {
            info: info(id),
            backend: plugin.to_owned(),
        });
    }
    fn put(&self, new: Listed) {
        self.list.send_modify(|list| {
            let mut all: Vec<_> = list.iter().filter(|l| l.info.id != new.info.id).cloned().collect();
            all.push(new);
            *list = Arc::new(all);
        });
    }
    fn put_info(&self, info: SessionInfo) {
        let owner = self
            .list
            .borrow()
            .iter()
            .find(|l| l.info.id == info.id)
            .map(|l| l.backend.clone());
        self.put(Listed {
            info,
            backend: owner.unwrap_or_else(|| self.plugin.clone()),
        });
    }
    fn room(&self, session: &str) -> Result<(), StoreError> {
        let mut book = self.book.lock().unwrap();
        if book.damaged.contains(session) {
            return Err(StoreError::Database("a row cannot be read".to_owned()));
        }
        if book.broken > 0 {
            book.broken -= 1;
            return Err(StoreError::ReadOnly("the disk is full".to_owned()));
        }
        Ok(())
    }
    fn write(&self, session: &str, events: Vec<Event>) -> Result<(), StoreError> {
        self.room(session)?;
        for event in events {
            let session = session.to_owned();
            let mut book = self.book.lock().unwrap();
            if book.removed.contains(&session) {
                return Ok(());
            }
            book.writes.push(Write::Event(session.clone(), event.clone()));
            let state = book.states.entry(session.clone()).or_default();
            match event {
                Event::Message { message } => match state.messages.iter_mut().find(|(m, _)| m.id == message.id) {
                    Some((known, _)) => *known = message,
                    None => state.messages.push((message, Vec::new())),
                },
                Event::MessageRemoved { message } => state.messages.retain(|(m, _)| m.id != message),
                Event::Turn { turn } => state.turn = turn,
                Event::Part { part } => {
                    if let Some((_, parts)) = state.messages.iter_mut().find(|(m, _)| m.id == part.message) {
                        parts.retain(|known| known.id != part.id);
                        parts.push(part);
                    }
                }
                Event::Error { message: None, text } => state.error = Some(LastError { text, message: None }),
                Event::Session { info } => {
                    drop(book);
                    self.put_info(info);
                }
                Event::SessionRemoved => {
                    book.states.remove(&session);
                    book.removed.insert(session.clone());
                    drop(book);
                    self.list.send_modify(|list| {
                        *list = Arc::new(list.iter().filter(|l| l.info.id != session).cloned().collect());
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl JournalPort for FakeJournal {
    fn of_backend(&self, plugin: &str) -> Arc<dyn JournalPort> {
        Arc::new(Self {
            plugin: plugin.to_owned(),
            ..self.clone()
        })
    }
    fn open_epoch(&self) {}
    fn create(&self, info: SessionInfo) -> Journaled<'_, ()> {
        self.book.lock().unwrap().removed.remove(&info.id);
        let done = self.write(&info.id.clone(), vec![Event::Session { info }]);
        Box::pin(async { done })
    }
    fn remove<'a>(&'a self, session: &'a str) -> Journaled<'a, ()> {
        let done = self.write(session, vec![Event::SessionRemoved]);
        Box::pin(async { done })
    }
    fn is_removed(&self, session: &str) -> bool {
        self.book.lock().unwrap().removed.contains(session)
    }
    fn watched(&self) -> Vec<SessionId> {
        self.book.lock().unwrap().watched.clone()
    }
    fn append<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()> {
        let done = self.write(session, events);
        Box::pin(async { done })
    }
    fn ingest<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()> {
        let done = self.write(session, events);
        Box::pin(async { done })
    }
    fn reconcile(&self, snapshot: Snapshot) -> Journaled<'_, ()> {
        if let Err(error) = self.room(&snapshot.info.id) {
            return Box::pin(async { Err(error) });
        }
        let mut book = self.book.lock().unwrap();
        if book.removed.contains(&snapshot.info.id) {
            return Box::pin(async { Ok(()) });
        }
        book.writes.push(Write::Snapshot(snapshot.clone()));
        let state = State {
            messages: snapshot.messages,
            turn: snapshot.turn,
            error: None,
        };
        book.states.insert(snapshot.info.id.clone(), state);
        drop(book);
        self.put_info(snapshot.info);
        Box::pin(async { Ok(()) })
    }
    fn settle<'a>(&'a self, session: &'a str, epoch: &'a Epoch) -> Journaled<'a, ()> {
        let running = epoch
            .running
            .iter()
            .find(|(id, _)| id == session)
            .map(|(_, turn)| turn.clone());
        if let Err(full) = self.room(session) {
            return Box::pin(async { Err(full) });
        }
        let mut book = self.book.lock().unwrap();
        book.writes.push(Write::Settled(session.to_owned()));
        book.states.entry(session.to_owned()).or_default().turn = running.unwrap_or(Turn::Interrupted);
        drop(book);
        Box::pin(async { Ok(()) })
    }
    fn state<'a>(&'a self, session: &'a str) -> Journaled<'a, State> {
        let damaged = self.book.lock().unwrap().damaged.contains(session);
        let state = self.now(session);
        Box::pin(async move {
            match damaged {
                true => Err(StoreError::Database("a row cannot be read".to_owned())),
                false => Ok(state),
            }
        })
    }
    fn list(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        self.list.subscribe()
    }
    fn find(&self, session: &str) -> Option<Listed> {
        self.list
            .borrow()
            .iter()
            .find(|listed| listed.info.id == session)
            .cloned()
    }
    fn children(&self, session: &str) -> Vec<SessionId> {
        let list = self.list.borrow();
        let of = list
            .iter()
            .filter(|listed| listed.info.parent.as_deref() == Some(session));
        of.map(|listed| listed.info.id.clone()).collect()
    }
    fn unfinished(&self) -> Vec<SessionId> {
        let book = self.book.lock().unwrap();
        let open = book
            .states
            .iter()
            .filter(|(_, s)| matches!(s.turn, Turn::Running | Turn::Retrying { .. }));
        open.map(|(id, _)| id.clone()).collect()
    }
}

/// A backend that does what the test says.
pub(super) struct FakeBackend {
    pub(super) title: String,
    pub(super) status: watch::Sender<plugin::Status>,
    pub(super) availability: Mutex<Availability>,
    pub(super) feeds: mpsc::UnboundedSender<mpsc::Sender<Feed>>,
    pub(super) snapshots: Mutex<BTreeMap<SessionId, Snapshot>>,
    /// Snapshots wait for it.
    pub(super) gate: tokio::sync::Semaphore,
    pub(super) admissions: Mutex<VecDeque<Result<Admission, CallError>>>,
    pub(super) prompts: Mutex<Vec<Prompt>>,
    pub(super) replies: Mutex<Option<CallError>>,
    pub(super) listed: Mutex<Vec<SessionInfo>>,
    pub(super) titles: Mutex<Vec<String>>,
    /// How often a session was read.
    pub(super) reads: Mutex<Vec<SessionId>>,
}

impl FakeBackend {
    pub(super) fn new(title: &str) -> (Arc<Self>, mpsc::UnboundedReceiver<mpsc::Sender<Feed>>) {
        let (feeds, opened) = mpsc::unbounded_channel();
        let status = plugin::Status {
            name: title.to_owned(),
            kind: Kind::Chat,
            version: "1.0.0".to_owned(),
            state: plugin::State::Running,
            restarts: 0,
            last_failure: None,
        };
        let backend = Self {
            title: title.to_owned(),
            status: watch::Sender::new(status),
            availability: Mutex::new(Availability::Ready("1.18.33".to_owned())),
            feeds,
            snapshots: Mutex::default(),
            gate: tokio::sync::Semaphore::new(1000),
            admissions: Mutex::default(),
            prompts: Mutex::default(),
            replies: Mutex::default(),
            listed: Mutex::default(),
            titles: Mutex::default(),
            reads: Mutex::default(),
        };
        (Arc::new(backend), opened)
    }
    pub(super) fn has(&self, snapshot: Snapshot) {
        self.snapshots
            .lock()
            .unwrap()
            .insert(snapshot.info.id.clone(), snapshot);
    }
}

impl Supervised for FakeBackend {
    fn status(&self) -> watch::Receiver<plugin::Status> {
        self.status.subscribe()
    }
    fn start(&self) {
        self.status.send_modify(|status| status.state = plugin::State::Running);
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.status.send_modify(|status| status.state = plugin::State::Stopped);
        Box::pin(async {})
    }
}

impl ChatBackend for FakeBackend {
    fn title(&self) -> String {
        self.title.clone()
    }
    fn is_example(&self) -> bool {
        self.title == "echo"
    }
    fn probe(&self) -> Call<'_, Availability> {
        Box::pin(async { Ok(self.availability.lock().unwrap().clone()) })
    }
    fn events(&self) -> mpsc::Receiver<Feed> {
        let (sender, receiver) = mpsc::channel(8);
        self.feeds.send(sender).unwrap();
        receiver
    }
    fn prompt<'a>(&'a self, _: &'a SessionInfo, prompt: Prompt) -> Call<'a, Admission> {
        self.prompts.lock().unwrap().push(prompt);
        let answer = self
            .admissions
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Ok(Admission::Admitted));
        Box::pin(async { answer })
    }
    fn cancel<'a>(&'a self, _: &'a SessionInfo) -> Call<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    fn reply<'a>(&'a self, _: &'a SessionInfo, _: &'a str, _: Answer) -> Call<'a, ()> {
        let answer = self.replies.lock().unwrap().clone().map_or(Ok(()), Err);
        Box::pin(async { answer })
    }
    fn snapshot<'a>(&'a self, session: &'a SessionInfo, _: Option<String>) -> Call<'a, Snapshot> {
        Box::pin(async {
            self.reads.lock().unwrap().push(session.id.clone());
            self.gate.acquire().await.unwrap().forget();
            let found = self.snapshots.lock().unwrap().get(&session.id).cloned();
            found.ok_or_else(|| CallError::NotFound("no such session".to_owned()))
        })
    }
    fn sessions(&self, _: u32) -> Call<'_, Vec<SessionInfo>> {
        let listed = self.listed.lock().unwrap().clone();
        Box::pin(async { Ok(listed) })
    }
    fn create(&self, _: Option<String>) -> Call<'_, SessionInfo> {
        Box::pin(async { Ok(info("new")) })
    }
    fn rename<'a>(&'a self, _: &'a SessionInfo, title: &'a str) -> Call<'a, ()> {
        self.titles.lock().unwrap().push(title.to_owned());
        Box::pin(async { Ok(()) })
    }
    fn delete<'a>(&'a self, _: &'a SessionInfo) -> Call<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

pub(super) struct Silent;

impl nexus_model::activity::Activity for Silent {
    fn note(&self, _: &str, _: nexus_model::activity::Tone, _: &str) {}
}
