//! The status of a plugin before an instance of it runs.

use nexus_model::plugin::{Kind, PluginState, PluginStatus};
use tokio::sync::watch;

/// What is known of a plugin before its component was read.
pub fn unloaded(name: &str, kind: Kind, state: PluginState) -> PluginStatus {
    PluginStatus {
        name: name.to_owned(),
        kind,
        version: String::new(),
        state,
        restarts: 0,
        last_failure: None,
        tunnel: None,
    }
}

/// Shows the version of a plugin that has been loaded.
pub(crate) fn identify(status: &watch::Sender<PluginStatus>, version: String) {
    status.send_if_modified(|status| {
        let changed = status.version != version;
        status.version = version;
        changed
    });
}
