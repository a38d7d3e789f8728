//! What the chat service needs from the rest of the host.

use crate::journal::Journal;
use nexus_config::resolved;
use nexus_model::time::Clock;
use nexus_plugin_traits::StopProcesses;
use nexus_registry::Plugins;
use nexus_store::activity_log::ActivityLog;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// `Dependencies` are what [`ChatService::from_config`](crate::ChatService::from_config) takes.
pub struct Dependencies {
    /// `journal` is the record that the service writes.
    pub journal: Journal,
    /// `plugins` is where another backend is loaded from, and where the plugins that serve are listed.
    pub plugins: Plugins,
    /// `stop_processes` ends the processes of a backend that is stopped or replaced.
    pub stop_processes: StopProcesses,
    /// `activity` gets what happens to the backend, for the status page.
    pub activity: Arc<ActivityLog>,
    /// `clock` is the wall clock for the times in the journal.
    pub clock: Arc<dyn Clock>,
    /// `config` is `[chat.NAME]` of the configuration.
    pub config: resolved::Chat,
    /// `config_file` is the configuration's file, where there is one: hints with lines to paste name it.
    pub config_file: Option<PathBuf>,
    /// `data_dir` is where the backend's program is installed to, on request, and what commands in texts name.
    pub data_dir: PathBuf,
    /// `path` is `PATH`: where the program that installs it, npm, is looked for.
    pub path: Option<OsString>,
}
