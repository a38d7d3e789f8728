//! What the services see of a plugin, whatever runs it. Services are tested against fakes of these traits
//! (`nexus-testkit`); `nexus-plugin-host` implements them for components.
//!
//! ```
//! use futures::future::BoxFuture;
//! use nexus_model::plugin::{Kind, PluginState, PluginStatus};
//! use nexus_plugin_traits::Supervised;
//! use tokio::sync::watch;
//!
//! /// A plugin without WebAssembly: it runs as soon as it is started.
//! struct Fake(watch::Sender<PluginStatus>);
//! impl Supervised for Fake {
//!     fn status(&self) -> watch::Receiver<PluginStatus> {
//!         self.0.subscribe()
//!     }
//!     fn start(&self) {
//!         self.0.send_modify(|status| status.state = PluginState::Running);
//!     }
//!     fn stop(&self) -> BoxFuture<'_, ()> {
//!         Box::pin(async { self.0.send_modify(|status| status.state = PluginState::Stopped) })
//!     }
//! }
//!
//! # let (name, version) = ("fake".to_owned(), "0.1.0".to_owned());
//! # let (kind, state) = (Kind::Tunnel, PluginState::Stopped);
//! # let status = PluginStatus { name, tunnel: None, kind, version, state, restarts: 0, last_failure: None };
//! let plugin: &dyn Supervised = &Fake(watch::Sender::new(status));
//! let mut seen = plugin.status();
//! plugin.start();
//! assert_eq!(seen.borrow_and_update().state, PluginState::Running);
//! assert!(plugin.broken().is_none() && plugin.refused().is_empty());
//! ```

#![warn(missing_docs)]

pub mod auth;

use futures::future::BoxFuture;
use nexus_model::plugin::{PluginStatistics, PluginStatus};
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelEvent;
use nexus_model::{chat, plugin, tunnel};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// `CallError` says why a call into a plugin gave no answer. The text is a sentence that can be shown to the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// `Denied`: the plugin refuses it by its own rules.
    #[error("{0}")]
    Denied(String),
    /// `Invalid`: what the plugin was given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// `NotFound`: what was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// `Timeout`: there was no answer within the plugin's limit. Whether the call had an effect is not known.
    #[error("{0}")]
    Timeout(String),
    /// `Unavailable`: the plugin, or what it needs, is not up now; the call may be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// `Crashed`: the plugin crashed during the call. Whether the call had an effect is not known.
    #[error("the plugin crashed during the call: {0}")]
    Crashed(String),
    /// `Unsupported`: the plugin has no such optional interface.
    #[error("the plugin cannot {0}")]
    Unsupported(&'static str),
    /// `Other` is an error of the plugin that fits none of these.
    #[error("{0}")]
    Other(String),
}

/// `Call` is one call into a plugin, which ends within the plugin's own limit of time.
pub type Call<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// `PluginRecord` says what a plugin at its place is and may do, and what was counted of it. It outlives the instances
/// that the plugin has there.
pub trait PluginRecord: Send + Sync + 'static {
    /// `owner` is the owner of its processes in the process table.
    fn owner(&self) -> &str;
    /// `statistics` are what was counted since the host started, over all its instances there.
    fn statistics(&self) -> PluginStatistics;
    /// `facts` are its version and what it may do. They say where the granted programs are now, so the disk is asked.
    fn facts(&self) -> plugin::Facts;
}

/// `NotLoaded` says why a plugin is not loaded: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLoaded {
    /// `Unavailable`: the configuration does not have it, or what it needs is not there.
    #[error("{0}")]
    Unavailable(String),
    /// `Component`: its component is not one that this host can run.
    #[error("plugin {plugin}: {cause}")]
    Component {
        /// `plugin` is its name.
        plugin: String,
        /// `cause` is the cause.
        cause: String,
    },
}

impl NotLoaded {
    /// `cause` is the cause, for a reader who knows which plugin it is.
    pub fn cause(&self) -> &str {
        match self {
            Self::Unavailable(cause) | Self::Component { cause, .. } => cause,
        }
    }
}

/// `StatusSender` is where a plugin shows its state; `None`: in a place of its own.
pub type StatusSender = Option<watch::Sender<PluginStatus>>;

/// `PluginLoader` loads plugins of the configuration by name, whatever runs them. A plugin that was not used before is compiled, which takes
/// seconds.
pub trait PluginLoader: Send + Sync + 'static {
    /// Makes an instance of a chat plugin, which is not started yet.
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        status: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>>;
    /// Makes an instance of a tunnel plugin, which is not started yet. `process_owner` owns its processes in the
    /// process table.
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
        status: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>>;
    /// `compiling` are the names of the plugins that are being compiled; changes are seen at once.
    fn compiling(&self) -> watch::Receiver<Vec<String>>;
}

/// `StopProcesses` ends every process of an owner.
pub type StopProcesses = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

/// `Supervised` is what plugins that live long (chat backends and tunnel providers) have in common.
pub trait Supervised: Send + Sync + 'static {
    /// `status` is the state of the instance; changes are seen at once.
    fn status(&self) -> watch::Receiver<PluginStatus>;
    /// `measured` is what it is, and what was counted of it. `None`: what runs it does not count.
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        None
    }
    /// `broken` says why it could not be loaded or used, where that is so: a start tries again.
    fn broken(&self) -> Option<Trouble> {
        None
    }
    /// `refused` is what of its settings it cannot use, as it said at its last start.
    fn refused(&self) -> Vec<plugin::Refusal> {
        Vec::new()
    }
    /// Starts it with a full restart budget: after `Failed`, or after `Stopped`.
    fn start(&self);
    /// Ends the instance. Its processes are left to the host's process table.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// `BackendEvent` is what comes from a chat backend, over all restarts of its plugin: in order, nothing dropped. The channel is
/// bounded and holds the plugin back.
#[allow(clippy::large_enum_variant)] // nearly all of them are the largest one
#[derive(Debug, Clone, PartialEq)]
pub enum BackendEvent {
    /// `Starting` is what is being done before the backend is up.
    Starting(String),
    /// `Opened`: the connection opened. What streamed before it may have been lost: reconcile by `snapshot`.
    Opened(chat::BackendConnection),
    /// `Event` is one event of a session, in the backend's order.
    Event(chat::SessionEvent),
    /// `Closed`: the connection is gone; `Starting` or `Opened` follow, unless it is permanent.
    Closed(plugin::Failure),
}

/// `ChatBackend` is a chat plugin (WIT interfaces `chat` and, where present, `sessions`).
pub trait ChatBackend: Supervised {
    /// `title` is for people: `opencode`.
    fn title(&self) -> String;
    /// `is_example` tells whether it is an example in which no model answers.
    fn is_example(&self) -> bool;
    /// Asks whether the backend's program is there and usable.
    fn check_availability(&self) -> Call<'_, plugin::Availability>;
    /// Opens the backend and reports what happens in it until the receiver is dropped, across restarts of the
    /// plugin and of the backend. Called once at a time.
    fn events(&self) -> mpsc::Receiver<BackendEvent>;
    /// Says for what reason the receiver of [`Self::events`] is dropped next. Who does not say is taken to stop it.
    fn leaving(&self, reason: CancelReason) {
        let _ = reason;
    }
    /// `features` are the optional interfaces that its plugin has; those of the last start while it does not run, and none
    /// before the first. What it does not have answers [`CallError::Unsupported`].
    fn features(&self) -> BTreeSet<chat::Feature>;
    /// Gives the backend a prompt. It answers when the backend has taken it, long before the agent's answer. The same
    /// client id again makes no second turn.
    fn prompt<'a>(&'a self, session: &'a chat::SessionInfo, prompt: Prompt) -> Call<'a, chat::Admission>;
    /// Stops the running turn, if there is one, and closes its requests.
    fn cancel<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
    /// Answers the agent's request with this id. `NotFound`: it waits no longer.
    fn reply<'a>(&'a self, session: &'a chat::SessionInfo, request: &'a str, answer: chat::Answer) -> Call<'a, ()>;
    /// Reads a session as the backend has it, with its newest messages; `before`, from an earlier snapshot, pages back.
    fn snapshot<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<String>) -> Call<'a, chat::Snapshot>;
    /// Lists at most `limit` root sessions, the most recently changed first.
    fn sessions(&self, limit: u32) -> Call<'_, Vec<chat::SessionInfo>>;
    /// Makes a session; without a title the backend chooses one.
    fn create(&self, title: Option<String>) -> Call<'_, chat::SessionInfo>;
    /// Gives a session another title.
    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()>;
    /// Deletes a session in the backend.
    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
}

/// `Utterance` is the text of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// `message` is the id of the message.
    pub message: chat::MessageId,
    /// `role` is its author.
    pub role: chat::Role,
    /// `text` has its texts, one after the other.
    pub text: String,
    /// `created_at` is the time at which it was created.
    pub created_at: nexus_model::time::Millis,
}

/// `TranscriptError` says why a transcript cannot be read, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// `NotFound`: it is no session of this backend.
    #[error("{0}")]
    NotFound(String),
    /// `Unavailable`: it cannot be read now.
    #[error("{0}")]
    Unavailable(String),
}

/// `Transcripts` are what was said in the sessions of all chat backends, each for its own plugin alone.
pub trait Transcripts: Send + Sync + 'static {
    /// Reads the newest utterances of a session of `plugin`, the oldest first: at most `limit`, and
    /// [`nexus_model::limits::TRANSCRIPT_BYTES`]. `before` is a message: those before it.
    fn read<'a>(
        &'a self,
        plugin: &'a str,
        session: &'a str,
        before: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Utterance>, TranscriptError>>;
}

/// `Prompt` is a prompt of the user, as a backend gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// `client_id` is chosen by the client, `[A-Za-z0-9_-]{1,128}`; it is admitted once.
    pub client_id: String,
    /// `text` is what the user wrote.
    pub text: String,
    /// `model` is `provider/model`; `None`: the backend's default.
    pub model: Option<String>,
    /// `consent` is the id of a consent given just now.
    pub consent: Option<String>,
}

/// `TunnelProvider` is a tunnel plugin (WIT interface `tunnel`).
pub trait TunnelProvider: Supervised {
    /// Asks the plugin what it is; it does no I/O for that.
    fn describe(&self) -> Call<'_, tunnel::Descriptor>;
    /// Asks whether the provider's program is there and usable.
    fn check_availability(&self) -> Call<'_, plugin::Availability>;
    /// Starts one run, which leads to `origin`. Dropping the returned handle's `cancel` cancels it; `outcome` follows
    /// the last event.
    fn run(&self, origin: SocketAddr) -> Call<'_, TunnelRun>;
}

/// `TunnelRun` is a tunnel that is open or opening.
#[derive(Debug)]
pub struct TunnelRun {
    /// `events` are what the provider reports, in its order.
    pub events: mpsc::Receiver<TunnelEvent>,
    /// `outcome` is how the run ended; `Err` of the receiver: the plugin crashed.
    pub outcome: oneshot::Receiver<Result<(), RunFailure>>,
    /// `cancel` closes the tunnel when it is sent, or dropped: then for the reason `Stop`.
    pub cancel: oneshot::Sender<CancelReason>,
}

/// `CancelReason` says why the host cancels a long call, as WIT `types.cancel-reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// `Stop`: the owner or the operator stops the plugin.
    Stop,
    /// `Replace`: another instance goes on in its place.
    Replace,
    /// `HostEnds`: the host ends, and all processes with it.
    HostEnds,
}

/// `RunFailure` says why a run or a connection ended, as WIT `types.failure`; the texts are for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// `kind` says when it is tried again.
    pub kind: FailureKind,
    /// `cause` is what happened.
    pub cause: String,
    /// `fix` is what to do about it, where that is known.
    pub fix: Option<String>,
}

/// `FailureKind` says when a run is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// `Retry`: at once, with pauses that grow.
    Retry,
    /// `RetryLater`: after a long pause, because the other side asks for that.
    RetryLater,
    /// `Permanent`: not before somebody asks for a start.
    Permanent,
}

/// `AuthProvider` is a login plugin (WIT interfaces `auth` and, where present, `manage`): each call has an instance of
/// its own.
pub trait AuthProvider: Send + Sync + 'static {
    /// `name` is the plugin's name: the namespace of its subjects.
    fn name(&self) -> &str;
    /// `status` is its state as of the last call.
    fn status(&self) -> PluginStatus;
    /// `changes` is as [`Self::status`], with every change. One that never changes may leave it out.
    fn changes(&self) -> watch::Receiver<PluginStatus> {
        watch::channel(self.status()).1
    }
    /// `measured` is as [`Supervised::measured`].
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        None
    }
    /// `broken` is as [`Supervised::broken`]; one that could not be loaded lets nobody in.
    fn broken(&self) -> Option<Trouble> {
        None
    }
    /// `enrolls` tells whether it has the optional interface `manage`. Without it, [`Self::enroll`] and the others of that
    /// interface answer [`CallError::Unsupported`].
    fn enrolls(&self) -> bool;
    /// Lists the ways to log in. The answer depends on nothing but the configuration.
    fn methods(&self) -> Call<'_, Vec<auth::Method>>;
    /// Begins a login by `method`, the id of one of [`Self::methods`].
    fn begin<'a>(&'a self, method: &'a str, context: auth::Context) -> Call<'a, auth::Step>;
    /// Goes on with a login: `state` is what the step before gave, `answer` what the browser answered to it.
    fn proceed(&self, state: Vec<u8>, answer: auth::Answer, context: auth::Context) -> Call<'_, auth::Step>;
    /// Says whose a request is, by a method of the kind `Ambient` or `Bearer`.
    fn authenticate(&self, facts: auth::Facts) -> Call<'_, auth::Verdict>;
    /// Begins to make a credential for a new account.
    fn enroll(&self, context: auth::Context) -> Call<'_, auth::Step>;
    /// Begins to replace the credential for the user, who has to show the present one.
    fn change<'a>(&'a self, subject: &'a str, context: auth::Context) -> Call<'a, auth::Step>;
    /// Begins to replace the credential for who need not know the present one.
    fn reset<'a>(&'a self, subject: &'a str, context: auth::Context) -> Call<'a, auth::Step>;
    /// Goes on with what `enroll`, `change` or `reset` began.
    fn proceed_managing(&self, state: Vec<u8>, answer: auth::Answer, context: auth::Context) -> Call<'_, auth::Step>;
    /// Deletes the credential. Removing one that is not there is no error.
    fn remove<'a>(&'a self, subject: &'a str) -> Call<'a, ()>;
}
