//! Processes as the kernel knows them: who descends from whom, and who carries which mark.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The variable that every child of a Nexus carries.
pub const INSTANCE_VARIABLE: &str = "NEXUS_INSTANCE";

/// Every process id there is.
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("these tests need Linux's /proc");
    entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// (state, parent). None: it is gone.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Runs: a zombie does not.
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// The arguments, joined by blanks.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

fn environment(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// Resident memory of a process, without its children, in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// How many sockets a process has open.
pub fn sockets(pid: u32) -> usize {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let leads_to = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    leads_to
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}

/// CPU time that a process has used, without its children; the kernel counts in hundredths of a second.
pub fn cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime are the 14th and 15th; the first one here is the 3rd.
    let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Every living descendant.
pub fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<_> = all().into_iter().filter_map(|pid| Some((pid, stat(pid)?.1))).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.into_iter().skip(1).filter(|pid| alive(*pid)).collect()
}

/// The marks that the descendants of `root` carry now.
pub fn marks(root: u32) -> BTreeSet<String> {
    let prefix = format!("{INSTANCE_VARIABLE}=").into_bytes();
    descendants(root)
        .into_iter()
        .flat_map(|pid| {
            let environment = environment(pid);
            let marks = environment
                .split(|b| *b == 0)
                .filter_map(|v| v.strip_prefix(prefix.as_slice()));
            marks
                .map(|m| String::from_utf8_lossy(m).into_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Living processes with one of the marks, or with `folder` in their environment: this test's own children.
pub fn marked(marks: &BTreeSet<String>, folder: &Path) -> Vec<u32> {
    let me = std::process::id();
    let folder = folder.as_os_str().as_encoded_bytes();
    all()
        .into_iter()
        .filter(|pid| *pid != me && alive(*pid))
        .filter(|pid| {
            let environment = environment(*pid);
            environment.split(|b| *b == 0).any(|variable| {
                let marked = variable
                    .strip_prefix(format!("{INSTANCE_VARIABLE}=").as_bytes())
                    .is_some_and(|m| marks.contains(String::from_utf8_lossy(m).as_ref()));
                marked || variable.windows(folder.len()).any(|w| w == folder)
            })
        })
        .collect()
}

/// Sends a signal (`libc::SIGKILL`, …). False: there is no such process.
#[allow(unsafe_code)]
pub fn signal(pid: u32, signal: i32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    // SAFETY: kill has no memory effects; a positive pid names one process.
    pid > 0 && unsafe { libc::kill(pid, signal) } == 0
}
