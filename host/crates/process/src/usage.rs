//! What processes use, as `/proc` shows it: of each child with all its descendants, and of this host itself.

use crate::process_tree::{self, Entry};
use crate::types::{OwnUsage, Usage};
use std::collections::HashMap;
use std::time::Duration;

/// `Sample` is one line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    entry: Entry,
    /// `own` counts ticks of the process itself, in user mode and in the kernel.
    own: u64,
    /// `waited` counts ticks of those of its children that ended and that it waited for.
    waited: u64,
    resident_pages: u64,
}

impl Sample {
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let entry = process_tree::parse(pid, stat)?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            entry,
            own: number(11)? + number(12)?,
            waited: number(13)? + number(14)?,
            resident_pages: number(21)?,
        })
    }
}

fn stat(pid: i32) -> Option<Sample> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    Sample::parse(pid, &String::from_utf8_lossy(&text))
}

fn ticks(count: u64) -> Duration {
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / a_second)
}

fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// `of` has the usage of each of `children` (`None`: it has ended meanwhile), from one look at all processes.
pub(super) fn of(children: &[u32]) -> Vec<Option<Usage>> {
    if children.is_empty() {
        return Vec::new();
    }
    let all: HashMap<i32, Sample> = process_tree::snapshot()
        .into_iter()
        .filter_map(|entry| Some((entry.pid, stat(entry.pid)?)))
        .collect();
    children
        .iter()
        .map(|child| usage(*child, &all, &process_tree::is_shim))
        .collect()
}

/// `usage` is that of the shim's tree, because a descendant whose parent ended belongs to the shim. What the shim
/// itself uses is the host's affair; what it waited for is the child's.
fn usage(child: u32, all: &HashMap<i32, Sample>, is_shim: &dyn Fn(i32) -> bool) -> Option<Usage> {
    let child = all.get(&i32::try_from(child).ok()?)?;
    let entries: Vec<Entry> = all.values().map(|sample| sample.entry).collect();
    let shim = Some(child.entry.parent).filter(|parent| is_shim(*parent));
    let root = shim.unwrap_or(child.entry.pid);
    let mut members: Vec<&Sample> = process_tree::descendants([root], &entries)
        .iter()
        .filter_map(|entry| all.get(&entry.pid))
        .collect();
    let mut used = 0;
    match shim {
        Some(shim) => used += all.get(&shim).map_or(0, |shim| shim.waited),
        None => members.push(child),
    }
    let mut resident = 0;
    for member in members {
        used += member.own + member.waited;
        resident += member.resident_pages;
    }
    Some(Usage {
        cpu: ticks(used),
        resident: bytes(resident),
    })
}

pub(super) fn own() -> Option<OwnUsage> {
    let sample = stat(i32::try_from(std::process::id()).ok()?)?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
    Some(OwnUsage {
        usage: Usage {
            cpu: ticks(sample.own),
            resident: bytes(sample.resident_pages),
        },
        // The one that lists them is among them.
        open_files: (std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        started: boot as f64 + ticks(sample.entry.started).as_secs_f64(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn sample(pid: i32, parent: i32, own: u64, waited: u64, resident_pages: u64) -> (i32, Sample) {
        let stat = format!(
            "{pid} (a (b) c) S {parent} 0 0 0 -1 0 0 0 0 0 {own} 0 {waited} 0 20 0 1 0 99 4096 {resident_pages} 0"
        );
        (pid, Sample::parse(pid, &stat).unwrap())
    }

    #[test]
    fn all_below_the_shim_is_measured_and_the_shim_is_not() {
        let all = HashMap::from([
            sample(10, 1, 1_000, 40, 9_000), // the shim
            sample(11, 10, 100, 20, 5),      // the child
            sample(12, 11, 30, 0, 7),
            sample(13, 10, 10, 0, 1), // its parent has ended
            sample(20, 1, 500, 0, 100),
        ]);
        let found = usage(11, &all, &|pid| pid == 10).unwrap();
        assert_eq!(found.cpu, ticks(200));
        assert_eq!(found.resident, bytes(13));
        assert_eq!(usage(99, &all, &|_| false), None);
        // A child without a shim, as on its way out: its own tree.
        assert_eq!(usage(11, &all, &|_| false).unwrap().resident, bytes(12));
    }

    #[test]
    fn this_process_is_found() {
        let own = own().unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(own.usage.resident > 1 << 20 && own.open_files >= 3, "{own:?}");
        assert!((0.0..3600.0).contains(&(now.as_secs_f64() - own.started)), "{own:?}");
    }
}
