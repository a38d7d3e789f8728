//! What the chat service uses of the journal, as a trait: the policies here are tested on paused time, which a database's
//! own threads would upset.

use crate::model::chat::{Epoch, Event, Message, Part, SessionEvent, SessionId, SessionInfo, Snapshot, Turn};
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::watch;

/// `Err`: a sentence for the operator.
pub type Journaled<'a, T> = BoxFuture<'a, Result<T, String>>;

/// What the service looks at in a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    pub turn: Turn,
}

/// A session in the journal's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub info: SessionInfo,
    /// The chat plugin it is of.
    pub backend: String,
}

/// The host's own record of all conversations. Whatever is written is on disk before anybody sees it.
pub trait JournalPort: Send + Sync + 'static {
    /// The same journal; sessions that are new belong to this chat plugin.
    fn of_backend(&self, plugin: &str) -> Arc<dyn JournalPort>;
    /// A connection to the backend opened: revisions may be counted anew.
    fn open_epoch(&self);
    /// Events of the host itself. [`Event::SessionRemoved`] removes all of the session.
    fn append<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()>;
    /// Events as they come from a backend, each session's in order. Idempotent by part and revision.
    fn ingest(&self, events: Vec<SessionEvent>) -> Journaled<'_, ()>;
    /// Brings a session to what the backend says it is, keeping what only the journal has; marks what was interrupted.
    fn reconcile(&self, snapshot: Snapshot) -> Journaled<'_, ()>;
    /// As `reconcile`, where there is no snapshot: turn and asks as of the opening of the connection.
    fn settle<'a>(&'a self, session: &'a str, epoch: &'a Epoch) -> Journaled<'a, ()>;
    /// Empty where nobody wrote of it.
    fn state<'a>(&'a self, session: &'a str) -> Journaled<'a, State>;
    /// All sessions of all backends, those of sub-agents among them; the most recently active first.
    fn list(&self) -> watch::Receiver<Arc<Vec<Listed>>>;
    /// Sessions whose turn had not ended, or that wait for an answer.
    fn unfinished(&self) -> Vec<SessionId>;
}
