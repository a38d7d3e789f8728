//! The configuration as the rest of the host sees it: complete, checked, with absolute paths.

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
    /// Private (0700) and locked by the running host.
    pub data_dir: PathBuf,
    /// The file it came from, if any.
    pub file: Option<PathBuf>,
    /// What it said, with the new names of keys that it has by their old ones.
    pub text: String,
    /// Its keys with old names: a sentence each, with the line to write.
    pub notices: Vec<String>,
    /// What else was read for it: components, and secret files.
    pub files: BTreeSet<PathBuf>,
    pub web: Web,
    pub auth: Auth,
    pub chat: Chat,
    pub tunnels: BTreeMap<String, Tunnel>,
    /// Every plugin that is named in `[plugin.*]` or selected, the built-in ones among them.
    pub plugins: BTreeMap<String, Plugin>,
    /// Those that are named and that this machine does not give: only what they are for fails.
    pub broken: BTreeMap<String, Broken>,
    /// What else this machine does not give. The rest counts all the same.
    pub troubles: Vec<Trouble>,
    /// Environment variables that hold secrets of plugins and of `[notify]`; no child process gets them.
    pub secret_variables: Vec<String>,
    pub log: Log,
    /// None: off.
    pub metrics: Option<Metrics>,
    /// None: nobody is told anything.
    pub notify: Option<Notify>,
}

/// `Metrics` is where Prometheus finds metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Loopback, unless `insecure_listen = true`.
    pub listen: SocketAddr,
}

/// How an owner who is away hears of something. At least one of the two ways is there.
#[derive(Debug, Clone)]
pub struct Notify {
    /// An absolute path, and arguments.
    pub command: Option<Vec<String>>,
    /// An `https://` address, or `http://` on this machine. It may hold a token.
    pub webhook: Option<Secret>,
    pub events: BTreeSet<NoticeKind>,
}

/// `Web` is `[web]`: where the page listens.
#[derive(Debug, Clone)]
pub struct Web {
    /// Loopback, unless `insecure_listen = true`.
    pub listen: SocketAddr,
    /// Names besides `localhost` and loopback addresses that a request to `listen` may carry as Host.
    pub hosts: Vec<String>,
    /// As a browser sees it through a reverse proxy: scheme and authority.
    pub public_url: Option<String>,
}

/// `Auth` is `[auth]`: which plugin checks credentials, and how long a login lasts.
#[derive(Debug, Clone)]
pub struct Auth {
    pub plugin: String,
    pub lockout_failures: u32,
    pub lockout: Duration,
    pub session_idle: Duration,
    pub session_absolute: Duration,
}

/// `Chat` is `[chat.NAME]`.
#[derive(Debug, Clone)]
pub struct Chat {
    /// `main` in `[chat.main]`.
    pub name: String,
    pub plugin: String,
    /// Shown while the backend's program is missing; none: nothing is.
    pub fallback: Option<String>,
    /// The project directory. Absolute, exists.
    pub workspace: PathBuf,
}

/// `Tunnel` is `[tunnel.NAME]`.
#[derive(Debug, Clone)]
pub struct Tunnel {
    pub name: String,
    pub plugin: String,
    /// Opened at the start of the host (never before an account exists).
    pub autostart: bool,
    pub allow_plaintext: bool,
    /// The tunnel's own listener; port 0: any. Loopback.
    pub listen: SocketAddr,
    /// Host names that may arrive through it, besides that of its URL.
    pub hosts: Vec<String>,
    pub public_check: PublicCheckMode,
}

/// How the host checks a tunnel by its public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicCheckMode {
    /// By the address that the provider reports.
    On,
    /// The public name is found here: where this machine does not find it by itself.
    At(SocketAddr),
    /// Not at all.
    Off,
}

impl Tunnel {
    /// Whose processes those of this tunnel are: each tunnel has its own, also where two use one plugin.
    pub fn process_owner(&self) -> String {
        format!("{}.{}", self.plugin, self.name)
    }
}

/// `Plugin` is a plugin that the host may load, with all that it may do.
#[derive(Debug, Clone)]
pub struct Plugin {
    pub name: String,
    pub kind: plugin::Kind,
    pub source: Source,
    /// SHA-256 of the component in a file, from which the grants were settled, in hexadecimal: no other one is loaded.
    pub digest: Option<String>,
    pub component: ComponentInfo,
    /// Checked against the manifest's schema, defaults filled in, secrets left out. A JSON object.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Manifest ∩ what the operator granted.
    pub grants: Grants,
    pub limits: Limits,
}

/// What a component says of itself, as far as a person compares it with what it said before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentInfo {
    pub name: String,
    pub version: String,
    /// The range of nexus:plugin versions.
    pub api: String,
    /// `run node`, `send requests to https://api.example.org`: see [`crate::Permission`].
    pub permissions: BTreeSet<String>,
}

/// A plugin whose component, secret or workspace is not there or not fit. Not a mistake of the file, which may be right
/// again in a moment: a disk that is not mounted yet, a component that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// SHA-256 of the component as it was then, where it could be read: another one was not granted anything.
    pub digest: Option<String>,
    pub trouble: Trouble,
    /// The same with its place in the file, as `nexus config check` shows it.
    pub report: String,
}

/// `Source` is where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Ships inside the binary.
    Builtin,
    File(PathBuf),
}

/// `Grants` are what a plugin may do.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// By the binary's name in the manifest.
    pub processes: BTreeMap<String, ProcessGrant>,
    pub http: Vec<HttpGrant>,
    /// Bytes; 0: no store.
    pub store_quota: u64,
    /// By the secret's name in the manifest.
    pub secrets: BTreeMap<String, Secret>,
}

/// `ProcessGrant` allows one program.
#[derive(Debug, Clone)]
pub struct ProcessGrant {
    /// Absolute; none: looked for in `data_dir/tools`, on the PATH of the host, and where the system installs programs.
    pub path: Option<PathBuf>,
    /// May start with the operator's environment.
    pub inherit_env: bool,
    /// Where it is run: the workspace of the chat that uses the plugin.
    pub cwd: Option<PathBuf>,
}

/// `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    pub scheme: String,
    /// Lower case; a leading `*.` stands for any number of labels.
    pub host: String,
    /// None: the scheme's own.
    pub port: Option<u16>,
    /// Addresses that are not global (loopback, private) are refused unless this is set.
    pub private: bool,
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `new` hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `Limits` are what a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, over all memories of an instance.
    pub memory: u64,
    /// CPU between two returns to the host.
    pub cpu: Duration,
    /// CPU over time, in percent of one core.
    pub cpu_share: u32,
    /// Bytes a minute into its store.
    pub store_writes: u64,
    pub call: Duration,
    /// Concurrent calls of the plugin into the host that wait.
    pub streams: u32,
    pub processes: u32,
    /// Lines a second into the log.
    pub log_lines: u32,
}

/// `Log` is `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// As `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
    /// What goes to stderr is JSON; what goes to the file always is.
    pub json: bool,
    /// Beside stderr; none: stderr alone.
    pub file: Option<LogFile>,
}

/// `LogFile` is the file of the log, and how it is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute. Older files lie beside it: `nexus.log.1` is the newest of them.
    pub path: PathBuf,
    /// Bytes, from which on a new file is begun.
    pub max_size: u64,
    /// Together with the present one; at least 2.
    pub max_files: u32,
}
