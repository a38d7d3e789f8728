//! What a table of processes needs to know of its host.

use std::path::PathBuf;

/// `TableOptions` are the host's part of every start.
#[derive(Debug, Clone)]
pub struct TableOptions {
    /// `data_dir` is the folder below whose `run` the private directories of the children are made. Only one table may
    /// use it at a time.
    pub data_dir: PathBuf,
    /// `instance_id` is the id of this run of the host, which all its children carry in [`crate::INSTANCE_VARIABLE`]:
    /// unique, not secret, not empty.
    pub instance_id: String,
    /// `shim_exe` is a program that calls [`crate::dispatch`] first. The host's own file will do.
    pub shim_exe: PathBuf,
    /// `hidden_env` names the variables of the host's environment that no child inherits, besides those of
    /// [`crate::is_our_own`].
    pub hidden_env: Vec<String>,
}

#[cfg(target_os = "linux")]
impl TableOptions {
    /// `run_dir` is the directory below which each process has its own.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.data_dir.join("run")
    }
}
