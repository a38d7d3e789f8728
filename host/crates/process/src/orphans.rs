//! What a killed shim left: its processes became children of the host (a subreaper), which ends and reaps them.

use crate::process_tree::{self, Entry};
use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Children that somebody in this process waits for: shims and reapers, of every table. Held over a spawn, so that
/// a look at the children never sees one that is not entered yet.
static KNOWN: LazyLock<Mutex<HashSet<i32>>> = LazyLock::new(Mutex::default);

fn known() -> MutexGuard<'static, HashSet<i32>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child of the host that is not an orphan.
pub(super) struct DirectChild {
    child: Child,
    pid: i32,
}

impl DirectChild {
    pub(super) fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let mut known = known();
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        known.insert(pid);
        Ok(Self { child, pid })
    }

    pub(super) fn streams(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(super) async fn wait(&mut self) {
        let _ = self.child.wait().await;
        known().remove(&self.pid);
    }

    pub(super) fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// Kills and reaps, until none is left, the orphans with this instance id or with none.
pub(super) async fn sweep(instance_id: &str) {
    let instance_id: Arc<str> = instance_id.into();
    loop {
        // Looking through all processes of the machine takes milliseconds.
        let again = tokio::task::spawn_blocking({
            let instance_id = Arc::clone(&instance_id);
            move || sweep_once(&instance_id)
        });
        // The host ends: so do its children.
        if !again.await.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn sweep_once(instance_id: &str) -> bool {
    // Held to the end: a shim that is forked meanwhile must not look like an orphan.
    let known = known();
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let all = process_tree::snapshot();
    let Some(own) = all.iter().find(|e| e.pid == me) else {
        return false;
    };
    // A shim starts a session of its own, so all below it are in foreign ones; what other code of the host started
    // plainly is in ours.
    let orphans: Vec<Entry> = all
        .iter()
        .filter(|e| e.parent == me && e.session != own.session && !known.contains(&e.pid))
        .filter(|e| process_tree::instance_id(e.pid).is_none_or(|m| m == instance_id))
        .copied()
        .collect();
    for entry in &orphans {
        if entry.zombie {
            if let Some(pid) = Pid::from_raw(entry.pid) {
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
            }
        } else {
            process_tree::signal(*entry, Signal::KILL);
        }
    }
    for entry in process_tree::descendants(orphans.iter().map(|e| e.pid), &all) {
        process_tree::signal(entry, Signal::KILL);
    }
    !orphans.is_empty()
}
