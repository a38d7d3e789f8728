//! Another plugin becomes the backend.

use crate::commands::{Command, CommandSender};
use crate::error::ChatError;
use crate::named_backend::NamedBackend;
use crate::shared::Shared;
use nexus_model::plugin::Kind;
use nexus_registry::{Plugins, Registered, RegistrationId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// `Registrations` has the backend that is wanted in the list of plugins, and those that were before: a plugin that was
/// swapped away is still there to be swapped back.
struct Registrations {
    now: RegistrationId,
    before: BTreeMap<String, RegistrationId>,
}

/// `Swaps` swaps the backend, one swap at a time.
pub(crate) struct Swaps {
    shared: Arc<Shared>,
    commander: CommandSender,
    plugins: Plugins,
    /// `place` is the chat's place in the database: `chat.main`.
    place: String,
    registrations: Arc<Mutex<Registrations>>,
}

impl Swaps {
    /// Takes `now`, the backend's place in the list of plugins.
    pub(crate) fn new(
        shared: Arc<Shared>,
        commander: CommandSender,
        plugins: Plugins,
        place: String,
        now: RegistrationId,
    ) -> Self {
        let before = BTreeMap::new();
        Self {
            shared,
            commander,
            plugins,
            place,
            registrations: Arc::new(Mutex::new(Registrations { now, before })),
        }
    }

    /// Lets `plugin`, loaded again, be the backend. Runs to its end even if the caller goes away.
    pub(crate) async fn replace(&self, plugin: &str) -> Result<(), ChatError> {
        let Ok(alone) = Arc::clone(&self.registrations).try_lock_owned() else {
            return Err(ChatError::Refused(
                "The chat backend is being replaced. Try again when that is done.".to_owned(),
            ));
        };
        let swap = Swap {
            shared: Arc::clone(&self.shared),
            commander: self.commander.clone(),
            plugins: self.plugins.clone(),
            place: self.place.clone(),
            plugin: plugin.to_owned(),
            registrations: alone,
        };
        let done = tokio::spawn(swap.run()).await;
        done.map_err(|error| ChatError::Unavailable(error.to_string()))?
    }
}

struct Swap {
    shared: Arc<Shared>,
    commander: CommandSender,
    plugins: Plugins,
    place: String,
    plugin: String,
    registrations: OwnedMutexGuard<Registrations>,
}

impl Swap {
    async fn run(mut self) -> Result<(), ChatError> {
        let plugin = self.plugin.as_str();
        let known = self.plugins.catalog.check(plugin, Kind::Chat);
        known.map_err(|cause| ChatError::Refused(format!("{plugin} cannot become the chat backend: {cause}")))?;
        let loaded = self.plugins.loader.load_chat(plugin, None).await;
        let backend = loaded.map_err(|cause| ChatError::Refused(cause.to_string()))?;
        let registration = self.plugins.statuses.add(Registered::of(&backend));
        let next = NamedBackend {
            plugin: plugin.to_owned(),
            backend,
        };
        let old = self.shared.primary().plugin;
        if let Err(error) = self.commander.give(Command::Swap(next)).await {
            self.plugins.statuses.remove(registration);
            return Err(error);
        }
        let gone = std::mem::replace(&mut self.registrations.now, registration);
        let again = self.registrations.before.remove(plugin);
        let same = if old == plugin {
            Some(gone)
        } else {
            self.registrations.before.insert(old, gone);
            None
        };
        for registration in again.into_iter().chain(same) {
            self.plugins.statuses.remove(registration);
        }
        if let Err(error) = self.plugins.overrides.keep(&self.place, plugin).await {
            tracing::warn!(%error, "cannot save which plugin is the chat backend");
        }
        Ok(())
    }
}
