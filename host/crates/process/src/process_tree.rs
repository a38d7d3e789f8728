//! The processes of the machine as `/proc` shows them, and signals that cannot hit a stranger.

use crate::shim_arguments::{INSTANCE_VARIABLE, REAPER, SHIM};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) session: i32,
    pub(super) zombie: bool,
    /// Ticks since boot; with the pid it names one process for ever.
    pub(super) started: u64,
}

pub(super) fn snapshot() -> Vec<Entry> {
    let Ok(dir) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    dir.flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

pub(super) fn read(pid: i32) -> Option<Entry> {
    parse(
        pid,
        &String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/stat")).ok()?),
    )
}

/// Who started a process, as far as this one may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    Known(u32),
    /// It lives, and is another user's: `/proc` can be mounted so that it shows one's own processes only (`hidepid`, and
    /// `ProtectProc=invisible` of systemd).
    Hidden,
    Gone,
}

pub(super) fn parent(pid: u32) -> Parent {
    let Ok(number) = i32::try_from(pid) else {
        return Parent::Gone;
    };
    if let Some(parent) = read(number).and_then(|entry| u32::try_from(entry.parent).ok()) {
        return Parent::Known(parent);
    }
    // A signal that is not sent tells whether it is there: it may not be signalled, or it is not found.
    match Pid::from_raw(number).map(rustix::process::test_kill_process) {
        Some(Err(rustix::io::Errno::PERM)) => Parent::Hidden,
        _ => Parent::Gone,
    }
}

/// `PID (NAME) STATE PPID PGRP SESSION …`, and the name may hold spaces and parentheses.
pub(super) fn parse(pid: i32, stat: &str) -> Option<Entry> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(Entry {
        pid,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// All below `roots`, without the roots.
pub(super) fn descendants(roots: impl IntoIterator<Item = i32>, all: &[Entry]) -> Vec<Entry> {
    let mut known: HashSet<i32> = roots.into_iter().collect();
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for entry in all {
            if known.contains(&entry.parent) && known.insert(entry.pid) {
                found.push(*entry);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// A number may have been given to another process since the snapshot, but a pidfd that was opened while the start time
/// still fitted is that of the process we saw.
pub(super) fn signal(entry: Entry, signal: Signal) {
    let Some(pid) = Pid::from_raw(entry.pid) else { return };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if read(entry.pid).is_some_and(|now| now.started == entry.started) {
        let _ = pidfd_send_signal(&fd, signal);
    }
}

/// The value of the instance id in the process's environment, as it was at its start.
pub(super) fn instance_id(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|b| *b == 0).find_map(|entry| {
        Some(
            std::str::from_utf8(entry)
                .ok()?
                .strip_prefix(INSTANCE_VARIABLE)?
                .strip_prefix('=')?
                .to_owned(),
        )
    })
}

/// A shim or a reaper.
pub(super) fn is_shim(pid: i32) -> bool {
    argument(pid, 1).as_deref() == Some(SHIM.as_bytes())
}

pub(super) fn is_reaper(pid: i32) -> bool {
    is_shim(pid) && argument(pid, 2).as_deref() == Some(REAPER.as_bytes())
}

fn argument(pid: i32, number: usize) -> Option<Vec<u8>> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    line.split(|b| *b == 0).nth(number).map(<[u8]>::to_vec)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_confuse_the_fields() {
        let stat = "7 (a) S 1 (b) R) Z 3 7 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 99 0 0";
        let expected = Entry {
            pid: 7,
            parent: 3,
            session: 5,
            zombie: true,
            started: 99,
        };
        assert_eq!(parse(7, stat).unwrap(), expected);
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let entry = |pid, parent| Entry {
            pid,
            parent,
            session: 0,
            zombie: false,
            started: 0,
        };
        let all = [entry(4, 3), entry(9, 1), entry(3, 2), entry(2, 1), entry(5, 2)];
        let mut found: Vec<_> = descendants([2], &all).iter().map(|e| e.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 5]);
    }

    #[test]
    fn a_signal_for_an_earlier_owner_of_the_number_hits_nobody() {
        let me = read(i32::try_from(std::process::id()).unwrap()).unwrap();
        signal(
            Entry {
                started: me.started.wrapping_sub(1),
                ..me
            },
            Signal::KILL,
        );
    }
}
