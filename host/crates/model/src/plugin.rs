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

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Kind {
    /// As in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Chat => "chat",
            Self::Tunnel => "tunnel",
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
    /// It fell too often, or refuses its settings. Only the operator starts it again.
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

/// One thing of its settings that a plugin cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The key, where it is one key's fault.
    pub key: Option<String>,
    /// A sentence.
    pub why: String,
    pub hint: Option<String>,
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

/// What the runtime counted since the host started, over all restarts of the plugin. Only numbers: nothing of what was
/// said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// When they were read.
    pub at: Millis,
    /// Calls of the host into the plugin, the first one of each instance among them. A run of a tunnel, or a connection
    /// of a chat backend with all its events, is one.
    pub calls: u64,
    /// Of these, those that ended in a trap, in no answer within the time, or in an error that the plugin gave. A wrong
    /// password is an answer and no error.
    pub errors: u64,
    /// Instances that ended by a trap: a panic, a limit, an exit. One takes all calls with it that run in its instance.
    pub traps: u64,
    /// What a chat backend or a tunnel reported.
    pub events: u64,
    /// Bytes of linear memory: the most that one instance ever had.
    pub memory_peak: u64,
    /// CPU time of the threads of the host while they ran the plugin's instances: its own code, and what the host does for
    /// it in between (passing values, writing its log). Not its compilation, not its processes.
    pub cpu_ms: u64,
    /// How long it was paused because it had used its share of CPU (`limits.cpu_share`).
    pub cpu_paused_ms: u64,
    /// Calls of the plugin that the gate refused: what was not granted, and limits that were reached.
    pub denied: u64,
    /// Lines for the log beyond the allowed number a second.
    pub log_dropped: u64,
}

/// What does not change while it is loaded, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// SHA-256 of the component in hex.
    pub digest: String,
    pub description: String,
    pub authors: Vec<String>,
    pub licence: String,
    pub source: Source,
    /// `runs opencode (/usr/bin/opencode) with your environment`; none: it may do nothing but answer.
    pub grants: Vec<String>,
    /// What it asks for and was not granted: `to keep up to 1 MiB`.
    pub lacks: Vec<String>,
    /// `at most 64 MiB of memory`.
    pub limits: Vec<String>,
}

/// Where the component came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", content = "path", rename_all = "snake_case")]
pub enum Source {
    Builtin,
    File(String),
}

/// One of a plugin's processes that runs now, together with all that descends from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub name: String,
    pub pid: u32,
    pub started_at: Millis,
    /// CPU time of it and its descendants, those that ended and were waited for included. None: not known here.
    pub cpu_ms: Option<u64>,
    /// Memory of all of them, each with the pages that it shares: their sum is an upper bound. None: not known here.
    pub resident_bytes: Option<u64>,
    pub restarts: u32,
}

/// A plugin at its place. One that serves two tunnels has an instance for each, and stands here twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    pub name: String,
    pub kind: Kind,
    /// The tunnel that it serves.
    pub tunnel: Option<String>,
    pub facts: Facts,
    pub figures: Figures,
    pub processes: Vec<Process>,
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
