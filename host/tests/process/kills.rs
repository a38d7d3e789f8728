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
    let marker = std::env::var("NEXUS_TEST_MARKER").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let table = table(Path::new(&dir), &marker);
        let running = table.ensure(key("a"), stubborn(), refs()).await.unwrap();
        let grandchild = table.lines(&key("a")).unwrap().recv().await.unwrap().text;
        let keeper = stat(running.pid).unwrap().1;
        std::fs::write(
            Path::new(&dir).join("pids.new"),
            format!("{keeper} {} {grandchild}", running.pid),
        )
        .unwrap();
        std::fs::rename(Path::new(&dir).join("pids.new"), Path::new(&dir).join("pids")).unwrap();
        std::future::pending::<()>().await;
    });
}

struct Host {
    dir: TempDir,
    marker: String,
    process: std::process::Child,
    keeper: u32,
    child: u32,
    grandchild: u32,
}

async fn host() -> Host {
    let dir = TempDir::new().unwrap();
    let marker = nexus_model::time::random_token().unwrap();
    let process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "kills::a_host", "--nocapture"])
        .env("NEXUS_TEST_HOST", dir.path())
        .env("NEXUS_TEST_MARKER", &marker)
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
    let (keeper, child, grandchild) = (next(), next(), next());
    Host {
        dir,
        marker,
        process,
        keeper,
        child,
        grandchild,
    }
}

impl Host {
    fn guardian(&self) -> Option<u32> {
        std::fs::read_dir("/proc").unwrap().flatten().find_map(|e| {
            let pid = e.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let mut words = line.split(|b| *b == 0).skip(2);
            (words.next()? == b"--guardian" && words.next()? == self.marker.as_bytes()).then_some(pid)
        })
    }

    async fn nothing_is_left(mut self) {
        self.process.wait().unwrap();
        for pid in [self.child, self.grandchild, self.keeper] {
            until("none of the three lives", || !lives(pid)).await;
        }
        until("nothing has the marker", || marked(&self.marker).is_empty()).await;
        until("the guardian has gone too", || self.guardian().is_none()).await;
        drop(self.dir);
    }
}

#[tokio::test]
async fn kill_9_of_the_host_leaves_nothing() {
    let mut host = host().await;
    assert!(lives(host.grandchild) && host.guardian().is_some());
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_host_and_keeper_together_leaves_nothing() {
    let mut host = host().await;
    host.process.kill().unwrap();
    kill(host.keeper);
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_keeper_then_host_leaves_nothing() {
    let mut host = host().await;
    kill(host.keeper);
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}

#[tokio::test]
async fn kill_9_of_guardian_and_host_leaves_nothing() {
    let mut host = host().await;
    kill(host.guardian().unwrap());
    host.process.kill().unwrap();
    host.nothing_is_left().await;
}
