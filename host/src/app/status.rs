//! The plugins' states, as one list.

use crate::config::default_place;
use crate::config::resolved::Config;
use crate::model::plugin::Status;
use crate::runtime::port::{AuthProvider, ChatBackend, TunnelProvider};
use crate::web::port::StatusApi;
use std::sync::Arc;
use tokio::sync::watch;

pub(super) struct Statuses {
    plugins: watch::Receiver<Vec<Status>>,
    config_file: String,
    workspace: String,
}

impl Statuses {
    /// Auth first, then chat, then tunnels; one that serves two tunnels has an instance for each, and stands here twice.
    pub(super) fn watch<'a>(
        config: &Config,
        auth: &Arc<dyn AuthProvider>,
        chats: impl Iterator<Item = &'a Arc<dyn ChatBackend>>,
        tunnels: impl Iterator<Item = &'a Arc<dyn TunnelProvider>>,
    ) -> Self {
        let mut sources = vec![auth.changes()];
        sources.extend(chats.map(|c| c.status()));
        sources.extend(tunnels.map(|t| t.status()));
        let list = {
            let sources = sources.clone();
            move || sources.iter().map(|source| source.borrow().clone()).collect::<Vec<_>>()
        };
        let sender = Arc::new(watch::Sender::new(list()));
        let receiver = sender.subscribe();
        let list = Arc::new(list);
        for mut source in sources {
            let (sender, list) = (Arc::clone(&sender), Arc::clone(&list));
            tokio::spawn(async move {
                while source.changed().await.is_ok() {
                    sender.send_replace(list());
                }
            });
        }
        let file = config.file.clone().or_else(default_place);
        Self {
            plugins: receiver,
            config_file: file.map_or_else(|| "nexus.toml".to_owned(), |file| file.display().to_string()),
            workspace: config.chat.workspace.display().to_string(),
        }
    }
}

impl StatusApi for Statuses {
    fn plugins(&self) -> watch::Receiver<Vec<Status>> {
        self.plugins.clone()
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
