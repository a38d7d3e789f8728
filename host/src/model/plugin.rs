//! A plugin as the host sees it.

use crate::time::Millis;
use nexus_plugin_api::manifest;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Auth,
    Chat,
    Tunnel,
}

impl From<manifest::Kind> for Kind {
    fn from(kind: manifest::Kind) -> Self {
        match kind {
            manifest::Kind::Auth => Self::Auth,
            manifest::Kind::Chat => Self::Chat,
            manifest::Kind::Tunnel => Self::Tunnel,
        }
    }
}

/// Whether a plugin's own instance runs; what its program does is another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Loaded, and not wanted now.
    Stopped,
    Starting,
    Running,
    /// It fell; it is started again at `at`.
    Restarting {
        cause: String,
        at: Millis,
    },
    /// It fell too often. Only the operator starts it again.
    Failed {
        cause: String,
    },
}

/// For the status page, `/healthz` and `nexus plugin list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub name: String,
    pub kind: Kind,
    pub version: String,
    #[serde(flatten)]
    pub state: State,
    /// Restarts since the host started.
    pub restarts: u32,
    pub last_failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Millis,
    /// What fell and why: `trap: out of bounds memory access`.
    pub message: String,
    pub hint: Option<String>,
    /// Trying again cannot help until somebody changes something.
    pub permanent: bool,
}

/// Whether the program behind a plugin is there and fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "availability", content = "text", rename_all = "snake_case")]
pub enum Availability {
    /// The program's version.
    Ready(String),
    /// How to install it.
    Missing(String),
    /// What was found, what is needed, what to do.
    Unsuitable(String),
}
