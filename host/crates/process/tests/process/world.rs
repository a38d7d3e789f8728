//! A table in a directory of its own, and a look at the machine's processes.

use nexus_process::{Key, Line, Processes, References, Spec, TableOptions};
use nexus_testkit::wait;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Given;

impl References for Given {
    fn secret(&self, name: &str) -> Result<String, String> {
        Ok(format!("secret-{name}"))
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        Ok(format!("generated-{name}"))
    }
}

pub(crate) struct World {
    pub(crate) table: Arc<dyn Processes>,
    pub(crate) dir: TempDir,
    pub(crate) instance_id: String,
}

pub(crate) fn table(dir: &Path, instance_id: &str) -> Arc<dyn Processes> {
    nexus_process::open(TableOptions {
        data_dir: dir.to_owned(),
        instance_id: instance_id.to_owned(),
        shim_exe: PathBuf::from(env!("CARGO_BIN_EXE_nexus-shim")),
        hidden_env: vec!["HIDDEN".into()],
    })
    .unwrap()
}

pub(crate) fn random_id() -> String {
    format!("{:x}", getrandom::u64().unwrap())
}

pub(crate) fn world() -> World {
    let dir = TempDir::new().unwrap();
    let instance_id = random_id();
    World {
        table: table(dir.path(), &instance_id),
        dir,
        instance_id,
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key {
        plugin: "plug".into(),
        name: name.into(),
    }
}

pub(crate) fn sh(script: &str) -> Spec {
    Spec::new("/bin/sh", ["-c", script])
}

/// Not `{{` for every brace of a script: the shell's `${…}` is written `$X` here.
pub(crate) fn refs() -> Arc<dyn References> {
    Arc::new(Given)
}

impl World {
    pub(crate) async fn start(&self, name: &str, spec: Spec) -> u32 {
        self.table.ensure(key(name), spec, refs()).await.unwrap().pid
    }
    pub(crate) fn lines(&self, name: &str) -> Lines {
        Lines(self.table.lines(&key(name)).unwrap())
    }
    pub(crate) async fn line(&self, name: &str) -> String {
        self.lines(name).next().await
    }
}

/// The lines of a process, from its start on.
pub(crate) struct Lines(pub(crate) mpsc::Receiver<Line>);

impl Lines {
    pub(crate) async fn next(&mut self) -> String {
        self.line().await.expect("the process has ended").text
    }
    /// None: the process has ended.
    pub(crate) async fn line(&mut self) -> Option<Line> {
        wait::within("the next line of the process", self.0.recv()).await
    }
}

pub(crate) fn of_instance(instance_id: &str) -> Vec<u32> {
    let wanted = format!("NEXUS_INSTANCE={instance_id}");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes()))
        })
        .collect()
}

pub(crate) fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

pub(crate) fn lives(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// Polls a condition of the outer world, which has no event to wait on.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait::until_async(what, async || holds()).await;
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Starts a tree whose grandchild left the session, ignores SIGTERM, and lost its parent.
pub(crate) fn stubborn() -> Spec {
    sh("(setsid sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 1000; done' &); exec sleep 1000")
}
