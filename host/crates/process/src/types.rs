//! What is asked of the table and what it answers: plain data.
//!
//! Whoever asks has checked already whether it may: the binary is an absolute path, and what a string refers to is
//! resolved through [`crate::References`].

use crate::time::Millis;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `EnvironmentBase` is what a child's environment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentBase {
    /// `Clean`: PATH, HOME and LANG alone.
    Clean,
    /// `Inherit`: all of the host's environment but what it hides.
    Inherit,
}

/// `OutputMode` is what becomes of a stream of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// `Log`: the last lines are kept; a slow reader loses the oldest.
    Log,
    /// `Pipe`: the bytes wait for their one reader, and the child with them.
    Pipe,
    /// `Discard`: nobody can read it.
    Discard,
}

/// `Signal` is one that a stop sequence may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `Terminate` is SIGTERM.
    Terminate,
    /// `Interrupt` is SIGINT.
    Interrupt,
    /// `HangUp` is SIGHUP.
    HangUp,
    /// `Kill` is SIGKILL.
    Kill,
}

/// `StopStep` is one step of a stop sequence. All steps together have the time [`crate::limits::PROCESS_STOP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopStep {
    /// `Http` is an HTTP request to a port of the child.
    Http {
        /// `method` is that of the request.
        method: String,
        /// `url` is `process://NAME:PORT/…` of this process, or of its port alone: `process://:PORT/…`.
        url: String,
        /// `headers` may refer to secrets, see [`crate::references`].
        headers: Vec<(String, String)>,
        /// `timeout` is how long the answer is waited for.
        timeout: Duration,
    },
    /// `Signal` goes to the child alone.
    Signal(Signal),
    /// `Wait` lasts until the child has exited, but at most this long.
    Wait(Duration),
}

/// `Spec` says what runs and how. Its strings still hold their references, see [`crate::references`]. A running process may
/// be adopted by whoever asks for it with an equal one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `binary` is the program, an absolute path.
    pub binary: PathBuf,
    /// `args` are its arguments, without the program's name. Every user of the machine can read them, so they hold no
    /// secrets.
    pub args: Vec<String>,
    /// `base` is what its environment begins with.
    pub base: EnvironmentBase,
    /// `env` are variables on top of that, as name and value.
    pub env: Vec<(String, String)>,
    /// `ports` names the loopback ports that the host picks and keeps for it.
    pub ports: Vec<String>,
    /// `files` are written into its private directory; each is a plain name and its content.
    pub files: Vec<(String, String)>,
    /// `cwd` is the working directory; `None` is the private directory.
    pub cwd: Option<PathBuf>,
    /// `stdin` says whether something can be written to its standard input.
    pub stdin: bool,
    /// `stdout` is what becomes of its standard output.
    pub stdout: OutputMode,
    /// `stderr` is what becomes of its standard error.
    pub stderr: OutputMode,
    /// `stop` is how it is stopped. Whatever is left then gets SIGTERM, and SIGKILL after
    /// [`crate::limits::PROCESS_GRACE`].
    pub stop: Vec<StopStep>,
    /// `unless` is what must not be there for it to be started or adopted.
    pub unless: Option<UnlessPresent>,
}

/// `UnlessPresent` says what must not be there. Paths are one or two plain names below the working directory, and, with
/// `above`, below each folder above it. A process that has no working directory but its private one is not concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnlessPresent {
    /// `folders` are those in which nothing may lie.
    pub folders: Vec<String>,
    /// `files` are JSON, with or without comments, that may not have one of `keys` anywhere. No parser is needed to be
    /// sure: a file with an escape `\u`, by which a key could be written another way, is one that has it.
    pub files: Vec<String>,
    /// `keys` are letters and `_`.
    pub keys: Vec<String>,
    /// `above`: also in all folders above.
    pub above: bool,
    /// `home` are first names that are allowed in the user's home folder where that lies above: the program reads them
    /// from there in any case, as the user's own.
    pub home: Vec<String>,
    /// `elsewhere` are other folders, absolute, in which it may not be either.
    pub elsewhere: Vec<PathBuf>,
    /// `or` is what else the owner can do than to remove the file: the end of the sentence "To fix: …, or ".
    pub or: String,
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
    /// `plugin` is the owner of the process.
    pub plugin: String,
    /// `name` is what the owner calls it.
    pub name: String,
}

/// `Running` is a process that was started or adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// `adopted` says that it ran already.
    pub adopted: bool,
    /// `pid` is the number of the child itself, not of its shim.
    pub pid: u32,
    /// `started_at` is when it was started.
    pub started_at: Millis,
    /// `ports` has the numbers of the ports that [`Spec::ports`] names.
    pub ports: BTreeMap<String, u16>,
}

/// `Exit` is how and when a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// `code` is its exit code, where it exited by itself.
    pub code: Option<i32>,
    /// `signal` is the number of the signal that ended it.
    pub signal: Option<i32>,
    /// `at` is when the host learned of it.
    pub at: Millis,
}

/// `Line` is one line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `stderr` says that the line came on standard error.
    pub stderr: bool,
    /// `text` has at most [`crate::limits::PROCESS_LINE_BYTES`] bytes; what is no UTF-8 is replaced.
    pub text: String,
    /// `dropped` is how many lines were lost before this one.
    pub dropped: u32,
}

/// `RunOutput` is what a process that ran to its end left, each stream up to [`crate::limits::PROCESS_RUN_OUTPUT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutput {
    /// `exit` is how it ended.
    pub exit: Exit,
    /// `stdout` is the beginning of its standard output.
    pub stdout: String,
    /// `stderr` is the beginning of its standard error.
    pub stderr: String,
}

/// `Info` is a process in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// `key` is its name.
    pub key: Key,
    /// `pid` is the number of the child itself.
    pub pid: u32,
    /// `started_at` is when it was started last.
    pub started_at: Millis,
    /// `exit` is how it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// `restarts` is how often it was started again under this name.
    pub restarts: u32,
}

/// `Usage` is what a process and all its descendants use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// `cpu` is CPU time, with that of the descendants that ended and were waited for.
    pub cpu: Duration,
    /// `resident` is memory in bytes; a page that several share is counted in each of them.
    pub resident: u64,
}

/// `OwnUsage` is what this process alone uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnUsage {
    /// `usage` is its CPU time and memory.
    pub usage: Usage,
    /// `open_files` is how many files, sockets and pipes it has open.
    pub open_files: u64,
    /// `started` is when it was started, in seconds since the Unix epoch.
    pub started: f64,
}
