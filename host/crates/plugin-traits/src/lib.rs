//! What the services see of a plugin, whatever runs it. Services are tested against fakes of these traits
//! (`nexus-testkit`); `nexus-plugin-host` implements them for components.

use futures::future::BoxFuture;
use nexus_model::plugin::{PluginStatistics, PluginStatus};
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelEvent;
use nexus_model::{chat, plugin, tunnel};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Why a call into a plugin gave no answer. The text is a sentence fit to be shown to the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin refuses it by its own rules.
    #[error("{0}")]
    Denied(String),
    /// What it was given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// There was no answer within the plugin's limit. Whether the call had an effect is not known.
    #[error("{0}")]
    Timeout(String),
    /// The plugin, or what it needs, is not up now; the call may be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// The plugin crashed during the call. Whether the call had an effect is not known.
    #[error("the plugin crashed during the call: {0}")]
    Crashed(String),
    /// The plugin has no such optional interface.
    #[error("the plugin cannot {0}")]
    Unsupported(&'static str),
    #[error("{0}")]
    Other(String),
}

/// One call into a plugin, which ends within the plugin's own limit of time.
pub type Call<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// What a plugin at its place is and may do, and what was counted of it. It outlives the instances that the plugin has there.
pub trait PluginRecord: Send + Sync + 'static {
    /// The owner of its processes in the process table.
    fn owner(&self) -> &str;
    fn statistics(&self) -> PluginStatistics;
    /// It looks where the granted programs are now, so it asks the disk.
    fn facts(&self) -> plugin::Facts;
}

/// Loads plugins of the configuration by name, whatever runs them. A plugin that was not used before is compiled, which takes
/// seconds. `Err`: a sentence for the operator.
pub trait PluginLoader: Send + Sync + 'static {
    fn load_chat<'a>(&'a self, plugin: &'a str) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, String>>;
    /// `process_owner`: who owns its processes in the process table.
    fn load_tunnel<'a>(
        &'a self,
        plugin: &'a str,
        process_owner: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, String>>;
    /// The names of the plugins that are being compiled; changes are seen at once.
    fn compiling(&self) -> watch::Receiver<Vec<String>>;
}

/// Ends every process of an owner.
pub type StopProcesses = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

/// Common to plugins that live long.
pub trait Supervised: Send + Sync + 'static {
    /// The state of the instance; changes are seen at once.
    fn status(&self) -> watch::Receiver<PluginStatus>;
    /// What it is, and what was counted of it. None: whatever runs it does not count.
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        None
    }
    /// Why it could not be loaded or used, where that is so: a start tries again.
    fn broken(&self) -> Option<Trouble> {
        None
    }
    /// What of its settings it cannot use, as it said at its last start.
    fn refused(&self) -> Vec<plugin::Refusal> {
        Vec::new()
    }
    /// Starts it with a full restart budget: after `Failed`, or after `Stopped`.
    fn start(&self);
    /// Ends the instance. Its processes are left to the host's process table.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// What comes from a chat backend, over all restarts of its plugin. In order, nothing dropped: the channel is
/// bounded and holds the plugin back.
#[derive(Debug, Clone, PartialEq)]
pub enum BackendEvent {
    /// What is being done before the backend is up.
    Starting(String),
    /// The connection opened. What streamed before it may have been lost: reconcile by `snapshot`.
    Opened(chat::BackendConnection),
    Event(chat::SessionEvent),
    /// The connection is gone; `Starting` or `Opened` follow, unless it is permanent.
    Closed(plugin::Failure),
}

/// A chat backend (WIT interfaces `chat` and, where present, `sessions`).
pub trait ChatBackend: Supervised {
    /// For people: `opencode`.
    fn title(&self) -> String;
    /// An example in which no model answers.
    fn is_example(&self) -> bool;
    fn check_availability(&self) -> Call<'_, plugin::Availability>;
    /// Opens the backend and reports what happens in it until the receiver is dropped, across restarts of the
    /// plugin and of the backend. Called once at a time.
    fn events(&self) -> mpsc::Receiver<BackendEvent>;
    fn prompt<'a>(&'a self, session: &'a chat::SessionInfo, prompt: Prompt) -> Call<'a, chat::Admission>;
    fn cancel<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
    fn reply<'a>(&'a self, session: &'a chat::SessionInfo, request: &'a str, answer: chat::Answer) -> Call<'a, ()>;
    fn snapshot<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<String>) -> Call<'a, chat::Snapshot>;
    /// Root sessions, the most recently changed first.
    fn sessions(&self, limit: u32) -> Call<'_, Vec<chat::SessionInfo>>;
    fn create(&self, title: Option<String>) -> Call<'_, chat::SessionInfo>;
    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()>;
    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()>;
}

/// A prompt of the user, as a backend gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Chosen by the client, `[A-Za-z0-9_-]{1,128}`; admitted once.
    pub client_id: String,
    pub text: String,
    pub model: Option<String>,
    /// The id of a consent given just now.
    pub consent: Option<String>,
}

/// A tunnel provider (WIT interface `tunnel`).
pub trait TunnelProvider: Supervised {
    fn describe(&self) -> Call<'_, tunnel::Descriptor>;
    fn check_availability(&self) -> Call<'_, plugin::Availability>;
    /// One run. Dropping the returned handle's `cancel` cancels it; `outcome` follows the last event.
    fn run(&self, origin: SocketAddr) -> Call<'_, TunnelRun>;
}

/// A tunnel that is open or opening.
#[derive(Debug)]
pub struct TunnelRun {
    pub events: mpsc::Receiver<TunnelEvent>,
    /// `Err` of the receiver: the plugin crashed.
    pub outcome: tokio::sync::oneshot::Receiver<Result<(), RunFailure>>,
    /// Send or drop it to close the tunnel.
    pub cancel: tokio::sync::oneshot::Sender<()>,
}

/// Why a run or a connection ended, as WIT `types.failure`; the texts are for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    pub kind: FailureKind,
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Tried again at once, with pauses that grow.
    Retry,
    /// Tried again after a long pause: the other side asks for that.
    RetryLater,
    /// Not tried again before somebody asks for a start.
    Permanent,
}

/// An auth provider (WIT interfaces `auth` and, where present, `manage`): an instance per call.
pub trait AuthProvider: Send + Sync + 'static {
    /// The plugin's name: the namespace of its subjects.
    fn name(&self) -> &str;
    fn status(&self) -> PluginStatus;
    /// As [`Self::status`], with every change. One that never changes may leave it out.
    fn changes(&self) -> watch::Receiver<PluginStatus> {
        watch::channel(self.status()).1
    }
    /// As [`Supervised::measured`].
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        None
    }
    fn methods(&self) -> Call<'_, Vec<auth::Method>>;
    fn begin<'a>(&'a self, method: &'a str, context: auth::Context) -> Call<'a, auth::Step>;
    fn proceed(&self, state: Vec<u8>, input: auth::Input) -> Call<'_, auth::Step>;
    fn enroll_fields(&self) -> Call<'_, Vec<auth::Field>>;
    fn enroll<'a>(&'a self, account: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    fn change<'a>(&'a self, subject: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    fn reset<'a>(&'a self, subject: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    fn remove<'a>(&'a self, subject: &'a str) -> Call<'a, ()>;
}

/// The words of [`AuthProvider`]; as in WIT `auth`, `auth-types` and `manage`.
pub mod auth {
    use std::collections::BTreeMap;

    /// Field name → what was typed. Its `Debug` shows the names only.
    #[derive(Clone, Default, PartialEq, Eq)]
    pub struct Input(pub BTreeMap<String, String>);

    impl std::fmt::Debug for Input {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_set().entries(self.0.keys()).finish()
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum MethodKind {
        Form,
        Redirect,
        Webauthn,
        Ambient,
        Bearer,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Method {
        pub id: String,
        pub kind: MethodKind,
        pub title: String,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FieldKind {
        Account,
        Password,
        Code,
        Text,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Field {
        pub name: String,
        pub kind: FieldKind,
        pub title: String,
        pub help: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Context {
        pub account: Option<String>,
        pub origin: String,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Denial {
        BadCredential,
        Policy,
        Unavailable,
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Step {
        Form { fields: Vec<Field>, state: Vec<u8> },
        Redirect { url: String, state: Vec<u8> },
        Webauthn { json: String, state: Vec<u8> },
        Identity { subject: String },
        Deny { reason: Denial, message: Option<String> },
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Outcome {
        Done { subject: String },
        Rejected { field: String, why: String },
        BadCredential,
    }
}
