//! What a table of processes needs to know of its host.

use std::path::PathBuf;

/// `TableOptions` are the host's part of every start.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// The private directories of the children are made below `run` in it. Only one table may use it at a time.
    pub data_dir: PathBuf,
    /// The id of this run of the host, carried by all its children in [`crate::INSTANCE_VARIABLE`]: unique, not secret, not
    /// empty.
    pub instance_id: String,
    /// A program that calls [`crate::dispatch`] first. The host's own file will do.
    pub shim_exe: PathBuf,
    /// Names of the host's environment that no child inherits, besides those of [`crate::is_our_own`].
    pub hidden_env: Vec<String>,
}

#[cfg(target_os = "linux")]
impl TableOptions {
    /// The directory below which each process has its own.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.data_dir.join("run")
    }
}
