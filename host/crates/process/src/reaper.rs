//! The reaper of last resort: `nexus __shim --reaper INSTANCE`, one for each host.
//!
//! # Problem
//!
//! `kill -9` of host and shim together leaves nobody above a grandchild that has called `setsid`: it becomes a child of init,
//! and runs on.
//!
//! # Mechanism
//!
//! The reaper waits on a socket that closes when the host is gone, however it went. It has a session of its own and is deaf to
//! the signals that are meant for the host. Then it leaves the shims that still live the time for their orderly work, and
//! kills what carries the host's instance id in its environment, with all descendants, until twice in a row none is there.
//! The host starts another one where it was killed ([`crate::table`]).
//!
//! # Limits
//!
//! A process that dropped the instance id from its environment *and* whose parent is gone is out of its sight. So is
//! everything where host, shims and reaper are killed at once.
//!
//! # Cost
//!
//! One more process that sleeps. It reads `/proc` of the whole machine only once the host is gone.
//!
//! # Rejected
//!
//! To look for the leftovers at the next start of the host: until then they run, hold their ports and spend money; and there
//! may be no next start.

use crate::limits::PROCESS_GRACE;
use crate::process_tree;
use crate::signals::BlockedSignals;
use rustix::process::Signal;
use std::collections::HashSet;
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// `SLACK` comes on top of what a shim gives its tree, before the shim itself counts as stuck.
const SLACK: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

pub(super) fn main(instance_id: &str) -> ExitCode {
    if instance_id.is_empty() {
        return ExitCode::from(2);
    }
    // Signals meant for the host (Ctrl-C) are not meant for us.
    let Ok(_blocked) = BlockedSignals::block(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]) else {
        return ExitCode::FAILURE;
    };
    let _ = rustix::process::setsid();
    wait_for_the_end_of_the_host();
    let stuck = Instant::now() + PROCESS_GRACE + SLACK;
    // Twice in a row: a process that forks while we look may be missed once.
    let mut empty = 0;
    while empty < 2 {
        empty = if kill_instance(instance_id, Instant::now() >= stuck) {
            0
        } else {
            empty + 1
        };
        std::thread::sleep(RETRY_INTERVAL);
    }
    ExitCode::SUCCESS
}

fn wait_for_the_end_of_the_host() {
    let mut buffer = [0; 64];
    loop {
        match std::io::stdin().read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Kills what carries the instance id, and tells whether anything was there.
fn kill_instance(instance_id: &str, shims_too: bool) -> bool {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let all = process_tree::snapshot();
    let of_instance: Vec<_> = all
        .iter()
        .filter(|e| e.pid != me && !e.zombie && process_tree::instance_id(e.pid).as_deref() == Some(instance_id))
        .copied()
        .collect();
    let mut spared: HashSet<i32> = HashSet::new();
    if !shims_too {
        spared.extend(
            of_instance
                .iter()
                .map(|e| e.pid)
                .filter(|pid| process_tree::is_shim(*pid)),
        );
        spared.extend(process_tree::descendants(spared.clone(), &all).iter().map(|e| e.pid));
    }
    let victims: Vec<_> = of_instance
        .iter()
        .filter(|e| !spared.contains(&e.pid))
        .copied()
        .collect();
    let below = process_tree::descendants(victims.iter().map(|e| e.pid), &all);
    for entry in victims.into_iter().chain(below.into_iter().filter(|e| e.pid != me)) {
        process_tree::signal(entry, Signal::KILL);
    }
    !of_instance.is_empty()
}
