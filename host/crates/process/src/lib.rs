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
mod bounds;
#[cfg(target_os = "linux")]
mod child;
pub mod descent;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
mod guardian;
pub mod holder;
pub mod keeper;
#[cfg(target_os = "linux")]
mod lines;
#[cfg(target_os = "linux")]
mod orphans;
pub mod port;
#[cfg(target_os = "linux")]
mod ports;
#[cfg(target_os = "linux")]
mod present;
#[cfg(target_os = "linux")]
mod protocol;
pub mod references;
mod refusing;
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
#[cfg(target_os = "linux")]
mod tree;
#[cfg(target_os = "linux")]
mod usage;

pub use refusing::Refusing;

use nexus_model::time::Clock;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Clone)]
pub struct TableOptions {
    /// Private directories go below `run` in it.
    pub data_dir: PathBuf,
    /// Names this life of the host in the environment of all its children; unique, not secret, not empty.
    pub marker: String,
    /// A program that calls [`keeper::dispatch`] first: this one.
    pub keeper_exe: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// Names of the host's environment that no child inherits, besides `NEXUS_*` and `TUNNEL_*`.
    pub hidden_env: Vec<String>,
}

/// The table of this host's children.
///
/// # Errors
/// Its folder in the data directory cannot be made, or nothing guards it.
#[cfg(target_os = "linux")]
pub fn open(options: TableOptions) -> Result<Arc<dyn port::Processes>, port::ProcessError> {
    Ok(Arc::new(table::Table::new(options)?))
}

/// Refuses every child: nothing could promise that it ends with the host.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn open(_: TableOptions) -> Result<Arc<dyn port::Processes>, port::ProcessError> {
    let system = std::env::consts::OS;
    Ok(Arc::new(Refusing::new(format!(
        "child processes need Linux for now: on {system} nothing would end them with nexus"
    ))))
}

/// What this process uses. None: this system does not say.
pub fn own() -> Option<port::Own> {
    #[cfg(target_os = "linux")]
    return usage::own();
    #[cfg(not(target_os = "linux"))]
    None
}

/// The variable that every child carries, so that what belongs to a host can be found.
pub const MARKER: &str = "NEXUS_INSTANCE";

/// Prefixes of the variables that the host keeps to itself.
const OWN: [&str; 3] = ["NEXUS_", "TUNNEL_", "LISTEN_"];
/// What a service manager says to the host alone. A child that had them could speak to the manager in the host's name.
const OF_THE_SERVICE_MANAGER: [&str; 4] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
];

/// Whether an environment variable is for this process and none of its children.
pub fn is_our_own(variable: &str) -> bool {
    OWN.iter().any(|own| variable.starts_with(own)) || OF_THE_SERVICE_MANAGER.contains(&variable)
}

/// Keeps the memory and the environment of this process, with the secrets in them, from other programs of the same user:
/// `/proc/PID/environ`, `/proc/PID/mem` and debuggers. Programs that it starts are not concerned: an exec undoes it for
/// them, and those that hold no secret of the host (keepers start with an empty environment) need none of it. What may
/// act as root is not held by it.
pub fn hide_from_other_programs() {
    #[cfg(target_os = "linux")]
    // Where the system refuses it, everything else works.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Orphans of this process's descendants become its own children instead of init's. Process-wide.
///
/// # Errors
/// As the operating system says; where it has nothing of the kind this does nothing.
pub fn become_subreaper() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}
