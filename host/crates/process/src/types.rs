//! What is asked of the table and what it answers: plain data.
//!
//! Whoever asks has checked already whether it may: the binary is an absolute path, and what a string refers to is
//! resolved through [`crate::References`].

use crate::time::Millis;
use nexus_plugin_api::process_ext::UnlessPresent;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `EnvironmentBase` is what a child's environment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentBase {
    /// PATH, HOME and LANG alone.
    Clean,
    /// All of the host's, but what it hides.
    Inherit,
}

/// `OutputMode` is what becomes of a stream of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Its last lines are kept; a slow reader loses the oldest.
    Log,
    /// Its bytes wait for their one reader, and the child with them.
    Pipe,
    /// Nobody can read it.
    Discard,
}

/// `Signal` is one that a stop sequence may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    HangUp,
    /// SIGKILL.
    Kill,
}

/// `StopStep` is one step of a stop sequence. All steps together have the time [`crate::limits::PROCESS_STOP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopStep {
    /// An HTTP request to a port of the child.
    ///
    /// `url` is `process://NAME:PORT/…` of this process, or of its port alone: `process://:PORT/…`.
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        timeout: Duration,
    },
    /// A signal to the child alone.
    Signal(Signal),
    /// Until the child has exited, this long at most.
    Wait(Duration),
}

/// `Spec` says what runs and how. Its strings still hold their references, see [`crate::references`]. A running process may
/// be adopted by whoever asks for it with an equal one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The program, an absolute path.
    pub binary: PathBuf,
    /// Its arguments, without the program's name. Every user of the machine can read them, so they hold no secrets.
    pub args: Vec<String>,
    /// What its environment begins with.
    pub base: EnvironmentBase,
    /// Variables on top of that, as name and value.
    pub env: Vec<(String, String)>,
    /// Names of loopback ports that the host picks and keeps for it.
    pub ports: Vec<String>,
    /// Files that are written into its private directory, as plain name and content.
    pub files: Vec<(String, String)>,
    /// The working directory; `None` is the private directory.
    pub cwd: Option<PathBuf>,
    /// Whether something can be written to its standard input.
    pub stdin: bool,
    /// What becomes of its standard output.
    pub stdout: OutputMode,
    /// What becomes of its standard error.
    pub stderr: OutputMode,
    /// How it is stopped. Whatever is left then gets SIGTERM, and SIGKILL after [`crate::limits::PROCESS_GRACE`].
    pub stop: Vec<StopStep>,
    /// What must not be there for it to be started or adopted.
    pub unless: Option<UnlessPresent>,
}

impl Spec {
    /// `new` runs `binary` with `args` in a clean environment and its private directory, with both streams kept as lines.
    pub fn new(binary: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            binary: binary.into(),
            args: args.into_iter().map(Into::into).collect(),
            base: EnvironmentBase::Clean,
            env: Vec::new(),
            ports: Vec::new(),
            files: Vec::new(),
            cwd: None,
            stdin: false,
            stdout: OutputMode::Log,
            stderr: OutputMode::Log,
            stop: Vec::new(),
            unless: None,
        }
    }
}

/// `Key` names a process: whose it is, and its name within that plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The owner of the process.
    pub plugin: String,
    /// The name that the owner gave it.
    pub name: String,
}

/// `Running` is a process that was started or adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Whether it ran already.
    pub adopted: bool,
    /// The number of the child itself, not of its shim.
    pub pid: u32,
    /// When it was started.
    pub started_at: Millis,
    /// The ports that [`Spec::ports`] names.
    pub ports: BTreeMap<String, u16>,
}

/// `Exit` is how and when a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, where it exited by itself.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// When the host learned of it.
    pub at: Millis,
}

/// `Line` is one line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whether it came on standard error.
    pub stderr: bool,
    /// At most [`crate::limits::PROCESS_LINE_BYTES`]; what is no UTF-8 is replaced.
    pub text: String,
    /// How many lines were lost before this one.
    pub dropped: u32,
}

/// `RunOutput` is what a process that ran to its end left, each stream up to [`crate::limits::PROCESS_RUN_OUTPUT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutput {
    /// How it ended.
    pub exit: Exit,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// `Info` is a process in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name.
    pub key: Key,
    /// The number of the child itself.
    pub pid: u32,
    /// When it was started last.
    pub started_at: Millis,
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// How often it was started again under this name.
    pub restarts: u32,
}

/// `Usage` is what a process and all its descendants use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, with that of the descendants that ended and were waited for.
    pub cpu: Duration,
    /// Bytes of memory; a page that several share is counted in each of them.
    pub resident: u64,
}

/// `OwnUsage` is what this process alone uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnUsage {
    /// Its CPU time and memory.
    pub usage: Usage,
    /// How many files, sockets and pipes it has open.
    pub open_files: u64,
    /// When it was started, in seconds since the Unix epoch.
    pub started: f64,
}
