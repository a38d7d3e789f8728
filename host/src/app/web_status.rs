//! What the page shows of the host itself.

use futures::FutureExt as _;
use nexus_logging::logfile::{LogError, LogReader};
use nexus_model::log::{About, LogLine};
use nexus_model::plugin::{Details, Kind, Status};
use nexus_model::trouble::Trouble;
use nexus_registry::Plugins;
use nexus_store::activity_log::{ActivityLog, Recent};
use nexus_tunnels::{Swapped, TunnelService};
use nexus_web::port::{ApiError, Reply, StatusApi, TunnelApi};
use std::sync::Arc;
use tokio::sync::watch;

pub(super) struct HostStatus {
    pub(super) plugins: Plugins,
    pub(super) activity: Arc<ActivityLog>,
    pub(super) log: LogReader,
    pub(super) config_file: String,
    pub(super) workspace: String,
}

impl StatusApi for HostStatus {
    fn plugins(&self) -> watch::Receiver<Vec<Status>> {
        self.plugins.statuses.subscribe()
    }
    fn details(&self) -> Vec<Details> {
        self.plugins.statuses.details()
    }
    fn starting(&self) -> Option<String> {
        self.plugins.progress.text()
    }
    fn troubles(&self) -> Vec<Trouble> {
        self.plugins.statuses.troubles()
    }
    fn activity(&self) -> watch::Receiver<Recent> {
        self.activity.recent()
    }
    fn log(&self, about: About, count: usize) -> Reply<'_, Vec<LogLine>> {
        async move {
            self.log.latest(about, count).await.map_err(|error| match error {
                LogError::NotKept => ApiError::Refused(error.to_string()),
                LogError::Unreadable(_) => ApiError::Unavailable(error.to_string()),
            })
        }
        .boxed()
    }
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }
    fn config_file(&self) -> &str {
        &self.config_file
    }
    fn workspace(&self) -> &str {
        &self.workspace
    }
}

pub(super) struct TunnelAdapter {
    pub(super) service: Arc<TunnelService>,
    pub(super) plugins: Plugins,
}

impl TunnelApi for TunnelAdapter {
    fn tunnels(&self) -> watch::Receiver<Vec<nexus_model::tunnel::Status>> {
        self.service.statuses()
    }
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.service.open(name).await?) }.boxed()
    }
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.service.close(name).await?) }.boxed()
    }
    fn plugins(&self) -> Vec<String> {
        self.plugins.catalog.of_kind(Kind::Tunnel)
    }
    fn swap<'a>(&'a self, name: &'a str, plugin: &'a str) -> Reply<'a, Swapped> {
        async move { Ok(self.service.swap(name, plugin).await?) }.boxed()
    }
}
