//! By what the kernel shows the processes of a host: a variable that all of them carry, and the arguments of those that
//! the host itself needs.

/// `INSTANCE_VARIABLE` names the environment variable that every child carries. Its value is the id of the host's run.
pub const INSTANCE_VARIABLE: &str = "NEXUS_INSTANCE";

/// `SHIM` is the first argument of a shim and of a reaper.
pub(crate) const SHIM: &str = "__shim";

/// `CONTROL` is the second argument of a shim; the number of its socket follows.
#[cfg(target_os = "linux")]
pub(crate) const CONTROL: &str = "--control";

/// `REAPER` is the second argument of a reaper; the instance id follows.
#[cfg(target_os = "linux")]
pub(crate) const REAPER: &str = "--reaper";
