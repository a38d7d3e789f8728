//! The table of this system.

use crate::error::ProcessError;
use crate::options::TableOptions;
use crate::processes::Processes;
use std::sync::Arc;

/// `open` makes the table of this host's children. It removes the private directories that an earlier run of the host left,
/// so the caller must hold a lock of the data folder; and it makes this process a subreaper. Nothing is started yet.
///
/// # Errors
/// `Unavailable`: the directory cannot be used, or this process cannot adopt orphans. `Invalid`: the instance id is empty.
#[cfg(target_os = "linux")]
pub fn open(options: TableOptions) -> Result<Arc<dyn Processes>, ProcessError> {
    Ok(Arc::new(crate::table::Table::new(options)?))
}

/// `open` answers with a table that refuses every child: nothing could promise that it ends with the host.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn open(_: TableOptions) -> Result<Arc<dyn Processes>, ProcessError> {
    let system = std::env::consts::OS;
    Ok(Arc::new(crate::no_processes::Refusing::new(format!(
        "child processes are only supported on Linux for now: on {system} they would outlive nexus"
    ))))
}
