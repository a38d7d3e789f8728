//! A plugin as the host sees it.

use crate::time::Millis;
use nexus_plugin_api::manifest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of a plugin is what it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginKind)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `Auth` logs people in.
    Auth,
    /// `Chat` is the backend of the chat.
    Chat,
    /// `Tunnel` opens a public address.
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
    /// `as_str` is as in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Chat => "chat",
            Self::Tunnel => "tunnel",
        }
    }
}

/// The state of a plugin says whether its own instance runs; what its program does is another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PluginState {
    /// It is loaded, and not wanted now.
    Stopped,
    /// It was started, and has not said yet what it is.
    Starting,
    /// It takes calls.
    Running,
    /// It crashed, and is started again at `at`.
    Restarting {
        /// `cause` is why it crashed.
        cause: String,
        /// `at` is when it is started again, in milliseconds since the Unix epoch.
        at: Millis,
    },
    /// It reached its restart limit, or refuses its settings. Only the operator starts it again.
    Failed {
        /// `cause` is why it crashed last, or what it refuses.
        cause: String,
    },
}

/// The status of a plugin says how it runs, for the status page, `/healthz` and `nexus plugin list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]

pub struct PluginStatus {
    /// `name` is the `NAME` of `[plugin.NAME]`.
    #[schema(examples("chat-opencode"))]
    pub name: String,
    /// `kind` says what it serves.
    pub kind: Kind,
    /// `version` is the plugin's own.
    #[schema(examples("0.1.0"))]
    pub version: String,
    /// `tunnel` is the name of the tunnel that it serves; null for another kind.
    #[schema(required)]
    #[serde(default)]
    pub tunnel: Option<String>,
    /// `state` says whether its instance runs.
    #[serde(flatten)]
    pub state: PluginState,
    /// `restarts` counts since the host started.
    pub restarts: u32,
    /// `last_failure` is null while there was none.
    #[schema(required)]
    pub last_failure: Option<Failure>,
}

impl PluginStatus {
    /// `unloaded` is what is known of a plugin before its component was read.
    pub fn unloaded(name: &str, kind: Kind, state: PluginState) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            version: String::new(),
            state,
            restarts: 0,
            last_failure: None,
            tunnel: None,
        }
    }
}

/// `Refusal` is one thing of its settings that a plugin cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `key` is the key, where it is one key's fault.
    pub key: Option<String>,
    /// `why` is a sentence.
    pub why: String,
    /// `hint` is what to write instead, where the plugin says it.
    pub hint: Option<String>,
}

/// A failure says how a plugin failed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginFailure)]
pub struct Failure {
    /// `at` is when it failed, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// `message` is what failed and why: `trap: out of bounds memory access`.
    pub message: String,
    /// `hint` is what to do.
    #[schema(required)]
    pub hint: Option<String>,
    /// `permanent`: trying again cannot help until someone changes something.
    pub permanent: bool,
}

/// The statistics are what the runtime counted since the host started, over all restarts of the plugin. They are only
/// numbers: nothing of what was said is in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]

pub struct PluginStatistics {
    /// `at` is when they were read, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// `calls` counts the calls of the host into the plugin, the first one of each instance among them. A run of a
    /// tunnel, or a connection of a chat backend with all its events, is one.
    pub calls: u64,
    /// `errors` counts those of the calls that ended in a trap, in no answer within the time, or in an error that the
    /// plugin gave. A wrong password is an answer and no error.
    pub errors: u64,
    /// `traps` counts the instances that ended by a trap: a panic, a limit, an exit. One takes all calls with it that
    /// run in its instance.
    pub traps: u64,
    /// `events` counts what a chat backend or a tunnel reported.
    pub events: u64,
    /// `memory_peak` is the most linear memory that one instance ever had, in bytes.
    pub memory_peak: u64,
    /// `cpu_ms` is the CPU time in milliseconds of the threads of the host while they ran the plugin's instances: its
    /// own code, and what the host does for it in between (passing values, writing its log). Not its compilation, not
    /// its processes.
    pub cpu_ms: u64,
    /// `cpu_paused_ms` is how long it was paused, in milliseconds, because it had used its share of CPU
    /// (`limits.cpu_share`).
    pub cpu_paused_ms: u64,
    /// `denied` counts the calls of the plugin that the gate refused: what was not granted, and limits that were
    /// reached.
    pub denied: u64,
    /// `log_dropped` counts the log lines that were dropped because they exceeded the rate limit.
    pub log_dropped: u64,
}

/// The facts of a plugin do not change while it is loaded. They are in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginFacts)]
pub struct Facts {
    /// `digest` is the SHA-256 of the component in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// `description` is the plugin's own, one sentence.
    pub description: String,
    /// `authors` are those of its manifest.
    pub authors: Vec<String>,
    /// `license` is an SPDX expression.
    #[schema(examples("MIT OR Apache-2.0"))]
    pub license: String,
    /// `source` is where the component came from.
    pub source: Source,
    /// `grants` are what it may do: `run opencode (/usr/bin/opencode) with your environment`. Empty: it may do nothing
    /// but answer.
    pub grants: Vec<String>,
    /// `missing_permissions` are what it asks for and was not granted: `store up to 1 MiB`.
    pub missing_permissions: Vec<String>,
    /// `limits` are what it may use at most: `64 MiB of memory`.
    pub limits: Vec<String>,
}

/// The source of a plugin is where its component came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginSource)]
#[serde(tag = "source", content = "path", rename_all = "snake_case")]
pub enum Source {
    /// It is part of Nexus.
    Builtin,
    /// It is a file, at `path`.
    File(String),
}

/// A process is one of a plugin that runs now, together with all that descends from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginProcess)]
pub struct Process {
    /// `name` is what the plugin calls it.
    pub name: String,
    /// `pid` is the number of the process itself.
    pub pid: u32,
    /// `started_at` is in milliseconds since the Unix epoch.
    pub started_at: Millis,
    /// `cpu_ms` is the CPU time in milliseconds of it and its descendants, those that ended and were waited for
    /// included. Null: this system does not tell.
    #[schema(required)]
    pub cpu_ms: Option<u64>,
    /// `resident_bytes` is the memory of all of them, each with the pages that it shares: an upper bound. Null: this
    /// system does not tell.
    #[schema(required)]
    pub resident_bytes: Option<u64>,
    /// `restarts` counts since the host started.
    pub restarts: u32,
}

/// The details tell of a plugin at its place. One that serves two tunnels has an instance for each, and stands here
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginDetails)]
pub struct Details {
    /// `name` is the `NAME` of `[plugin.NAME]`.
    pub name: String,
    /// `kind` says what it serves.
    pub kind: Kind,
    /// `tunnel` is the name of the tunnel that it serves; null for another kind.
    #[schema(required)]
    pub tunnel: Option<String>,
    /// `facts` are what does not change while it is loaded.
    pub facts: Facts,
    /// `statistics` are what was counted of it.
    pub statistics: PluginStatistics,
    /// `processes` are those of its processes that run.
    pub processes: Vec<Process>,
}

/// `Availability` says whether the program behind a plugin is there and usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "availability", content = "text", rename_all = "snake_case")]
pub enum Availability {
    /// `Ready` has the program's version.
    Ready(String),
    /// `Missing` says how to install it.
    Missing(String),
    /// `Unsuitable` says what was found, what is needed, and what to do.
    Unsuitable(String),
}
