//! The service: its tasks, and what the operator does with the backend.

use crate::agent_install::Installer;
use crate::backend_status::{BackendStatus, Phase};
use crate::backend_task::BackendTask;
use crate::commands::{Command, CommandSender};
use crate::dependencies::Dependencies;
use crate::error::ChatError;
use crate::named_backend::NamedBackend;
use crate::shared::Shared;
use crate::swap::Swaps;
use nexus_config::resolved;
use nexus_model::plugin::{Kind, PluginState};
use nexus_plugin_traits::CancelReason;
use nexus_registry::{Plugins, Registered, chat_place};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// `EXAMPLE` is the plugin that ships as an example.
const EXAMPLE: &str = "chat-echo";

/// `ChatService` is the running service. Dropping it ends its tasks; backends and their processes are left as they are.
pub struct ChatService {
    pub(crate) shared: Arc<Shared>,
    plugins: Plugins,
    commander: CommandSender,
    swaps: Swaps,
    config: resolved::Chat,
    installer: Installer,
    fallback: Option<NamedBackend>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for ChatService {
    fn drop(&mut self) {
        self.abort();
    }
}

impl ChatService {
    /// Starts the service with the plugin of the configuration, or the one that has replaced it since, and with its fallback, if
    /// that is another one. Both are loaded meanwhile.
    pub async fn from_config(parts: Dependencies) -> Self {
        let (plugins, place) = (&parts.plugins, chat_place(&parts.config.name));
        let plugin = plugins.overrides.plugin(&place, Kind::Chat, &plugins.catalog).await;
        let late = |name: &str| NamedBackend {
            plugin: name.to_owned(),
            backend: plugins.late_chat(name, &parts.clock),
        };
        let primary = late(&plugin);
        let fallback = match parts.config.fallback.as_deref() {
            Some(name) if name == plugin => {
                plugins.progress.mark_skipped();
                None
            }
            fallback => fallback.map(late),
        };
        Self::spawn(primary, fallback, parts)
    }

    /// Starts the backend, or `fallback` as long as its program is missing, and lists both among the plugins that serve.
    pub fn spawn(primary: NamedBackend, fallback: Option<NamedBackend>, parts: Dependencies) -> Self {
        let plugins = parts.plugins.clone();
        let registration = plugins.statuses.add(Registered::of(&primary.backend));
        if let Some(fallback) = &fallback {
            plugins.statuses.add(Registered::of(&fallback.backend));
        }
        let config = parts.config.clone();
        let installer = Installer::new(parts.data_dir.clone(), parts.path.clone());
        let stop_processes = Arc::clone(&parts.stop_processes);
        let install = installer.offered(&primary.plugin);
        let shared = Arc::new(Shared::new(primary, parts, install));
        let (commander, commands) = CommandSender::new();
        let task = BackendTask {
            shared: Arc::clone(&shared),
            fallback: fallback.clone(),
            stop_processes,
        };
        let surroundings = Arc::clone(&shared);
        let tasks = vec![
            tokio::spawn(task.run(commands)),
            tokio::spawn(async move { surroundings.watch_surroundings().await }),
        ];
        let place = chat_place(&config.name);
        let swaps = Swaps::new(
            Arc::clone(&shared),
            commander.clone(),
            plugins.clone(),
            place,
            registration,
        );
        Self {
            shared,
            plugins,
            commander,
            swaps,
            config,
            installer,
            fallback,
            tasks,
        }
    }

    /// Ends its tasks and the backend: nothing is started or written any more. Processes are left as they are.
    pub async fn end(&self) {
        let shown = self.shared.shown().backend;
        shown.leaving(CancelReason::HostEnds);
        self.abort();
        shown.stop().await;
    }

    fn abort(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// `backend` is the backend as people see it; changes are seen at once.
    pub fn backend(&self) -> watch::Receiver<BackendStatus> {
        self.shared.status.subscribe()
    }

    /// `plugin` is the one that is wanted as the backend.
    pub fn plugin(&self) -> String {
        self.shared.primary().plugin
    }

    /// `plugins` are those that can be the backend.
    pub fn plugins(&self) -> Vec<String> {
        self.plugins.catalog.of_kind(Kind::Chat)
    }

    /// Tells whether no model answers in a plugin, as far as that can be known before it runs.
    pub fn is_example(&self, plugin: &str) -> bool {
        self.config.fallback.as_deref() == Some(plugin) || plugin == EXAMPLE
    }

    /// `busy` is how many sessions of the backend are being answered now.
    pub fn busy(&self) -> usize {
        self.shared.journal.running(&self.plugin())
    }

    /// Stops the backend and its processes, once turns that run have had time to finish; what had to be cut is marked as
    /// interrupted. Returns when that is done; it stays stopped until it is started.
    ///
    /// # Errors
    /// The service is gone.
    pub async fn stop(&self) -> Result<(), ChatError> {
        self.commander.give(Command::Stop).await
    }

    /// Starts the backend; one that failed or is missing is looked for again.
    ///
    /// # Errors
    /// The service is gone.
    pub async fn start(&self) -> Result<(), ChatError> {
        self.load_fallback_again().await;
        if self.shared.status.borrow().phase == Phase::Stopped {
            return self.commander.give(Command::Start).await;
        }
        // Whoever looks next must not take the failure of before for that of now.
        self.shared.status.send_if_modified(|status| {
            let failed = matches!(status.phase, Phase::Failed { .. });
            if failed {
                status.phase = Phase::checking_for(&status.title);
            }
            failed
        });
        self.shared.look_again();
        Ok(())
    }

    /// Loads a fallback again that could not be loaded: what was wrong may have been corrected. It does not run for that.
    async fn load_fallback_again(&self) {
        let failed =
            |fallback: &&NamedBackend| matches!(fallback.backend.status().borrow().state, PluginState::Failed { .. });
        if let Some(fallback) = self.fallback.as_ref().filter(failed) {
            fallback.backend.start();
            fallback.backend.stop().await;
        }
    }

    /// Does as [`Self::stop`], and then as [`Self::start`].
    ///
    /// # Errors
    /// The service is gone.
    pub async fn restart(&self) -> Result<(), ChatError> {
        self.load_fallback_again().await;
        self.commander.give(Command::Restart).await
    }

    /// Lets another plugin be the backend, also after a restart of the host: prompts are paused and turns have time to
    /// finish, as with [`Self::stop`]. Sessions of the old one stay readable. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// The plugin is the backend already, cannot be loaded, or its program is not there or not usable: then all is as before.
    pub async fn swap(&self, plugin: &str) -> Result<(), ChatError> {
        if self.plugin() == plugin {
            return Err(ChatError::Refused(format!("{plugin} is already the chat backend.")));
        }
        self.swaps.replace(plugin).await
    }

    /// Does as [`Self::swap`], for what the operator has confirmed of the configuration's file; also where the plugin
    /// is the backend already: with other settings then.
    ///
    /// # Errors
    /// As [`Self::swap`].
    pub async fn apply(&self, plugin: &str) -> Result<(), ChatError> {
        let place = chat_place(&self.config.name);
        let change = self.swaps.replace(plugin);
        self.plugins.overrides.confirm(&place, plugin, change).await
    }

    /// Begins to install the missing program; how it goes is seen in [`Missing::install`](crate::Missing::install). An
    /// installation that runs already goes on.
    ///
    /// # Errors
    /// Nexus cannot install this backend.
    pub fn install(&self) -> Result<(), ChatError> {
        self.installer.begin(&self.shared)
    }
}
