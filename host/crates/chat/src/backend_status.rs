//! The backend as people see it. JSON as the page and the API have it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The backend of the chat is described as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Backend)]
pub struct BackendStatus {
    /// `plugin` is the name of its plugin: the sessions of this one can be continued.
    #[schema(examples("chat-opencode"))]
    pub plugin: String,
    /// `title` is its name, for people.
    #[schema(examples("opencode"))]
    pub title: String,
    /// `version` is the one of its program. Null: it is not known yet.
    #[schema(required)]
    pub version: Option<String>,
    /// `rules` are what the owner should know of how it runs: which of the agent's actions wait for a permission, and
    /// which do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rules: Option<String>,
    /// `example`: it is an example in which no model answers.
    pub example: bool,
    /// `phase` says whether it answers.
    #[serde(flatten)]
    pub phase: Phase,
    /// `pending` is what the operator has ordered, while answers that run have time to finish.
    #[serde(default)]
    #[schema(required)]
    pub pending: Option<String>,
    /// `missing` is the backend that was wanted, where it is not there or not usable.
    #[schema(required)]
    pub missing: Option<Missing>,
    /// `unsaved` is why no message can be saved now, where that is so: a sentence.
    #[serde(default)]
    #[schema(required)]
    pub unsaved: Option<String>,
}

/// The phase says whether the chat backend answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BackendPhase)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It is coming up.
    Starting {
        /// `what` is what takes the time.
        what: String,
    },
    /// It answers.
    Up,
    /// The operator stopped it.
    Stopped,
    /// It is unavailable, and comes back by itself.
    Reconnecting {
        /// `why` is a sentence.
        why: String,
    },
    /// It stays unavailable until someone does something.
    Failed {
        /// `why` is a sentence.
        why: String,
        /// `hint` is what to do.
        #[schema(required)]
        hint: Option<String>,
    },
}

impl Phase {
    pub(crate) fn checking_for(title: &str) -> Self {
        Self::Starting {
            what: format!("Checking for {title}"),
        }
    }

    /// Shows that a plugin is being compiled, which takes seconds, and happens once for each version of a plugin.
    pub(crate) fn compiling(plugin: &str) -> Self {
        Self::Starting {
            what: format!("Compiling {plugin}, because this version starts for the first time"),
        }
    }
}

/// A missing backend is one that was wanted, and is not there or not usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MissingBackend)]
pub struct Missing {
    /// `title` is its name, for people.
    #[schema(examples("opencode"))]
    pub title: String,
    /// `hint` is what was found and how to install it.
    pub hint: String,
    /// `install` says whether Nexus can install it, and how that goes.
    pub install: Install,
}

/// `Install` says whether Nexus can install the missing program itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "install", rename_all = "snake_case")]
pub enum Install {
    /// It cannot.
    No,
    /// It can.
    Offered {
        /// `label` is what the button says: `Install opencode 1.18.33`.
        label: String,
    },
    /// It does.
    Running {
        /// `what` is what takes the time.
        what: String,
    },
    /// It tried, and can try again.
    Failed {
        /// `why` is a sentence.
        why: String,
        /// `label` is what the button says.
        label: String,
    },
}
