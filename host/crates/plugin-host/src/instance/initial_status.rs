//! The status of a plugin before an instance of it runs.

use nexus_model::plugin::PluginStatus;
use tokio::sync::watch;

/// Shows the version of a plugin that has been loaded.
pub(crate) fn identify(status: &watch::Sender<PluginStatus>, version: String) {
    status.send_if_modified(|status| {
        let changed = status.version != version;
        status.version = version;
        changed
    });
}
