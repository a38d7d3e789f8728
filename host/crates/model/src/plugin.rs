//! A plugin as the host sees it.

use crate::time::Millis;
use nexus_plugin_api::manifest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `PluginKind` says what a plugin provides: `auth` (a login), `chat` (a chat backend) or `tunnel`.
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

/// `PluginState` is the state of the instance of a plugin. The program that the plugin runs may be in another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PluginState {
    /// `stopped`: the plugin is loaded and not in use.
    Stopped,
    /// `starting`: the instance was started and does not take calls yet.
    Starting,
    /// `running`: the instance takes calls.
    Running,
    /// `restarting`: the instance crashed. Nexus starts it again at `at`.
    Restarting {
        /// `cause` says why it crashed.
        cause: String,
        /// `at` is the time of the next start.
        at: Millis,
    },
    /// `failed`: the plugin has reached its restart limit or cannot use its settings. Nexus does not start it again until
    /// it is told to.
    Failed {
        /// `cause` says why it crashed last, or which setting it cannot use.
        cause: String,
    },
}

/// `PluginStatus` describes a plugin and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginStatus {
    /// `name` is the `NAME` of `[plugin.NAME]` in the configuration.
    #[schema(examples("chat-opencode"))]
    pub name: String,
    /// `kind` says what the plugin provides.
    pub kind: Kind,
    /// `version` is the version of the plugin.
    #[schema(examples("0.1.0"))]
    pub version: String,
    /// `tunnel` is the name of the tunnel that the plugin provides. Null: it is no tunnel plugin.
    #[schema(required)]
    #[serde(default)]
    pub tunnel: Option<String>,
    /// The state of the plugin; its keys are in the same object.
    #[serde(flatten)]
    pub state: PluginState,
    /// `restarts` is the number of restarts since Nexus started.
    pub restarts: u32,
    /// `last_failure` is the last failure. Null: there was none.
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
    /// `cause` is a sentence.
    pub cause: String,
    /// `fix` is what to write instead, where the plugin says it.
    pub fix: Option<String>,
}

/// `PluginFailure` describes how a plugin failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginFailure)]
pub struct Failure {
    /// `at` is the time of the failure.
    pub at: Millis,
    /// `cause` says what failed: `trap: out of bounds memory access`.
    pub cause: String,
    /// `fix` says how to fix it. Null: no fix is known.
    #[schema(required)]
    pub fix: Option<String>,
    /// `permanent` is true if a restart cannot help before something is changed.
    pub permanent: bool,
}

/// `PluginStatistics` are the counts of a plugin since Nexus started, over all its restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginStatistics {
    /// `at` is the time at which the values were read.
    pub at: Millis,
    /// `calls` is the number of calls from Nexus to the plugin, including the first call of each instance. A run of a
    /// tunnel, or a connection of a chat backend with all its events, is one call.
    pub calls: u64,
    /// `errors` is the number of calls that ended with a crash, a timeout or an error of the plugin. A wrong password is
    /// not an error.
    pub errors: u64,
    /// `crashes` is the number of instances that ended by a trap: a panic, a limit or an exit. A crash ends all calls
    /// that run in the instance.
    pub crashes: u64,
    /// `events` is the number of events that a chat backend or a tunnel reported.
    pub events: u64,
    /// `memory_peak_bytes` is the largest linear memory that an instance has had, in bytes.
    pub memory_peak_bytes: u64,
    /// `cpu_ms` is the CPU time of the plugin's instances, in milliseconds, including the work of Nexus for their calls.
    /// Compilation and child processes are not included.
    pub cpu_ms: u64,
    /// `cpu_paused_ms` is the time for which the plugin was paused because it had used its share of CPU
    /// (`limits.cpu_share`), in milliseconds.
    pub cpu_paused_ms: u64,
    /// `denied` is the number of calls from the plugin to Nexus that were denied because a permission was missing or a
    /// limit was reached.
    pub denied: u64,
    /// `log_dropped` is the number of log lines that were dropped because they exceeded the rate limit.
    pub log_dropped: u64,
}

/// `PluginFacts` describe a loaded plugin. They do not change while it is loaded; the texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginFacts)]
pub struct Facts {
    /// `digest` is the SHA-256 digest of the component in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// `description` is the description in the manifest.
    pub description: String,
    /// `authors` are the authors in the manifest.
    pub authors: Vec<String>,
    /// `license` is the license in the manifest, an SPDX expression.
    #[schema(examples("MIT OR Apache-2.0"))]
    pub license: String,
    /// `source` is the origin of the component.
    pub source: Source,
    /// `grants` are the permissions that the plugin has: `run opencode (/usr/bin/opencode) with your environment`.
    pub grants: Vec<String>,
    /// `missing_permissions` are the permissions that the plugin requests and does not have: `store up to 1 MiB`.
    pub missing_permissions: Vec<String>,
    /// `limits` are the limits of the plugin: `64 MiB of memory`.
    pub limits: Vec<String>,
}

/// `PluginSource` is the origin of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginSource)]
#[serde(tag = "type", content = "path", rename_all = "snake_case")]
pub enum Source {
    /// `builtin`: the component is part of Nexus.
    Builtin,
    /// `file`: the component is a file; `path` is its path.
    File(String),
}

/// `PluginProcess` is a running process of a plugin, together with its descendants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginProcess)]
pub struct Process {
    /// `name` is the name that the plugin gave the process.
    pub name: String,
    /// `pid` is the process id.
    pub pid: u32,
    /// `started_at` is the time at which the process started.
    pub started_at: Millis,
    /// `cpu_ms` is the CPU time of the process and its descendants, in milliseconds. Descendants that have ended are
    /// included. Null: this system does not report it.
    #[schema(required)]
    pub cpu_ms: Option<u64>,
    /// `resident_bytes` is the memory of the process and its descendants, in bytes. Shared pages are counted for each of
    /// them. Null: this system does not report it.
    #[schema(required)]
    pub resident_bytes: Option<u64>,
    /// `restarts` is the number of restarts since Nexus started.
    pub restarts: u32,
}

/// `PluginDetails` describe a plugin that is in use. A plugin that provides two tunnels is listed twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PluginDetails)]
pub struct Details {
    /// `name` is the `NAME` of `[plugin.NAME]` in the configuration.
    pub name: String,
    /// `kind` says what the plugin provides.
    pub kind: Kind,
    /// `tunnel` is the name of the tunnel that the plugin provides. Null: it is no tunnel plugin.
    #[schema(required)]
    pub tunnel: Option<String>,
    /// `facts` describe the loaded component.
    pub facts: Facts,
    /// `statistics` are the counts of the plugin.
    pub statistics: PluginStatistics,
    /// `processes` are the running processes of the plugin.
    pub processes: Vec<Process>,
}

/// `Availability` says whether the program behind a plugin is there and usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// `Ready`: it can be run.
    Ready(Fit),
    /// `Missing`: it is not installed.
    Missing(Unfit),
    /// `Unsuitable`: it is installed, and cannot be used.
    Unsuitable(Unfit),
}

/// `Fit` is a program that can be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// `version` is the program's, as it states it.
    pub version: String,
    /// `note` is what the owner should know of how it runs.
    pub note: Option<String>,
}

/// `Unfit` is why a program cannot be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfit {
    /// `cause` says what was found, and what is needed. It may be empty where nothing was found.
    pub cause: String,
    /// `fix` is what follows "To fix: ".
    pub fix: Option<String>,
}

impl Availability {
    /// `ready` has a version and no note.
    pub fn ready(version: impl Into<String>) -> Self {
        Self::Ready(Fit {
            version: version.into(),
            note: None,
        })
    }

    /// `missing` has nothing but the fix: how to install it.
    pub fn missing(fix: impl Into<String>) -> Self {
        Self::Missing(Unfit {
            cause: String::new(),
            fix: Some(fix.into()),
        })
    }
}
