//! The plugin's own settings.

use nexus_config::resolved::Plugin;

/// `ConfigState` has the settings of a plugin as JSON text.
pub(in crate::capabilities) struct ConfigState {
    pub(super) json: String,
}

impl ConfigState {
    pub(in crate::capabilities) fn new(plugin: &Plugin) -> Self {
        Self {
            json: serde_json::Value::Object(plugin.config.clone()).to_string(),
        }
    }
}
