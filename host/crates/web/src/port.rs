//! What the pages and the live socket see of the services. Everything here is object-safe, so that the router is
//! tested against fakes and the services know nothing of HTTP.

use futures::future::BoxFuture;
use futures::stream::BoxStream;
pub use nexus_auth::{Access, End};
pub use nexus_chat::Phase;
use nexus_model::activity::Note;
use nexus_model::chat::{Admission, Answer, Ask, Event, LastError, Message, Part, Root, SessionInfo, Turn};
use nexus_model::log::{About, LogLine};
pub use nexus_model::reload::Pending;
use nexus_model::time::Millis;
use nexus_model::trouble::Trouble;
use nexus_model::{plugin, tunnel};
use nexus_plugin_traits::auth::{Field, Input};
pub use nexus_tunnels::Swapped;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Why a service did not do what was asked. The text is a sentence fit to be shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    NotFound(String),
    /// Asking again gives the same answer.
    #[error("{0}")]
    Refused(String),
    /// Not now; may be tried again.
    #[error("{0}")]
    Unavailable(String),
}

pub type Reply<'a, T> = BoxFuture<'a, Result<T, ApiError>>;

impl From<nexus_auth::AuthError> for ApiError {
    fn from(error: nexus_auth::AuthError) -> Self {
        match error {
            nexus_auth::AuthError::Unavailable(text) => Self::Unavailable(text),
            nexus_auth::AuthError::Busy => Self::Unavailable(error.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<nexus_chat::ChatError> for ApiError {
    fn from(error: nexus_chat::ChatError) -> Self {
        match error {
            nexus_chat::ChatError::NotFound(text) => Self::NotFound(text),
            nexus_chat::ChatError::Refused(text) | nexus_chat::ChatError::GivenUp(text) => Self::Refused(text),
            nexus_chat::ChatError::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl From<nexus_tunnels::TunnelError> for ApiError {
    fn from(error: nexus_tunnels::TunnelError) -> Self {
        match error {
            nexus_tunnels::TunnelError::Unknown(..) => Self::NotFound(error.to_string()),
            nexus_tunnels::TunnelError::Store(text) => Self::Unavailable(text),
            nexus_tunnels::TunnelError::Refused(text) => Self::Refused(text),
        }
    }
}

/// The services behind the web.
#[derive(Clone)]
pub struct Services {
    pub auth: Arc<dyn AuthApi>,
    pub chat: Arc<dyn ChatApi>,
    pub tunnels: Arc<dyn TunnelApi>,
    pub status: Arc<dyn StatusApi>,
    pub config: Arc<dyn ConfigApi>,
}

/// Who asks, as far as can be known before a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The address the page was loaded from: `https://…`, `http://127.0.0.1:7860`.
    pub origin: String,
    /// The client's address, cleared of what a client can forge.
    pub address: IpAddr,
    /// Where it came in; a login that is made is good there alone.
    pub place: String,
    /// Whose program it is, where that is known: a login that is made is good for those alone.
    pub holder: String,
    /// Random, in a cookie of this browser: what a login step is bound to.
    pub browser: String,
    /// The value of the known-device cookie, not checked yet.
    pub device: Option<String>,
    /// What the browser calls itself, for the list of logins. At most 200 characters.
    pub agent: String,
}

/// Whether somebody can log in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Present,
    /// No user ever existed. `link_open`: a set-up link that was printed is still good.
    Missing {
        link_open: bool,
    },
}

/// A login that was just made; the tokens go into cookies.
#[derive(Clone)]
pub struct NewLogin {
    pub token: String,
    /// For the known-device cookie; none: leave the one that is there.
    pub device: Option<String>,
    /// How long the browser may keep the token.
    pub max_age: Duration,
}

impl std::fmt::Debug for NewLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewLogin(…)")
    }
}

/// A form of the login plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginForm {
    /// For the heading: `Password`.
    pub title: String,
    pub fields: Vec<Field>,
    /// Sealed and bound to the browser, URL-safe text; goes into a hidden field.
    pub state: String,
}

/// What came of one step of a login.
#[derive(Debug, Clone)]
pub enum LoginOutcome {
    LoggedIn(NewLogin),
    /// Another form follows.
    Form(LoginForm),
    /// Wrong, not allowed, or not possible now: one sentence.
    Denied(String),
    Locked {
        until: Millis,
    },
    /// The sealed state is too old, used, or of another browser.
    Expired,
}

#[derive(Debug, Clone)]
pub enum SetupOutcome {
    Done(NewLogin),
    /// Wrong, used or too old.
    BadToken,
    /// What was typed does not meet the rules. `field`: `account`, or a field of the plugin.
    Rejected {
        field: String,
        why: String,
    },
    /// A user exists already.
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    Done,
    Rejected { field: String, why: String },
    WrongPresent,
    Locked { until: Millis },
}

/// A valid login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The login session's id: no secret, fit for a log.
    pub id: String,
    pub user: String,
    /// The account's name, for people.
    pub account: String,
    /// For forms of this login.
    pub csrf: String,
}

/// Users, logins, lockout.
pub trait AuthApi: Send + Sync + 'static {
    fn owner(&self) -> Reply<'_, Owner>;
    /// What a new account needs, its name not among it.
    fn setup_fields(&self) -> Reply<'_, Vec<Field>>;
    fn setup<'a>(
        &'a self,
        visitor: &'a Visitor,
        token: &'a str,
        account: &'a str,
        input: Input,
    ) -> Reply<'a, SetupOutcome>;
    /// The first form of a login.
    fn begin<'a>(&'a self, visitor: &'a Visitor) -> Reply<'a, LoginForm>;
    fn proceed<'a>(&'a self, visitor: &'a Visitor, state: &'a str, input: Input) -> Reply<'a, LoginOutcome>;
    /// The login that a cookie's token belongs to, where it was made at this place. Also keeps it from ending for lack of
    /// use.
    fn lookup<'a>(&'a self, place: &'a str, holder: &'a str, token: &'a str) -> Reply<'a, Option<Login>>;
    /// Whether a credential was shown with this login a short while ago: for what an open session alone must not do.
    fn fresh<'a>(&'a self, login: &'a Login) -> Reply<'a, bool>;
    fn logout<'a>(&'a self, login: &'a Login) -> Reply<'a, ()>;
    /// Ends all other logins of this user; how many there were.
    fn logout_others<'a>(&'a self, login: &'a Login) -> Reply<'a, usize>;
    /// What a change of the credential asks for (`current` among it); empty: the plugin cannot.
    fn change_fields(&self) -> Reply<'_, Vec<Field>>;
    /// Changes the credential and ends all other logins of this user.
    fn change<'a>(&'a self, visitor: &'a Visitor, login: &'a Login, input: Input) -> Reply<'a, ChangeOutcome>;
    /// All accounts, logins and known devices.
    fn access(&self) -> Reply<'_, Access>;
    /// Ends one of them, for somebody with a fresh login.
    fn end<'a>(&'a self, visitor: &'a Visitor, login: &'a Login, what: &'a End) -> Reply<'a, ()>;
    /// Completes as soon as the login with this id is no longer valid (at once if it is not now).
    fn revoked(&self, login: &str) -> BoxFuture<'static, ()>;
}

/// The backend as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its plugin: the sessions of this one can be continued.
    pub plugin: String,
    /// For people: `opencode`.
    pub title: String,
    pub version: Option<String>,
    /// What the owner should know of how it runs: which of the agent's actions wait for a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// An example in which no model answers.
    pub example: bool,
    #[serde(flatten)]
    pub phase: Phase,
    /// What the operator has ordered, while answers that run have time to finish.
    #[serde(default)]
    pub pending: Option<String>,
    /// The backend that was wanted is not there, or not fit.
    pub missing: Option<Missing>,
    /// Why nothing that is said can be saved now, where that is so: a sentence.
    #[serde(default)]
    pub unsaved: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// `opencode`.
    pub title: String,
    /// What was found and how to install it.
    pub hint: String,
    pub install: Install,
}

/// Whether Nexus can install the missing program itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "install", rename_all = "snake_case")]
pub enum Install {
    No,
    /// `label`: `Install opencode 1.18.33`.
    Offered {
        label: String,
    },
    Running {
        what: String,
    },
    Failed {
        why: String,
        label: String,
    },
}

/// A session as it is at `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    pub seq: u64,
    pub info: SessionInfo,
    /// The oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    pub turn: Turn,
    pub asks: Vec<Ask>,
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
    fn reply<'a>(&'a self, session: &'a str, ask: &'a str, answer: Answer) -> Reply<'a, ()>;
    /// How many chats of the backend are being answered just now.
    fn busy(&self) -> usize {
        0
    }
    /// A plugin in which no model answers, as far as that can be known before it runs.
    fn is_example(&self, _plugin: &str) -> bool {
        false
    }
    /// What waits for this answer, if it still does.
    fn asked<'a>(&'a self, session: &'a str, ask: &'a str) -> Reply<'a, Option<Ask>>;
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

/// Tunnels.
pub trait TunnelApi: Send + Sync + 'static {
    fn tunnels(&self) -> watch::Receiver<Vec<tunnel::Status>>;
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()>;
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()>;
    /// Plugins that a tunnel can be given to.
    fn plugins(&self) -> Vec<String>;
    /// Gives a tunnel to another plugin; returns when the old one is gone. Runs to its end even if the caller goes away.
    fn swap<'a>(&'a self, name: &'a str, plugin: &'a str) -> Reply<'a, Swapped>;
}

/// The configuration's file while Nexus runs.
pub trait ConfigApi: Send + Sync + 'static {
    /// What it says that does not count yet.
    fn pending(&self) -> watch::Receiver<Option<Pending>>;
    /// Puts into force what waits for a confirmation, as it was shown under `id`; returns when that is done. For an owner
    /// with a fresh login.
    fn apply<'a>(&'a self, id: &'a str) -> Reply<'a, ()>;
}

/// The host itself.
pub trait StatusApi: Send + Sync + 'static {
    fn plugins(&self) -> watch::Receiver<Vec<plugin::Status>>;
    /// What each of [`Self::plugins`] is and may do, and what was counted of it, in the same order. Looks at the disk and at
    /// all processes of the machine, which takes milliseconds: not for each event, and not on a thread that others wait for.
    fn details(&self) -> Vec<plugin::Details>;
    /// What is being compiled, where something is: all the rest works meanwhile.
    fn starting(&self) -> Option<String> {
        None
    }
    /// What does not work, besides plugins and tunnels, which say it themselves.
    fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }
    /// What happened last, the newest first.
    fn activity(&self) -> watch::Receiver<Arc<VecDeque<Note>>>;
    /// The newest `count` lines of the log's file, the oldest of them first.
    fn log(&self, about: About, count: usize) -> Reply<'_, Vec<LogLine>>;
    /// Of Nexus.
    fn version(&self) -> &str;
    /// The configuration that counts, or the one that would if it were there.
    fn config_file(&self) -> &str;
    /// The project directory of the agent.
    fn workspace(&self) -> &str;
}
