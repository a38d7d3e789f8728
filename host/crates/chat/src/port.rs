//! What the chat service uses of the journal, as a trait: the policies here are tested on paused time, which a database's
//! own threads would upset.

use futures::future::BoxFuture;
use nexus_model::chat::{Epoch, Event, LastError, Message, Part, SessionId, SessionInfo, Snapshot, Turn};
pub use nexus_store::StoreError;
use std::sync::Arc;
use tokio::sync::watch;

pub type Journaled<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What the service looks at in a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    pub turn: Turn,
    pub error: Option<LastError>,
}

/// A session in the journal's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub info: SessionInfo,
    /// The chat plugin it is of.
    pub backend: String,
}

/// The host's own record of all conversations. Whatever is written is on disk before anybody sees it. Of a session that
/// was deleted nothing is written, and that is no error.
pub trait JournalPort: Send + Sync + 'static {
    /// The same journal; sessions that are new belong to this chat plugin.
    fn of_backend(&self, plugin: &str) -> Arc<dyn JournalPort>;
    /// A connection to the backend opened: revisions may be counted anew.
    fn open_epoch(&self);
    /// A session that was made just now.
    fn create(&self, info: SessionInfo) -> Journaled<'_, ()>;
    /// Removes all of a session.
    fn remove<'a>(&'a self, session: &'a str) -> Journaled<'a, ()>;
    /// Whether it was removed.
    fn is_removed(&self, session: &str) -> bool;
    /// Events of the host itself.
    fn append<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()>;
    /// Events of one session as they come from a backend, in order. Idempotent by part and revision.
    fn ingest<'a>(&'a self, session: &'a str, events: Vec<Event>) -> Journaled<'a, ()>;
    /// Brings a session to what the backend says it is, keeping what only the journal has; marks what was interrupted.
    fn reconcile(&self, snapshot: Snapshot) -> Journaled<'_, ()>;
    /// As `reconcile`, where there is no snapshot: turn and asks as of the opening of the connection.
    fn settle<'a>(&'a self, session: &'a str, epoch: &'a Epoch) -> Journaled<'a, ()>;
    /// Empty where nobody wrote of it.
    fn state<'a>(&'a self, session: &'a str) -> Journaled<'a, State>;
    /// All sessions of all backends, those of sub-agents among them; the most recently active first.
    fn list(&self) -> watch::Receiver<Arc<Vec<Listed>>>;
    /// A line of that list, as of the last write.
    fn find(&self, session: &str) -> Option<Listed>;
    fn children(&self, session: &str) -> Vec<SessionId>;
    /// Sessions whose turn had not ended, or that wait for an answer.
    fn unfinished(&self) -> Vec<SessionId>;
    /// Sessions that somebody looks at.
    fn watched(&self) -> Vec<SessionId>;
}
