//! The real binary, started as a person starts it, in a world of its own.

pub use crate::binary::binary;
use crate::{compiled, processes, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Until nothing of an ended Nexus is left.
const GONE: Duration = Duration::from_secs(30);

/// How to start one. The folder is a new temporary one unless it is taken over from a Nexus before.
#[derive(Debug, Clone)]
pub struct Start {
    program: Option<PathBuf>,
    config: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    cwd: Option<PathBuf>,
    cold: bool,
    data: &'static str,
    folder: Arc<tempfile::TempDir>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            program: None,
            config: String::new(),
            env: Vec::new(),
            args: Vec::new(),
            cwd: None,
            cold: false,
            data: "data",
            folder: Arc::new(tempfile::Builder::new().prefix("nexus-test-").tempdir().unwrap()),
        }
    }
}

impl Start {
    pub fn new() -> Self {
        Self::default()
    }
    /// Another program than the binary under test: one to compare with, or one that becomes Nexus.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }
    /// What follows `config_version = 1` in its file.
    #[must_use]
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = toml.into();
        self
    }
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
    #[must_use]
    pub fn envs(mut self, all: &[(String, String)]) -> Self {
        self.env.extend_from_slice(all);
        self
    }
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }
    /// The current directory, and so the workspace where the configuration names none.
    #[must_use]
    pub fn cwd(mut self, dir: &Path) -> Self {
        self.cwd = Some(dir.to_owned());
        self
    }
    /// Without the compiled code that the tests share: as on a machine that never ran this Nexus.
    #[must_use]
    pub fn cold(mut self) -> Self {
        self.cold = true;
        self
    }
    /// Another name of the data folder than `data`.
    #[must_use]
    pub fn data(mut self, name: &'static str) -> Self {
        self.data = name;
        self
    }
    /// The temporary folder: `nexus.toml` and `data` lie in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, before: &[&str], after: &[&str]) -> Command {
        let file = self.folder().join("nexus.toml");
        let text = format!("config_version = 1\n{}", self.config);
        // A Nexus that runs reads it at any time: never a part of it.
        if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            let written = self.folder().join("nexus.toml.new");
            fs::write(&written, text).unwrap();
            fs::rename(written, &file).unwrap();
        }
        let home = self.folder().join("nexus-home");
        let work = self.cwd.clone().unwrap_or_else(|| self.folder().join("work"));
        for dir in [&home, &work] {
            fs::create_dir_all(dir).unwrap();
        }
        let mut command = Command::new(self.program.clone().unwrap_or_else(binary));
        command
            .args(before)
            .arg("--config")
            .arg(&file)
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(after);
        command.current_dir(work).env("HOME", &home);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(n, v)| (n, v))).stdin(Stdio::null());
        command
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder().join(self.data)
    }

    /// Runs another subcommand on the same configuration and data, to its end, with `input` on stdin: `--config` and
    /// `--data-dir` stand between `before` and `after`, as in `nexus user --config … list`.
    pub fn run(&self, before: &[&str], after: &[&str], input: &str) -> std::process::Output {
        use std::io::Write as _;
        let mut command = self.command(before, after);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The fields of the audit's lines, once `done` says that all are there: a thread of its own writes them, so that no
    /// login waits for a disk.
    pub fn audit(&self, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let read = || -> Vec<Value> {
            let output = self.run(&["logs"], &["--audit", "--json", "-n", "all"], "");
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"].clone())
                .collect()
        };
        wait::seen("the audit has what happened", read, |lines| done(lines))
    }

    /// Starts it and does not wait.
    pub fn spawn(&self) -> Nexus {
        let mut command = self.command(&["up"], &[]);
        if !self.cold {
            compiled::lend(&self.data_dir());
        }
        if !self.args.iter().any(|a| a == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&self.args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Output::default();
        output.follow(child.stdout.take().unwrap(), true);
        output.follow(child.stderr.take().unwrap(), false);
        let folder = Arc::clone(&self.folder);
        Nexus {
            child,
            output,
            folder,
            url: String::new(),
            cold: self.cold,
            marks: BTreeSet::new(),
            checked: false,
        }
    }

    /// Starts it and waits until it listens.
    pub fn up(&self) -> Nexus {
        let mut nexus = self.spawn();
        let end = Instant::now() + wait::LONG;
        loop {
            // Looked at before the lines: what ended has written its last one.
            let exit = nexus.child.try_wait().unwrap();
            let line = nexus.output.wait(Duration::from_millis(100), |line| {
                line.strip_prefix("nexus listening on ").map(str::to_owned)
            });
            if let Some(url) = line {
                nexus.url = url.trim().to_owned();
                return nexus;
            }
            if let Some(exit) = exit {
                panic!("it ended before it listened ({exit}).\n{}", nexus.output());
            }
            assert!(Instant::now() < end, "no readiness line.\n{}", nexus.output());
        }
    }

    /// Starts it where it must refuse to run: (exit code, all it wrote).
    pub fn refused(&self) -> (Option<i32>, String) {
        let mut nexus = self.spawn();
        // Another Nexus may run on the same folder; its processes are not this one's.
        nexus.checked = true;
        let exit = nexus.wait(wait::LONG);
        let exit = exit.unwrap_or_else(|| panic!("it runs, and should not.\n{}", nexus.output()));
        nexus.output.ended();
        (exit.code(), nexus.output())
    }
}

/// Lines of both streams as they come.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// (on stdout, the line)
    all: Mutex<Vec<(bool, String)>>,
    /// Streams that may still bring lines.
    open: AtomicUsize,
    more: Condvar,
}

impl Output {
    fn follow(&self, stream: impl Read + Send + 'static, stdout: bool) {
        let shared = self.clone();
        shared.0.open.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                shared.0.all.lock().unwrap().push((stdout, line));
                shared.0.more.notify_all();
            }
            let _lines = shared.0.all.lock().unwrap();
            shared.0.open.fetch_sub(1, Ordering::SeqCst);
            shared.0.more.notify_all();
        });
    }

    /// Waits until both streams are read to their ends.
    fn ended(&self) {
        let lines = self.0.all.lock().unwrap();
        let over = |_: &mut Vec<_>| self.0.open.load(Ordering::SeqCst) > 0;
        drop(self.0.more.wait_timeout_while(lines, GONE, over).unwrap());
    }

    /// The first line that `find` takes.
    fn wait<T>(&self, limit: Duration, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut lines = self.0.all.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().find_map(|(_, line)| find(line)) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = self.0.more.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// A running Nexus. When it is dropped it is killed hard, and the test fails if anything it started survives.
#[derive(Debug)]
pub struct Nexus {
    child: Child,
    output: Output,
    folder: Arc<tempfile::TempDir>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    cold: bool,
    marks: BTreeSet<String>,
    checked: bool,
}

impl Nexus {
    /// The temporary folder that it was started on.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote so far, for a message.
    pub fn output(&self) -> String {
        self.output
            .0
            .all
            .lock()
            .unwrap()
            .iter()
            .map(|(out, l)| format!("{} {l}\n", if *out { "out" } else { "err" }))
            .collect()
    }

    /// Its lines on stdout.
    pub fn stdout(&self) -> Vec<String> {
        self.output
            .0
            .all
            .lock()
            .unwrap()
            .iter()
            .filter(|(out, _)| *out)
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// The first line that `find` takes, once it is written.
    ///
    /// # Panics
    /// It is not written in time.
    pub fn line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.output.wait(wait::LONG, find);
        found.unwrap_or_else(|| panic!("this has not come in time: {what}.\n{}", self.output()))
    }

    /// The token of the set-up link.
    pub fn setup_token(&self) -> String {
        self.line("the set-up link", |line| {
            let (_, token) = line.split_once("/setup#")?;
            Some(
                token
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
                    .collect::<String>(),
            )
        })
    }

    /// Its descendants now; remembers their marks, so that they are found after its end.
    pub fn descendants(&mut self) -> Vec<u32> {
        self.marks.extend(processes::marks(self.pid()));
        processes::descendants(self.pid())
    }

    /// The descendant whose command line holds `text`.
    pub fn find_process(&mut self, text: &str) -> Option<u32> {
        self.descendants()
            .into_iter()
            .find(|pid| processes::command_line(*pid).contains(text))
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.descendants();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then its exit. None: it did not end within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.descendants();
        processes::signal(self.pid(), libc::SIGTERM);
        self.wait(limit)
    }

    /// Its exit. None: it runs on after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut exit = None;
        wait::happens(limit, || {
            exit = self.child.try_wait().unwrap();
            exit.is_some()
        });
        exit
    }

    /// What survives the end of this Nexus: (pid, command line). Waits until nothing does.
    pub fn survivors(&mut self) -> Vec<(u32, String)> {
        self.checked = true;
        let look = || processes::marked(&self.marks, self.folder.path());
        if wait::happens(GONE, || look().is_empty()) {
            return Vec::new();
        }
        look()
            .into_iter()
            .map(|pid| (pid, processes::command_line(pid)))
            .collect()
    }
}

impl Drop for Nexus {
    fn drop(&mut self) {
        self.kill();
        if !self.cold {
            compiled::keep(&self.folder.path().join("data"));
        }
        if self.checked {
            return;
        }
        let left = self.survivors();
        for (pid, _) in &left {
            processes::signal(*pid, libc::SIGKILL);
        }
        if std::thread::panicking() {
            eprintln!("--- what nexus wrote\n{}", self.output());
            return;
        }
        assert!(left.is_empty(), "survived their Nexus: {left:?}\n{}", self.output());
    }
}
