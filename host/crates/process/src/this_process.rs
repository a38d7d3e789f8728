//! What the host asks of the kernel for itself.

use crate::types::OwnUsage;

/// `own` says what this process uses; `None` where the system does not tell.
pub fn own() -> Option<OwnUsage> {
    #[cfg(target_os = "linux")]
    return crate::usage::own();
    #[cfg(not(target_os = "linux"))]
    None
}

/// `hide_from_other_programs` keeps the memory and the environment of this process, with the secrets in them, from other
/// programs of the same user: `/proc/PID/environ`, `/proc/PID/mem` and debuggers. Programs that it starts are not concerned:
/// an exec undoes it for them, and those that hold no secret of the host (shims start with an empty environment) need none
/// of it. A program that may act as root is not stopped by it.
pub fn hide_from_other_programs() {
    #[cfg(target_os = "linux")]
    // Where the system refuses it, everything else works.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// `become_subreaper` makes orphans of this process's descendants its own children instead of init's. It holds for the whole
/// process.
///
/// # Errors
/// The operating system's. Where it has nothing of the kind, this does nothing.
pub fn become_subreaper() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}
