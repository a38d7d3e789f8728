//! The services behind the web, as they are.

use nexus_auth::AuthService;
use nexus_chat::ChatService;
use nexus_config::{with_file, with_place};
use nexus_logging::logfile::LogReader;
use nexus_registry::Plugins;
use nexus_reload::ReloadService;
use nexus_store::activity_log::ActivityLog;
use nexus_tunnels::TunnelService;
use std::path::Path;
use std::sync::Arc;

/// `Services` are those that the pages, the API and the live socket use.
#[derive(Clone)]
pub struct Services {
    /// `auth` logs people in.
    pub auth: Arc<AuthService>,
    /// `chat` has the sessions.
    pub chat: Arc<ChatService>,
    /// `tunnels` has the public addresses.
    pub tunnels: Arc<TunnelService>,
    /// `plugins` are those that can serve, and those that do.
    pub plugins: Plugins,
    /// `reload` says what of the configuration's file waits.
    pub reload: Arc<ReloadService>,
    /// `activity` has what happened last.
    pub activity: Arc<ActivityLog>,
    /// `log` reads the log back.
    pub log: Arc<LogReader>,
    /// `host` does not change while the host runs.
    pub host: Arc<HostInfo>,
}

/// `HostInfo` is what does not change while the host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    /// `version` is that of Nexus.
    pub version: String,
    /// `config_file` is the path of the configuration that is used, or of the one that would be if it were there.
    pub config_file: String,
    /// `data_dir` is the folder of the data.
    pub data_dir: String,
    /// `workspace` is the project directory of the agent.
    pub workspace: String,
    /// `workspaces` are all project directories, that one first.
    pub workspaces: Vec<String>,
}

impl HostInfo {
    /// `command` is `nexus WORDS` as it reaches this host.
    pub(crate) fn command(&self, words: &str) -> String {
        let (file, data_dir) = (Path::new(&self.config_file), Path::new(&self.data_dir));
        nexus_config::command(words, Some(file), Some(data_dir))
    }

    /// `complete` is a text that names the configuration's file where it has lines to paste, and whose commands reach this
    /// host.
    pub(crate) fn complete(&self, text: &str) -> String {
        let (file, data_dir) = (Path::new(&self.config_file), Path::new(&self.data_dir));
        with_place(&with_file(text, Some(file)), Some(file), Some(data_dir))
    }
}
