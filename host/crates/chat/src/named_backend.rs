//! A chat backend under the name of its plugin.

use nexus_model::plugin::{Failure, PluginState, PluginStatus};
use nexus_plugin_traits::ChatBackend;
use std::sync::Arc;

/// `NamedBackend` is a backend and the name of its plugin.
#[derive(Clone)]
pub struct NamedBackend {
    /// `plugin` is the `NAME` of `[plugin.NAME]`: `chat-opencode`.
    pub plugin: String,
    /// `backend` is the plugin itself.
    pub backend: Arc<dyn ChatBackend>,
}

impl NamedBackend {
    /// Starts the plugin where it is stopped, and waits until its instance runs.
    ///
    /// # Errors
    /// The plugin failed; such a failure is permanent.
    pub(crate) async fn running(&self) -> Result<(), Failure> {
        let mut status = self.backend.status();
        if status.borrow().state == PluginState::Stopped {
            self.backend.start();
        }
        let settled = status
            .wait_for(|s| matches!(s.state, PluginState::Running | PluginState::Failed { .. }))
            .await
            .map(|status| status.clone());
        let gone = |cause: String| Failure {
            at: 0,
            cause,
            fix: None,
            permanent: true,
        };
        match settled {
            Ok(PluginStatus {
                state: PluginState::Failed { cause },
                last_failure,
                ..
            }) => Err(last_failure.map_or_else(
                || gone(cause),
                |failure| Failure {
                    permanent: true,
                    ..failure
                },
            )),
            Ok(_) => Ok(()),
            Err(_) => Err(gone("the plugin has ended".to_owned())),
        }
    }
}
