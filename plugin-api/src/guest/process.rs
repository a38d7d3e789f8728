//! Child processes: a builder of what to run.

use super::caps::process as raw;
pub use super::caps::process::{
    EnvironmentBase, Exit, Header, HttpStep, Outcome, OutputMode, OutputStream, Running, Signal, StopStep,
    UnlessPresent,
};
use super::caps::types::Error;
use crate::error_text::{cause_and_fix, sentence};

/// `Command` says what to run. Without more it is a tool: a clean environment, its output kept as lines, stopped with
/// TERM.
#[derive(Debug, Clone, PartialEq)]
pub struct Command(pub raw::Spec);

impl Command {
    /// Makes a command of `binary`, a name of the manifest.
    pub fn new(binary: &str) -> Self {
        Self(raw::Spec {
            binary: binary.to_owned(),
            args: Vec::new(),
            base: EnvironmentBase::Clean,
            env: Vec::new(),
            ports: Vec::new(),
            files: Vec::new(),
            cwd: None,
            stdin: false,
            stdout: OutputMode::Log,
            stderr: OutputMode::Log,
            stop: vec![StopStep::Signal(Signal::Terminate), StopStep::Wait(5_000)],
            unless_present: None,
        })
    }

    /// Adds arguments. `{port:NAME}`, `{dir}` and `{file:NAME}` are filled in.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment, which the manifest has to name.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.env.push(raw::Variable {
            name: name.to_owned(),
            value: value.into(),
        });
        self
    }

    /// Starts with the operator's environment, which needs a grant.
    #[must_use]
    pub fn inherit(mut self) -> Self {
        self.0.base = EnvironmentBase::Inherit;
        self
    }

    /// Adds a loopback port that the host picks: `{port:NAME}` in the arguments, `process://PROCESS:NAME/` in requests.
    #[must_use]
    pub fn port(mut self, name: &str) -> Self {
        self.0.ports.push(name.to_owned());
        self
    }

    /// Adds a private file; `{file:NAME}` is its path.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<String>) -> Self {
        self.0.files.push(raw::PrivateFile {
            name: name.to_owned(),
            content: content.into(),
        });
        self
    }

    /// Sets the stop sequence; what is left after it gets TERM, then KILL.
    #[must_use]
    pub fn stop(mut self, steps: Vec<StopStep>) -> Self {
        self.0.stop = steps;
        self
    }

    /// Refuses to run where one of these is there: the host looks before each start, and answers with [`Error::Other`].
    #[must_use]
    pub fn unless_present(mut self, what: UnlessPresent) -> Self {
        self.0.unless_present = Some(what);
        self
    }

    /// Runs it to its end, as WIT `process.run`; `timeout` is in milliseconds.
    pub async fn run(self, timeout: u64) -> Result<raw::OutputOfRun, Error> {
        raw::run(self.0, timeout).await
    }

    /// Starts or adopts it under this name, as WIT `process.ensure`.
    pub async fn ensure(self, name: &str) -> Result<Running, Error> {
        raw::ensure(name.to_owned(), self.0).await
    }
}

/// `last_lines` are those of a process that has ended, for a failure's words.
pub async fn last_lines(name: &str, count: usize) -> Vec<String> {
    let Ok(mut lines) = raw::lines(name.to_owned()).await else {
        return Vec::new();
    };
    let mut last = std::collections::VecDeque::new();
    while let Some(line) = lines.next().await {
        if last.len() == count {
            last.pop_front();
        }
        last.push_back(line.text);
    }
    last.into()
}

/// `program_not_found` tells of a program that was not found, as `availability` says it, with both ways to get it: the host's own
/// text says where it was looked for and how to name another place. `install` is the fix that installs it.
pub fn program_not_found(not_found: &str, install: &str) -> String {
    match cause_and_fix(not_found) {
        (why, Some(place)) => sentence(why, Some(&format!("{install}. Or {place}"))),
        (why, None) => sentence(why, Some(install)),
    }
}

/// `describe_exit` is how it ended, in words: `exit code 1`, `signal 9`.
pub fn describe_exit(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}
