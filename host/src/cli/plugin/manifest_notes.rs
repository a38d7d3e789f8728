//! What the author of a plugin should know of its manifest, though it is used.

use nexus_plugin_api::manifest::{MANIFEST_FORMAT, Manifest};

/// `notes` are sentences that begin with the line of `plugin.toml`.
pub(super) fn notes(manifest: &Manifest) -> Vec<String> {
    let old = manifest
        .old_keys
        .iter()
        .map(|key| format!("plugin.toml:{}: {key}", key.line));
    old.chain(unknown(manifest)).collect()
}

/// `unknown` are those about what this version does not know, and about the version of the format.
pub(super) fn unknown(manifest: &Manifest) -> Vec<String> {
    let format = manifest.format.is_none().then(|| {
        format!("plugin.toml:1: it does not say the version of its format. To fix: add the line manifest = {MANIFEST_FORMAT}")
    });
    let ignored = manifest.ignored.iter().map(|key| {
        format!(
            "plugin.toml:{}: the key {key} is unknown to this version of Nexus, which ignores it",
            key.line
        )
    });
    let unavailable = manifest.unavailable.iter().map(|key| {
        format!(
            "plugin.toml:{}: the permission {key} is unknown to this version of Nexus. It is optional, so the plugin is loaded \
             without it",
            key.line
        )
    });
    format.into_iter().chain(ignored).chain(unavailable).collect()
}
