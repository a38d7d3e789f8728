//! How many connections a listener may hold, by the files that this process may have open.
//!
//! Problem: each connection is a file of the process, and so are the database's, the children's pipes and the other
//! listeners' connections. A shell or a service manager allows 1,024 of them as a rule: strangers with half of that at each
//! of two tunnels keep the owner's own browser and `nexus status` out, though no listener has reached its own limit.
//!
//! Mechanism: the limit is raised at the start as far as the machine lets us, up to [`OPEN_FILES`]. The listeners that are
//! open share what is left beside [`FILES_KEPT`], evenly, and none has more than its own limit.
//!
//! Limits: a listener that was full before another one opened keeps what it has until somebody asks it for more. Children
//! inherit the raised limit; it is far below where programs that look at each of their files become slow.

use nexus_model::limits::{CONNECTIONS, FILES_KEPT, OPEN_FILES};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of this process, as the files are.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

/// Raises the limit. What is to be done where it stays too low: a sentence for the operator.
pub fn raise() -> Option<String> {
    let files = raised();
    let enough = FILES_KEPT + 2 * CONNECTIONS;
    (files < enough).then(|| {
        format!(
            "the limit of open files is {files}, but {enough} are recommended: the page and each tunnel accept fewer \
             connections at a time. To fix: run `ulimit -Hn {enough}` before the start, or set LimitNOFILE={enough} \
             in the unit"
        )
    })
}

#[cfg(unix)]
fn raised() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX).min(OPEN_FILES as u64);
    if now.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: now.maximum,
        };
        // Where it cannot be, the present one holds.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    files()
}

#[cfg(unix)]
fn files() -> usize {
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn raised() -> usize {
    files()
}

#[cfg(not(unix))]
fn files() -> usize {
    usize::MAX
}

/// While it lives a listener is open.
pub(crate) struct Listening(());

impl Listening {
    pub(crate) fn new() -> Self {
        LISTENERS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Of at most `most` connections, how many it may have now; at least one.
    pub(crate) fn share(&self, most: usize) -> usize {
        share(files(), LISTENERS.load(Ordering::Relaxed), most)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn share(files: usize, listeners: usize, most: usize) -> usize {
    (files.saturating_sub(FILES_KEPT) / listeners.max(1)).clamp(1, most.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listeners_together_leave_files_for_the_rest() {
        for files in [0, 300, 1_024, 4_096, 65_536] {
            for listeners in 1..20 {
                let each = share(files, listeners, CONNECTIONS);
                assert!((1..=CONNECTIONS).contains(&each));
                assert!(
                    each == 1 || each * listeners + FILES_KEPT <= files,
                    "{files} {listeners}: {each}"
                );
            }
        }
        assert_eq!(share(OPEN_FILES, 8, CONNECTIONS), CONNECTIONS);
        assert_eq!(share(usize::MAX, 1, 16), 16);
    }
}
