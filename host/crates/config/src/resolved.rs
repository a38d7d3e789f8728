//! The configuration as the rest of the host sees it: complete, checked, with absolute paths.

pub use crate::grants::Grants;
use crate::permission::Permission;
pub use crate::secret::Secret;
pub use crate::workspaces::Workspaces;
use nexus_model::notice::NoticeKind;
use nexus_model::plugin;
use nexus_model::trouble::Trouble;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `Config` is a whole configuration that was found good.
#[derive(Debug, Clone)]
pub struct Config {
    /// `data_dir` is private (0700) and locked by the running host.
    pub data_dir: PathBuf,
    /// `file` is the file it came from, if any.
    pub file: Option<PathBuf>,
    /// `text` is what the file said, with the new names of keys that it has by their old ones.
    pub text: String,
    /// `notices` tell of its keys with old names, and of those in the manifests of its plugins: a sentence each, with the
    /// line to write.
    pub notices: Vec<String>,
    /// `files` are what else was read for it: components, and secret files.
    pub files: BTreeSet<PathBuf>,
    /// `web` is where the page listens.
    pub web: Web,
    /// `auth` says how people log in.
    pub auth: Auth,
    /// `chat` says who answers prompts, and where the agent works.
    pub chat: Chat,
    /// `tunnels` are by name.
    pub tunnels: BTreeMap<String, Tunnel>,
    /// `plugins` are by name: every plugin that is named in `[plugin.*]` or selected, the built-in ones among them.
    pub plugins: BTreeMap<String, Plugin>,
    /// `broken` are those that are named and that this machine does not give: only what they are for fails.
    pub broken: BTreeMap<String, UnavailablePlugin>,
    /// `troubles` are what else this machine does not give. The rest takes effect all the same.
    pub troubles: Vec<Trouble>,
    /// `secret_variables` are the environment variables that hold secrets of plugins and of `[notify]`; no child
    /// process gets them.
    pub secret_variables: Vec<String>,
    /// `log` says what is logged, and where.
    pub log: Log,
    /// `metrics` is `None` where they are off.
    pub metrics: Option<Metrics>,
    /// `notify` is `None` where nobody is told anything.
    pub notify: Option<Notify>,
}

/// `Metrics` is where Prometheus finds metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// `listen` is loopback, unless `insecure_listen = true`.
    pub listen: SocketAddr,
}

/// `Notify` is how an owner who is away hears of something. At least one of the two ways is there.
#[derive(Debug, Clone)]
pub struct Notify {
    /// `command` is an absolute path, and arguments.
    pub command: Option<Vec<String>>,
    /// `webhook` is an `https://` address, or `http://` on this machine. It may hold a token.
    pub webhook: Option<Secret>,
    /// `events` are the kinds of notices that are wanted.
    pub events: BTreeSet<NoticeKind>,
}

/// `Web` is `[web]`: where the page listens.
#[derive(Debug, Clone)]
pub struct Web {
    /// `listen` is loopback, unless `insecure_listen = true`.
    pub listen: SocketAddr,
    /// `hosts` are the names besides `localhost` and loopback addresses that a request to `listen` may carry as Host.
    pub hosts: Vec<String>,
    /// `public_url` is the address as a browser sees it through a reverse proxy: scheme and authority.
    pub public_url: Option<String>,
}

/// `Auth` is `[auth]`: which plugin checks credentials, and how long a login lasts.
#[derive(Debug, Clone)]
pub struct Auth {
    /// `plugin` is the name of the login plugin.
    pub plugin: String,
    /// `lockout_failures` is the number of wrong credentials that lock an account, or a known device.
    pub lockout_failures: u32,
    /// `lockout` is how long that lasts.
    pub lockout: Duration,
    /// `session_idle` is how long a login lasts without use.
    pub session_idle: Duration,
    /// `session_absolute` is how long a login lasts, however much it is used.
    pub session_absolute: Duration,
}

/// `Chat` is `[chat.NAME]`.
#[derive(Debug, Clone)]
pub struct Chat {
    /// `name` is `main` in `[chat.main]`.
    pub name: String,
    /// `plugin` is the name of the chat plugin.
    pub plugin: String,
    /// `fallback` is the chat plugin that is used while the backend's program is missing; `None`: none is.
    pub fallback: Option<String>,
    /// `workspaces` are the project folders.
    pub workspaces: Workspaces,
    /// `unusable` reports each project folder in which no chat plugin can work, as `nexus config check` shows it; `None`: all can
    /// be used. No chat plugin starts before.
    pub unusable: Option<String>,
}

/// `Tunnel` is `[tunnel.NAME]`.
#[derive(Debug, Clone)]
pub struct Tunnel {
    /// `name` is `main` in `[tunnel.main]`.
    pub name: String,
    /// `plugin` is the name of the tunnel plugin.
    pub plugin: String,
    /// `autostart`: it is opened at the start of the host (never before an account exists).
    pub autostart: bool,
    /// `allow_plaintext`: it may be open without TLS on its public side.
    pub allow_plaintext: bool,
    /// `listen` is the tunnel's own listener, on loopback; port 0: any.
    pub listen: SocketAddr,
    /// `hosts` are the host names that may arrive through it, besides that of its URL.
    pub hosts: Vec<String>,
    /// `public_check` says how the host checks it by its public address.
    pub public_check: PublicCheckMode,
}

/// `PublicCheckMode` is how the host checks a tunnel by its public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicCheckMode {
    /// `On`: by the address that the provider reports.
    On,
    /// `At`: the public name is found here, because this machine does not find it by itself.
    At(SocketAddr),
    /// `Off`: not at all.
    Off,
}

impl Tunnel {
    /// `process_owner` owns the processes of this tunnel: each tunnel has its own, also where two use one plugin.
    pub fn process_owner(&self) -> String {
        format!("{}.{}", self.plugin, self.name)
    }
}

/// `Plugin` is a plugin that the host may load, with all that it may do.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// `name` is the `NAME` of `[plugin.NAME]`.
    pub name: String,
    /// `kind` is what it can serve.
    pub kind: plugin::Kind,
    /// `source` is where its component comes from.
    pub source: Source,
    /// `digest` is the SHA-256, in hexadecimal, of the component in a file, from which the grants were settled: no
    /// other one is loaded.
    pub digest: Option<String>,
    /// `component` is what its component says of itself.
    pub component: ComponentInfo,
    /// `config` is a JSON object: checked against the manifest's schema, defaults filled in, secrets left out.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `grants` are the manifest ∩ what the operator granted.
    pub grants: Grants,
    /// `missing` is what it asks for, is not granted and was not refused by the operator either.
    pub missing: Vec<Permission>,
    /// `limits` are what it may use.
    pub limits: Limits,
}

/// `ComponentInfo` is what a component says of itself, as far as a person compares it with what it said before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentInfo {
    /// `name` is the one in its manifest.
    pub name: String,
    /// `version` is that of its manifest.
    pub version: String,
    /// `api` is the range of nexus:plugin versions that it was written for.
    pub api: String,
    /// `permissions` are the permissions that it requests: `run node`, `send requests to https://api.example.org`; see
    /// [`crate::Permission`].
    pub permissions: BTreeSet<String>,
}

/// `UnavailablePlugin` is a plugin whose component, secret or workspace is not there or not usable. That is no mistake of the file,
/// which may be right again in a moment: a disk that is not mounted yet, a component that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnavailablePlugin {
    /// `digest` is the SHA-256 of the component as it was then, where it could be read: another one was not granted
    /// anything.
    pub digest: Option<String>,
    /// `trouble` is what is wrong, in a sentence, and what to do.
    pub trouble: Trouble,
    /// `report` is the same as `nexus config check` shows it, without the project folders: those are reported once for all, in
    /// [`Chat::unusable`]. `None`: nothing else is wrong.
    pub report: Option<String>,
}

/// `Source` is where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `Builtin`: it is inside the binary.
    Builtin,
    /// `File`: it is in this file; the path is absolute.
    File(PathBuf),
}

/// `Limits` are what a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `memory` is in bytes, over all memories of an instance.
    pub memory: u64,
    /// `cpu` is the CPU time between two returns to the host.
    pub cpu: Duration,
    /// `cpu_share` is the CPU over time, in percent of one core.
    pub cpu_share: u32,
    /// `call` is how long one call may take.
    pub call: Duration,
    /// `streams` is how many of the plugin's calls into the host may wait at once.
    pub streams: u32,
    /// `processes` is how many processes it may run at once.
    pub processes: u32,
    /// `log_lines` is in lines a second.
    pub log_lines: u32,
}

/// `Log` is `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `filter` is as [`crate::log_targets`] reads it.
    pub filter: String,
    /// `json`: what goes to stderr is JSON; what goes to the file always is.
    pub json: bool,
    /// `file` is used beside stderr; `None`: stderr alone.
    pub file: Option<LogFile>,
}

/// `LogFile` is the file of the log, and how it is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// `path` is absolute. Older files lie beside it: `nexus.log.1` is the newest of them.
    pub path: PathBuf,
    /// `max_size` is the size in bytes from which on a new file is begun.
    pub max_size: u64,
    /// `max_files` is their number together with the present one; at least 2.
    pub max_files: u32,
}
