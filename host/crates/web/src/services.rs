//! The services behind the web, as they are.

use nexus_auth::AuthService;
use nexus_chat::ChatService;
use nexus_logging::logfile::LogReader;
use nexus_registry::Plugins;
use nexus_reload::ReloadService;
use nexus_store::activity_log::ActivityLog;
use nexus_tunnels::TunnelService;
use std::sync::Arc;

#[derive(Clone)]
pub struct Services {
    pub auth: Arc<AuthService>,
    pub chat: Arc<ChatService>,
    pub tunnels: Arc<TunnelService>,
    pub plugins: Plugins,
    pub reload: Arc<ReloadService>,
    pub activity: Arc<ActivityLog>,
    pub log: Arc<LogReader>,
    pub host: Arc<HostInfo>,
}

/// What does not change while the host runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInfo {
    /// Of Nexus.
    pub version: String,
    /// The configuration that is used, or the one that would be if it were there.
    pub config_file: String,
    /// The project directory of the agent.
    pub workspace: String,
}
