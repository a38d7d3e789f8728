//! The backend as people see it. JSON as the page and the API have it.

use nexus_model::chat::Feature;
use nexus_model::trouble::{TO_FIX, sentence};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// `features` are what the backend can do that not every one can. They are known once it has been up.
    #[serde(default)]
    #[schema(required)]
    pub features: BTreeSet<Feature>,
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

impl Missing {
    /// `headline` is the cause in a few words.
    pub fn headline(&self) -> String {
        match self.cause.split_once(NOT_INSTALLED) {
            Some((program, _)) => format!("{program}{NOT_INSTALLED}."),
            None => format!("{} is not ready to use.", self.title),
        }
    }

    /// `details` are the rest of the cause, and the fix.
    pub fn details(&self) -> String {
        let headline = self.headline();
        let known = headline.trim_end_matches('.');
        let Some(rest) = self.cause.strip_prefix(known) else {
            return sentence(&self.cause, self.fix.as_deref());
        };
        let mut rest = rest.trim_start_matches([':', '.', ' ']).chars();
        match (rest.next(), &self.fix) {
            (None, Some(fix)) => format!("{TO_FIX}{fix}"),
            (None, None) => headline,
            (Some(first), fix) => {
                let rest: String = first.to_uppercase().chain(rest).collect();
                sentence(&rest, fix.as_deref())
            }
        }
    }

    /// Tells whether the program is not there at all.
    pub fn is_not_installed(&self) -> bool {
        self.cause.contains(NOT_INSTALLED)
    }
}

/// `NOT_INSTALLED` is said of a program that is not there.
const NOT_INSTALLED: &str = " is not installed";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_few_words_and_the_rest_in_the_details() {
        let said = |cause: &str| {
            let missing = Missing {
                title: "opencode".to_owned(),
                cause: cause.to_owned(),
                fix: Some("install it".to_owned()),
                install: Install::Unsupported,
            };
            (missing.headline(), missing.details(), missing.is_not_installed())
        };
        let of = |headline: &str, details: &str, missing| (headline.to_owned(), details.to_owned(), missing);
        assert_eq!(
            said("opencode is not installed: it was not found in /t."),
            of(
                "opencode is not installed.",
                "It was not found in /t. To fix: install it",
                true
            )
        );
        assert_eq!(
            said("opencode is not installed."),
            of("opencode is not installed.", "To fix: install it", true)
        );
        assert_eq!(
            said("opencode 1.0.0 is too old."),
            of(
                "opencode is not ready to use.",
                "opencode 1.0.0 is too old. To fix: install it",
                false
            )
        );
    }
}
