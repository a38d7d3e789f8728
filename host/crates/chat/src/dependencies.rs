//! What the chat service needs from the rest of the host.

use crate::journal::Journal;
use nexus_config::resolved;
use nexus_model::activity::Activity;
use nexus_model::time::Clock;
use nexus_plugin_traits::StopProcesses;
use nexus_registry::Plugins;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What [`ChatService::spawn`](crate::ChatService::spawn) takes.
pub struct Dependencies {
    pub journal: Journal,
    /// Where another backend is loaded from, and where the plugins that serve are listed.
    pub plugins: Plugins,
    pub stop_processes: StopProcesses,
    pub activity: Arc<dyn Activity>,
    pub clock: Arc<dyn Clock>,
    /// `[chat.NAME]` of the configuration.
    pub config: resolved::Chat,
    /// The configuration's file, where there is one: hints with lines to paste name it.
    pub config_file: Option<PathBuf>,
    /// Where the backend's program is installed to, on request.
    pub data_dir: PathBuf,
    /// `PATH`: where the program that installs it, npm, is looked for.
    pub path: Option<OsString>,
}
