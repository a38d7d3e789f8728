//! Whether a process was started by a Nexus that runs.
//!
//! Problem: what the agent runs is the same user as the operator. It can call `nexus user passwd`, or open the control
//! socket, and so confirm to itself what the page asks the owner for.
//!
//! Mechanism: one question for all of these, answered from what the kernel shows. A process counts as Nexus's own where it,
//! or any process above it, carries the [`INSTANCE_VARIABLE`] in the environment it was started with, is a shim, or is a host: this
//! one, the one that holds the lock of the data folder, or any other one that a reaper watches. So a shell that clears
//! its environment is known by its parents; one whose parents are gone (`setsid`, a double fork) is a child of its shim,
//! which is a subreaper; and one whose shim was killed is a child of the host, which is one too.
//!
//! Limits: this guides, it does not confine. Whoever is this user can have a program started by somebody else (the
//! operator's tmux, cron, `systemd-run --user`), end the host with all its shims and outlive them without the instance id, or
//! write the database instead of asking for anything. SECURITY.md says so.
//!
//! Not by a password of the operator's: a command that asks for one teaches to type it where the agent can read along.

use crate::shim_arguments::INSTANCE_VARIABLE;

/// `Hosts` are the hosts that run on a data folder, so that their children are known even where their shims are
/// gone.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<u32>);

impl Hosts {
    /// `this` has this process alone, for a host that is asked about somebody else.
    pub fn this() -> Self {
        Self(vec![std::process::id()])
    }

    /// `running` has all hosts that run now, that of `data_dir` among them. It looks at all processes, which takes
    /// milliseconds.
    #[cfg(target_os = "linux")]
    pub fn running(data_dir: &std::path::Path) -> Self {
        Self(linux::hosts(data_dir))
    }

    /// `running` has none: elsewhere no host is known.
    #[cfg(not(target_os = "linux"))]
    pub fn running(_: &std::path::Path) -> Self {
        Self::default()
    }
}

/// Tells whether the process `pid` is one of Nexus's own: then in a sentence that says by what it is known.
#[cfg(target_os = "linux")]
pub fn known(pid: u32, hosts: &Hosts) -> Option<String> {
    linux::known(pid, hosts)
}

/// Answers `None`: elsewhere the process tree is not asked.
#[cfg(not(target_os = "linux"))]
pub fn known(_: u32, _: &Hosts) -> Option<String> {
    None
}

/// Tells whether this process is one of Nexus's own, for a command that acts for the operator of `data_dir`.
pub fn of_this_process(data_dir: &std::path::Path) -> Option<String> {
    if std::env::var_os(INSTANCE_VARIABLE).is_some() {
        return Some(format!(
            "its environment has {INSTANCE_VARIABLE}, which only what Nexus starts has"
        ));
    }
    known(std::process::id(), &Hosts::running(data_dir))
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Hosts;
    use crate::process_tree::{self, Parent};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// `GENERATIONS` is the longest chain of parents that is followed: nobody honest has so many.
    const GENERATIONS: usize = 1_000;
    /// `TRIES` is how often the chain is followed again where a parent that ends while it is looked at leaves its child
    /// another one.
    const TRIES: usize = 3;

    /// `NexusMarker` is what a look at one process tells.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum NexusMarker {
        None,
        Instance,
        Shim,
        Host,
    }

    fn sign(pid: u32, hosts: &Hosts) -> NexusMarker {
        let number = i32::try_from(pid).unwrap_or_default();
        if hosts.0.contains(&pid) {
            NexusMarker::Host
        } else if process_tree::is_shim(number) {
            NexusMarker::Shim
        } else if process_tree::instance_id(number).is_some() {
            NexusMarker::Instance
        } else {
            NexusMarker::None
        }
    }

    pub(super) fn known(pid: u32, hosts: &Hosts) -> Option<String> {
        let mut found = None;
        for _ in 0..TRIES {
            found = descends(pid, |pid| sign(pid, hosts), process_tree::parent);
            if !matches!(found, Some(Found::Lost)) {
                break;
            }
        }
        Some(match found? {
            Found::Below(above, NexusMarker::Host) => {
                format!("process {pid} was started by the Nexus that runs as process {above}")
            }
            Found::Below(above, _) => {
                format!("process {pid} was started by a Nexus (it descends from process {above})")
            }
            Found::Lost => format!("cannot determine who started process {pid}"),
        })
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Found {
        Below(u32, NexusMarker),
        Lost,
    }

    pub(super) fn descends(
        pid: u32,
        sign: impl Fn(u32) -> NexusMarker,
        parent: impl Fn(u32) -> Parent,
    ) -> Option<Found> {
        let mut at = pid;
        for generation in 0..GENERATIONS {
            // A host is not below itself; but one that carries another's mark is.
            match sign(at) {
                NexusMarker::None => {}
                NexusMarker::Host if generation == 0 => {}
                sign => return Some(Found::Below(at, sign)),
            }
            match parent(at) {
                Parent::Known(0) => return None,
                // Of another user: the sudo, say, through which the operator came. What runs below us is this user's, unless
                // the agent has become root; then nothing here would hold it.
                Parent::Hidden => return None,
                Parent::Known(parent) => at = parent,
                Parent::Gone => return Some(Found::Lost),
            }
        }
        Some(Found::Lost)
    }

    /// `hosts` hold the lock of `data_dir`, or are above a reaper and hold any lock: a reaper that lost its host is a
    /// child of init, or of the user's service manager, for the moment until it ends.
    pub(super) fn hosts(data_dir: &Path) -> Vec<u32> {
        let locks = locks();
        let lock = std::fs::metadata(data_dir.join("lock")).map(|file| file.ino()).ok();
        let here = locks
            .iter()
            .filter(|(_, file)| Some(*file) == lock)
            .map(|(pid, _)| *pid);
        let all = process_tree::snapshot();
        let reapers = all.iter().filter(|entry| process_tree::is_reaper(entry.pid));
        let above = reapers
            .filter_map(|entry| u32::try_from(entry.parent).ok())
            .filter(|parent| locks.iter().any(|(pid, _)| pid == parent));
        let mut hosts: Vec<u32> = here.chain(above).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: the process, and the file's number. Not by the device, whose
    /// number some file systems tell differently.
    fn locks() -> Vec<(u32, u64)> {
        let text = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let lock = |line: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK").skip(3);
            let pid = words.next()?.parse().ok()?;
            Some((pid, words.next()?.rsplit(':').next()?.parse().ok()?))
        };
        text.lines().filter_map(lock).collect()
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::linux::{Found, NexusMarker, descends};
    use super::*;
    use crate::process_tree::{Parent, parent};

    #[test]
    fn a_child_of_this_process_is_its_own_and_its_parent_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(known(child.id(), &Hosts::this()).is_some());
        assert!(
            known(child.id(), &Hosts::default()).is_none(),
            "no host, no shim, no mark"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let Parent::Known(above) = parent(std::process::id()) else {
            panic!("no parent")
        };
        assert!(known(above, &Hosts::this()).is_none());
        assert!(known(std::process::id(), &Hosts::this()).is_none(), "the host itself");
        assert!(known(1, &Hosts::this()).is_none());
        assert!(
            known(child.id(), &Hosts::this()).is_some(),
            "one that is gone cannot be told from ours"
        );
    }

    #[test]
    fn the_mark_in_the_environment_tells_also_where_the_parents_are_gone() {
        let mut marked = std::process::Command::new("sleep")
            .arg("60")
            .env(INSTANCE_VARIABLE, "of another life")
            .spawn()
            .unwrap();
        // Between fork and exec it has the environment of this process.
        let begun = std::time::Instant::now();
        while known(marked.id(), &Hosts::default()).is_none() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(30));
            std::thread::yield_now();
        }
        marked.kill().unwrap();
        marked.wait().unwrap();
    }

    /// A shell whose environment was cleared, below one that carries the mark: `env -i sh -c 'nexus user add'`.
    #[test]
    fn a_cleared_environment_is_known_by_its_parent() {
        let script = "env -i sleep 60 & echo $!; wait";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", script])
            .env(INSTANCE_VARIABLE, "m")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut line).unwrap();
        let cleared: u32 = line.trim().parse().unwrap();
        assert!(known(cleared, &Hosts::default()).is_some());
        let stop = |pid: u32| {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        };
        stop(cleared);
        shell.wait().unwrap();
    }

    /// 10 is the host, 11 its shim, 12 the agent's command, 13 one with a mark of its own, 21 the operator's below the
    /// sudo 20, which is another user's.
    #[test]
    fn an_ancestor_that_proc_hides_is_another_users_and_so_not_below_us() {
        let parent = |pid| match pid {
            12 => Parent::Known(11),
            11 => Parent::Known(10),
            10 | 13 => Parent::Known(1),
            1 => Parent::Known(0),
            21 => Parent::Known(20),
            20 => Parent::Hidden,
            31 => Parent::Known(31),
            _ => Parent::Gone,
        };
        let sign = |pid| match pid {
            10 => NexusMarker::Host,
            11 => NexusMarker::Shim,
            13 => NexusMarker::Instance,
            _ => NexusMarker::None,
        };
        assert_eq!(descends(12, sign, parent), Some(Found::Below(11, NexusMarker::Shim)));
        assert_eq!(
            descends(13, sign, parent),
            Some(Found::Below(13, NexusMarker::Instance))
        );
        assert_eq!(descends(21, sign, parent), None);
        assert_eq!(descends(20, sign, parent), None, "root itself");
        assert_eq!(descends(10, sign, parent), None, "the host is not below itself");
        assert_eq!(descends(40, sign, parent), Some(Found::Lost), "gone");
        assert_eq!(descends(31, sign, parent), Some(Found::Lost), "no end to it");
        // In a container the host is the first process: an orphan is its child, what the operator runs in it is not.
        let first = |pid| if pid == 1 { NexusMarker::Host } else { NexusMarker::None };
        let contained = |pid| Parent::Known(u32::from(pid == 52));
        assert_eq!(descends(52, first, contained), Some(Found::Below(1, NexusMarker::Host)));
        assert_eq!(descends(53, first, contained), None);
    }
}
