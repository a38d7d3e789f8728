//! Child processes that belong to the host: named, adopted by the plugin's next instance, and never left behind.
//!
//! Who kills what, from the inside out:
//!
//! | dies | who ends the rest |
//! | --- | --- |
//! | the child | its [`keeper`], of which all its descendants are children or become ones (subreaper) |
//! | the host | every keeper: its socket to the host closes |
//! | the keeper | PDEATHSIG ends the child, the host (a subreaper too) adopts and ends the rest: `orphans` |
//! | host and keeper at once | PDEATHSIG, and the `guardian`, one per host: kills what carries the host's marker |
//!
//! Process groups were rejected: one `setsid` of an agent's tool leaves them. PID namespaces need privileges.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
mod guardian;
pub mod keeper;
#[cfg(target_os = "linux")]
mod lines;
#[cfg(target_os = "linux")]
mod orphans;
pub mod port;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod protocol;
pub mod references;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod stop;
#[cfg(target_os = "linux")]
mod streams;
#[cfg(target_os = "linux")]
mod supervise;
#[cfg(target_os = "linux")]
mod table;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod table;
#[cfg(target_os = "linux")]
mod tree;

pub use table::{Table, TableOptions};

/// The variable that every child carries, so that what belongs to a host can be found.
pub const MARKER: &str = "NEXUS_INSTANCE";

/// Orphans of this process's descendants become its own children instead of init's. Process-wide.
///
/// # Errors
/// As the operating system says; where it has nothing of the kind this does nothing.
pub fn become_subreaper() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}
