//! How often the threads of a process wake, as the kernel counts it: each time that one has waited is one voluntary switch
//! of context.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Counts for a while: wakes a second, by the name of the thread. A thread that ends meanwhile is not counted.
///
/// # Panics
/// The process is gone.
pub fn rates(pid: u32, during: Duration) -> BTreeMap<String, f64> {
    let before = counts(pid);
    std::thread::sleep(during);
    let mut rates = BTreeMap::new();
    for (thread, (name, count)) in counts(pid) {
        let more = count - before.get(&thread).map_or(0, |(_, before)| *before);
        *rates.entry(name).or_default() += more as f64 / during.as_secs_f64();
    }
    rates
}

/// The sum of them.
pub fn sum(rates: &BTreeMap<String, f64>) -> f64 {
    rates.values().sum()
}

/// By thread: its name, and how often it has waited since its start.
fn counts(pid: u32) -> BTreeMap<String, (String, u64)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |status: &str, field: &str| -> Option<String> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    };
    threads
        .filter_map(|thread| {
            let thread = thread.ok()?;
            // One that ends now is gone.
            let status = fs::read_to_string(thread.path().join("status")).ok()?;
            let waits = of(&status, "voluntary_ctxt_switches")?.parse().unwrap();
            let id = thread.file_name().to_string_lossy().into_owned();
            Some((id, (of(&status, "Name")?, waits)))
        })
        .collect()
}
