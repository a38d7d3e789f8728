//! The backend as people see it. JSON as the page and the API have it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Backend` describes the chat backend and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Backend)]
pub struct BackendStatus {
    /// `plugin` is the name of the active chat plugin. Its sessions can be continued.
    #[schema(examples("chat-opencode"))]
    pub plugin: String,
    /// `title` is the name of the backend, for people.
    #[schema(examples("opencode"))]
    pub title: String,
    /// `version` is the version of the backend's program. Null: it is not known yet.
    #[schema(required)]
    pub version: Option<String>,
    /// `rules` says in a sentence which actions of the agent need a permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rules: Option<String>,
    /// `example` is true for an example backend without a model.
    pub example: bool,
    /// The state of the backend; its keys are in the same object.
    #[serde(flatten)]
    pub phase: Phase,
    /// `pending_action` describes a requested stop, restart or swap that waits until running turns have ended. Null:
    /// there is none.
    #[serde(default)]
    #[schema(required)]
    pub pending_action: Option<String>,
    /// `missing` is the configured backend if it cannot be used. Null: it can be used.
    #[schema(required)]
    pub missing: Option<Missing>,
    /// `storage_error` says why messages cannot be saved. Null: they are saved.
    #[serde(default)]
    #[schema(required)]
    pub storage_error: Option<String>,
}

/// `BackendState` is the state of the chat backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BackendState)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Phase {
    /// `starting`: the backend is starting.
    Starting {
        /// `progress` describes the current step.
        progress: String,
    },
    /// `up`: the backend is ready.
    Up,
    /// `stopped`: the backend was stopped on request.
    Stopped,
    /// `reconnecting`: the backend is unavailable. Nexus reconnects by itself.
    Reconnecting {
        /// `cause` says why the backend is unavailable.
        cause: String,
    },
    /// `failed`: the backend is unavailable, and Nexus does not start it again until it is told to.
    Failed {
        /// `cause` says why the backend failed.
        cause: String,
        /// `fix` says how to fix it. Null: no fix is known.
        #[schema(required)]
        fix: Option<String>,
    },
}

impl Phase {
    pub(crate) fn checking_for(title: &str) -> Self {
        Self::Starting {
            progress: format!("Checking for {title}"),
        }
    }

    /// Shows that a plugin is being compiled, which takes seconds, and happens once for each version of a plugin.
    pub(crate) fn compiling(plugin: &str) -> Self {
        Self::Starting {
            progress: format!("Compiling {plugin}, because this version starts for the first time"),
        }
    }
}

/// `MissingBackend` is a configured backend that cannot be used, because its program is not installed, for example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MissingBackend)]
pub struct Missing {
    /// `title` is the name of the backend, for people.
    #[schema(examples("opencode"))]
    pub title: String,
    /// `cause` says why the backend cannot be used.
    pub cause: String,
    /// `fix` says how to fix it. Null: no fix is known.
    #[schema(required)]
    pub fix: Option<String>,
    /// `install` says whether Nexus can install the program.
    pub install: Install,
}

/// `Install` is the state of the installation of a missing program by Nexus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Install {
    /// `unsupported`: Nexus cannot install the program.
    Unsupported,
    /// `available`: Nexus can install the program.
    Available {
        /// `label` is the label of the button: `Install opencode 1.18.33`.
        label: String,
    },
    /// `running`: Nexus is installing the program.
    Running {
        /// `progress` describes the current step.
        progress: String,
    },
    /// `failed`: the installation failed. It can be tried again.
    Failed {
        /// `cause` says why the installation failed.
        cause: String,
        /// `label` is the label of the button.
        label: String,
    },
}
