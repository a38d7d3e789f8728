//! What the capabilities see of the process table. WIT `process` is the contract; here the gate has been passed
//! already: binaries are absolute paths, references are resolved through [`References`].

use futures::future::BoxFuture;
use nexus_model::time::Millis;
use nexus_plugin_api::process_ext::UnlessPresent;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentBase {
    Clean,
    Inherit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    Log,
    Pipe,
    Discard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Terminate,
    Interrupt,
    HangUp,
    Kill,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopStep {
    /// `url` is `process://NAME:PORT/…` of this process, or of its port alone: `process://:PORT/…`.
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        timeout: Duration,
    },
    Signal(Signal),
    Wait(Duration),
}

/// As WIT `process.spec`; strings still hold their `{references}`. Two specs are equal when a running process
/// may be adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Absolute.
    pub binary: PathBuf,
    pub args: Vec<String>,
    pub base: EnvironmentBase,
    pub env: Vec<(String, String)>,
    pub ports: Vec<String>,
    /// (plain file name, content)
    pub files: Vec<(String, String)>,
    /// None: the private directory.
    pub cwd: Option<PathBuf>,
    pub stdin: bool,
    pub stdout: OutputMode,
    pub stderr: OutputMode,
    pub stop: Vec<StopStep>,
    pub unless: Option<UnlessPresent>,
}

/// What `{secret:…}` and `{generated:…}` stand for, for one plugin. `Err` is the sentence for the operator.
pub trait References: Send + Sync + 'static {
    fn secret(&self, name: &str) -> Result<String, String>;
    fn generated(&self, name: &str) -> Result<String, String>;
}

/// Whose process it is, and its name within the plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub plugin: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub adopted: bool,
    pub pid: u32,
    pub started_at: Millis,
    pub ports: BTreeMap<String, u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub stderr: bool,
    pub text: String,
    /// Lost before this one.
    pub dropped: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutput {
    pub exit: Exit,
    pub stdout: String,
    pub stderr: String,
}

/// A sentence for the operator each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Timeout(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Denied(String),
    /// See [`Spec::unless`].
    #[error("{0}")]
    Present(String),
}

/// For the status page and the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub key: Key,
    pub pid: u32,
    pub started_at: Millis,
    pub exit: Option<Exit>,
    pub restarts: u32,
}

/// Of a process and all that descends from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Those that ended and were waited for included.
    pub cpu: Duration,
    /// Bytes; pages that are shared count in each of them.
    pub resident: u64,
}

/// This process alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Own {
    pub usage: Usage,
    pub open_files: u64,
    /// Seconds since the Unix epoch.
    pub started: f64,
}

/// The table of processes.
pub trait Processes: Send + Sync + 'static {
    /// Runs to the end; killed with all its descendants after `timeout`.
    fn run(
        &self,
        plugin: &str,
        spec: Spec,
        refs: Arc<dyn References>,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>>;
    /// As [`Self::run`], with `input` on its standard input, which then ends.
    fn feed(
        &self,
        _plugin: &str,
        _spec: Spec,
        _refs: Arc<dyn References>,
        _timeout: Duration,
        _input: Vec<u8>,
    ) -> BoxFuture<'_, Result<RunOutput, ProcessError>> {
        let refused = ProcessError::Unavailable("no program can be run here".to_owned());
        Box::pin(std::future::ready(Err(refused)))
    }
    fn ensure(&self, key: Key, spec: Spec, refs: Arc<dyn References>) -> BoxFuture<'_, Result<Running, ProcessError>>;
    fn exited(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>>;
    /// Kept lines from the start of the process, then new ones; closed after its last line.
    fn lines(&self, key: &Key) -> Result<mpsc::Receiver<Line>, ProcessError>;
    /// Raw bytes of a stream in mode `Pipe`, in chunks, held back while nobody reads. One reader at a time.
    fn output(&self, key: &Key, stderr: bool) -> Result<mpsc::Receiver<bytes::Bytes>, ProcessError>;
    fn write(&self, key: Key, data: Vec<u8>) -> BoxFuture<'_, Result<(), ProcessError>>;
    fn stop(&self, key: Key) -> BoxFuture<'_, Result<Exit, ProcessError>>;
    /// The loopback port that the host keeps for a running process.
    fn port(&self, key: &Key, port: &str) -> Option<u16>;
    /// Stops every process, of one plugin or of all, each by its own sequence, at the same time.
    fn stop_all(&self, plugin: Option<&str>) -> BoxFuture<'_, ()>;
    fn list(&self) -> Vec<Info>;
    /// Those that run, with what they use as far as that is known here. Looks at all processes of the machine: milliseconds.
    fn usage(&self) -> Vec<(Info, Option<Usage>)> {
        let running = self.list().into_iter().filter(|info| info.exit.is_none());
        running.map(|info| (info, None)).collect()
    }
}
