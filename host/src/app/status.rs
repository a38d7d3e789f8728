//! The plugins' states, as one list.

use crate::config::default_place;
use crate::config::resolved::Config;
use crate::model::plugin::Status;
use crate::web::port::StatusApi;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub(super) struct Statuses {
    list: watch::Sender<Vec<Status>>,
    /// By the place where each plugin serves, in the order in which they are shown.
    sources: Mutex<Vec<Source>>,
    config_file: String,
    workspace: String,
}

struct Source {
    place: String,
    status: watch::Receiver<Status>,
    task: AbortHandle,
}

impl Statuses {
    pub(super) fn new(config: &Config) -> Arc<Self> {
        let file = config.file.clone().or_else(default_place);
        Arc::new(Self {
            list: watch::Sender::default(),
            sources: Mutex::default(),
            config_file: file.map_or_else(|| "nexus.toml".to_owned(), |file| file.display().to_string()),
            workspace: config.chat.workspace.display().to_string(),
        })
    }

    /// A plugin that serves at `place` from now on. One that serves two tunnels has an instance for each, and stands here
    /// twice.
    pub(super) fn add(self: &Arc<Self>, place: &str, status: watch::Receiver<Status>) {
        let mut changes = status.clone();
        let statuses = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let Some(statuses) = statuses.upgrade() else { return };
                statuses.publish(&statuses.sources());
            }
        });
        let mut sources = self.sources();
        sources.push(Source {
            place: place.to_owned(),
            status,
            task: task.abort_handle(),
        });
        self.publish(&sources);
    }

    /// None serves at `place` any more.
    pub(super) fn remove(&self, place: &str) {
        let mut sources = self.sources();
        sources.retain(|source| {
            let stays = source.place != place;
            if !stays {
                source.task.abort();
            }
            stays
        });
        self.publish(&sources);
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, sources: &[Source]) {
        let list = sources.iter().map(|source| source.status.borrow().clone()).collect();
        self.list.send_replace(list);
    }
}

impl StatusApi for Statuses {
    fn plugins(&self) -> watch::Receiver<Vec<Status>> {
        self.list.subscribe()
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
