//! Hosts that are killed, with and without those who should clear up after them.

use crate::world::*;
use std::path::Path;
use tempfile::TempDir;

/// Not a test: the host that the tests below kill. It is this file, run again.
#[test]
#[ignore = "needs to be started by the tests below; does nothing alone"]
fn a_host() {
    let Ok(dir) = std::env::var("NEXUS_TEST_HOST") else {
        return;
    };
    let instance_id = std::env::var("NEXUS_TEST_INSTANCE").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let table = table(Path::new(&dir), &instance_id);
        let running = table.ensure(key("a"), stubborn(), refs()).await.unwrap();
        let grandchild = Lines(table.lines(&key("a")).unwrap()).next().await;
        let shim = stat(running.pid).unwrap().1;
        std::fs::write(
            Path::new(&dir).join("pids.new"),
            format!("{shim} {} {grandchild}", running.pid),
        )
        .unwrap();
        std::fs::rename(Path::new(&dir).join("pids.new"), Path::new(&dir).join("pids")).unwrap();
        std::future::pending::<()>().await;
    });
}

struct Host {
    dir: TempDir,
    instance_id: String,
    process: std::process::Child,
    shim: u32,
    child: u32,
    grandchild: u32,
}

async fn host() -> Host {
    let dir = TempDir::new().unwrap();
    let instance_id = random_id();
    let process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "kills::a_host", "--nocapture"])
        .env("NEXUS_TEST_HOST", dir.path())
        .env("NEXUS_TEST_INSTANCE", &instance_id)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut pids = String::new();
    until("the host has started its child", || {
        pids = std::fs::read_to_string(dir.path().join("pids")).unwrap_or_default();
        !pids.is_empty()
    })
    .await;
    let mut pids = pids.split(' ').map(|p| p.parse::<u32>().unwrap());
    let mut next = || pids.next().unwrap();
    let (shim, child, grandchild) = (next(), next(), next());
    Host {
        dir,
        instance_id,
        process,
        shim,
        child,
        grandchild,
    }
}

impl Host {
    fn reaper(&self) -> Option<u32> {
        std::fs::read_dir("/proc").unwrap().flatten().find_map(|e| {
            let pid = e.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let mut words = line.split(|b| *b == 0).skip(2);
            (words.next()? == b"--reaper" && words.next()? == self.instance_id.as_bytes()).then_some(pid)
        })
    }

    async fn nothing_is_left(mut self) {
        self.process.wait().unwrap();
        for pid in [self.child, self.grandchild, self.shim] {
            until("none of the three lives", || !lives(pid)).await;
        }
        until("nothing has the instance id", || {
            of_instance(&self.instance_id).is_empty()
        })
        .await;
        until("the reaper has gone too", || self.reaper().is_none()).await;
        drop(self.dir);
    }
}

#[tokio::test]
async fn kill_9_of_the_host_leaves_nothing() {
    let mut host = host().await;
    assert!(lives(host.grandchild) && host.reaper().is_some());
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_host_and_shim_together_leaves_nothing() {
    let mut host = host().await;
    host.process.kill().unwrap();
    kill(host.shim);
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_shim_then_host_leaves_nothing() {
    let mut host = host().await;
    kill(host.shim);
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_reaper_and_host_leaves_nothing() {
    let mut host = host().await;
    kill(host.reaper().unwrap());
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}
