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
mod backend_events;
mod call;
mod chat_backend;
mod supervised;

pub use backend_events::{BackendEvent, BackendEvents, EventSink};
pub use call::{Call, CallError};
pub use chat_backend::{ChatBackend, Prompt, TranscriptError, Transcripts, Utterance};
pub use supervised::{CancelReason, PluginRecord, Supervised};

use futures::future::BoxFuture;
use nexus_model::plugin::PluginStatus;
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelEvent;
use nexus_model::{plugin, tunnel};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

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
