//! What the pages and the live socket see of the chat service.

use crate::error::ApiError;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
pub use nexus_chat::{BackendStatus as Backend, Install, Missing, Phase};
use nexus_model::chat::{Admission, AgentRequest, Answer, Event, LastError, Message, Part, Root, SessionInfo, Turn};
use std::sync::Arc;
use tokio::sync::watch;

pub type Reply<'a, T> = BoxFuture<'a, Result<T, ApiError>>;

/// A session as it is at `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    pub seq: u64,
    pub info: SessionInfo,
    /// The oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    pub turn: Turn,
    pub requests: Vec<AgentRequest>,
    /// What went wrong last, and still holds.
    pub error: Option<LastError>,
}

/// What a subscription yields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // events are what is sent; a box for each would cost an allocation
pub enum Frame {
    /// Replaces all that the client knows of the session.
    State(Box<SessionState>),
    /// `seq` grows; nothing between two events of one subscription is left out. Where that cannot be held
    /// (numbers that were compacted away), a `State` comes instead.
    Event { seq: u64, event: Event },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Chosen by the client, `[A-Za-z0-9_-]{1,128}`; admitted once.
    pub client_id: String,
    pub text: String,
    /// The id of a consent that the owner gave just now.
    pub consent: Option<String>,
    /// It does not wait for the turn that runs.
    pub now: bool,
}

/// Conversations.
pub trait ChatApi: Send + Sync + 'static {
    fn backend(&self) -> watch::Receiver<Backend>;
    /// Root sessions, the most recently changed first.
    fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>>;
    /// Somebody opened a page: the backend's list is read again. Returns at once.
    fn list_opened(&self);
    /// Once for each `request`, however often it is asked for.
    fn create<'a>(&'a self, title: Option<String>, request: Option<&'a str>) -> Reply<'a, SessionInfo>;
    fn rename<'a>(&'a self, session: &'a str, title: &'a str) -> Reply<'a, ()>;
    fn delete<'a>(&'a self, session: &'a str) -> Reply<'a, ()>;
    /// `from`: the last number that the client has; none: start with a `State`. The stream ends where the session
    /// is deleted, or where the subscriber is too slow for the service (it subscribes again).
    fn subscribe<'a>(&'a self, session: &'a str, from: Option<u64>) -> Reply<'a, BoxStream<'static, Frame>>;
    /// A session as it is now.
    fn state<'a>(&'a self, session: &'a str) -> Reply<'a, SessionState>;
    /// While a turn runs it is kept until its end. Runs to its end even if the caller goes away.
    fn prompt<'a>(&'a self, session: &'a str, prompt: Prompt) -> Reply<'a, Admission>;
    /// Takes a prompt back that waits.
    fn take_back<'a>(&'a self, session: &'a str, client_id: &'a str) -> Reply<'a, ()>;
    /// Goes on where an interrupted answer ended; twice for the same answer makes one turn.
    fn continue_interrupted<'a>(&'a self, session: &'a str) -> Reply<'a, Admission>;
    fn cancel<'a>(&'a self, session: &'a str) -> Reply<'a, ()>;
    fn reply<'a>(&'a self, session: &'a str, request: &'a str, answer: Answer) -> Reply<'a, ()>;
    /// How many chats of the backend are being answered just now.
    fn busy(&self) -> usize {
        0
    }
    /// A plugin in which no model answers, as far as that can be known before it runs.
    fn is_example(&self, _plugin: &str) -> bool {
        false
    }
    /// What waits for this answer, if it still does.
    fn asked<'a>(&'a self, session: &'a str, request: &'a str) -> Reply<'a, Option<AgentRequest>>;
    /// Plugins that can be the backend.
    fn plugins(&self) -> Vec<String>;
    /// Stops the backend once turns that run had time to finish; returns when that is done.
    fn stop(&self) -> Reply<'_, ()>;
    fn start(&self) -> Reply<'_, ()>;
    /// As [`Self::stop`], and then from the start.
    fn restart(&self) -> Reply<'_, ()>;
    /// Lets another plugin be the backend; sessions of the old one stay readable.
    fn swap<'a>(&'a self, plugin: &'a str) -> Reply<'a, ()>;
    /// Starts to install the missing backend; how it goes is seen in [`Missing::install`].
    fn install(&self) -> Reply<'_, ()>;
}
