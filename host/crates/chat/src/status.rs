//! The backend as people see it.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatStatus {
    /// The plugin whose sessions can be continued now.
    pub plugin: String,
    /// For people: `opencode`.
    pub title: String,
    /// Of the backend, once it is known.
    pub version: Option<String>,
    /// What the owner should know of how it runs: which of the agent's actions wait for a question.
    pub rules: Option<String>,
    /// An example in which no model answers.
    pub example: bool,
    #[serde(flatten)]
    pub phase: Phase,
    /// What the operator has ordered, while turns that run have time to finish.
    pub pending: Option<String>,
    /// The backend that is configured is not there, or not fit. Where there is an example, it is shown meanwhile.
    pub missing: Option<Missing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    Starting {
        what: String,
    },
    Up,
    /// The operator stopped it.
    Stopped,
    /// It comes back by itself.
    Reconnecting {
        why: String,
    },
    /// It stays away until somebody does something.
    Failed {
        why: String,
        hint: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// `opencode`.
    pub title: String,
    /// What was found and what to do.
    pub hint: String,
    /// Something was found that is not fit.
    pub unsuitable: bool,
}

/// Why the service did not do what was asked; a sentence fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    #[error("{0}")]
    NotFound(String),
    /// Asking again gives the same answer.
    #[error("{0}")]
    Refused(String),
    /// It is open whether the backend has it; asking again by itself could do harm.
    #[error("{0}")]
    GivenUp(String),
    /// Not now; may be tried again.
    #[error("{0}")]
    Unavailable(String),
}
