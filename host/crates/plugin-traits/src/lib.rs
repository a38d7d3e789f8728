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

mod call;
mod chat_backend;
mod supervised;

pub use call::{Call, CallError};
pub use chat_backend::{BackendEvent, ChatBackend, Prompt, TranscriptError, Transcripts, Utterance};
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
    /// Lists the ways to log in.
    fn methods(&self) -> Call<'_, Vec<auth::Method>>;
    /// Begins a login by `method`, the id of one of [`Self::methods`].
    fn begin<'a>(&'a self, method: &'a str, context: auth::Context) -> Call<'a, auth::Step>;
    /// Goes on with a login: `state` is what the step before gave, `input` what the user typed.
    fn proceed(&self, state: Vec<u8>, input: auth::Input) -> Call<'_, auth::Step>;
    /// Lists what [`Self::enroll`] needs, without the account's name.
    fn enroll_fields(&self) -> Call<'_, Vec<auth::Field>>;
    /// Makes a credential for a new account, in canonical form.
    fn enroll<'a>(&'a self, account: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    /// Replaces the credential for the user, who shows the present one in the field `current`.
    fn change<'a>(&'a self, subject: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    /// Replaces the credential for the operator, who need not know the present one.
    fn reset<'a>(&'a self, subject: &'a str, input: auth::Input) -> Call<'a, auth::Outcome>;
    /// Deletes the credential. Removing one that is not there is no error.
    fn remove<'a>(&'a self, subject: &'a str) -> Call<'a, ()>;
}

/// What [`AuthProvider`] takes and gives, as in WIT `auth`, `auth-types` and `manage`.
pub mod auth {
    use std::collections::BTreeMap;

    /// `Input` has by the name of each field what was typed. Its `Debug` shows the names only.
    #[derive(Clone, Default, PartialEq, Eq)]
    pub struct Input(pub BTreeMap<String, String>);

    impl std::fmt::Debug for Input {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_set().entries(self.0.keys()).finish()
        }
    }

    /// `MethodKind` is what the user does to log in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum MethodKind {
        /// `Form`: fills in fields.
        Form,
        /// `Redirect`: logs in at another site and comes back.
        Redirect,
        /// `Webauthn`: uses an authenticator of the browser.
        Webauthn,
        /// `Ambient`: nothing; the request itself shows who it is, as a proxy's header does.
        Ambient,
        /// `Bearer`: nothing; a program sends a token with each request.
        Bearer,
    }

    /// `Method` is one way to log in.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Method {
        /// `id` is the plugin's name for it, given back to [`super::AuthProvider::begin`].
        pub id: String,
        /// `kind` is what the user does.
        pub kind: MethodKind,
        /// `title` is for the button or the heading: `Password`.
        pub title: String,
    }

    /// `FieldKind` says how a field is treated.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FieldKind {
        /// `Account` is the account's name. The host makes it canonical and checks lockout with it.
        Account,
        /// `Password` is never echoed and never logged.
        Password,
        /// `Code` is a one-time code.
        Code,
        /// `Text` is shown as it is typed.
        Text,
    }

    /// `Field` is one field of a form.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Field {
        /// `name` is the key of what was typed, in [`Input`].
        pub name: String,
        /// `kind` says how it is treated.
        pub kind: FieldKind,
        /// `title` is the label.
        pub title: String,
        /// `help` is one line below the field.
        pub help: Option<String>,
    }

    /// `Context` is what a login begins with.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Context {
        /// `account` is the canonical account name, where it is known already.
        pub account: Option<String>,
        /// `origin` is the address the page was loaded from: `https://…`, `http://127.0.0.1:7860`.
        pub origin: String,
    }

    /// `Denial` says why a login was refused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Denial {
        /// `BadCredential`: it is wrong or the subject unknown. The host adds it to the lockout.
        BadCredential,
        /// `Policy`: the credential is right, and the login is not allowed. It is not counted.
        Policy,
        /// `Unavailable`: it could not be found out now. It is not counted.
        Unavailable,
    }

    /// `Step` is what a login needs next, or its end. A `state` is opaque to the host, which encrypts it and gives it back
    /// once.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Step {
        /// `Form`: the user fills in a form.
        Form {
            /// `fields` are in the order in which they are shown.
            fields: Vec<Field>,
            /// `state` is for the next call.
            state: Vec<u8>,
        },
        /// `Redirect`: the browser goes to another site.
        Redirect {
            /// `url` is the address there.
            url: String,
            /// `state` is for the next call.
            state: Vec<u8>,
        },
        /// `Webauthn`: the browser asks an authenticator.
        Webauthn {
            /// `json` is the request for `navigator.credentials`.
            json: String,
            /// `state` is for the next call.
            state: Vec<u8>,
        },
        /// `Identity`: it is known who it is.
        Identity {
            /// `subject` is stable, opaque, and unique within this plugin.
            subject: String,
        },
        /// `Deny`: the login is refused.
        Deny {
            /// `reason` says whether it is counted.
            reason: Denial,
            /// `message` is one sentence for the user; without one the host uses its own.
            message: Option<String>,
        },
    }

    /// `Outcome` is what came of a new or changed credential.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Outcome {
        /// `Done`: the credential is kept.
        Done {
            /// `subject` is whom it belongs to from now on.
            subject: String,
        },
        /// `Rejected`: what the user typed does not meet the plugin's rules.
        Rejected {
            /// `field` is the name of the field.
            field: String,
            /// `cause` is the rule, in a sentence.
            cause: String,
        },
        /// `BadCredential`: the present credential was wrong. The host adds it to the lockout.
        BadCredential,
    }
}
