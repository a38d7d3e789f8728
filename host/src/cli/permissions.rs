//! What the plugins of a configuration ask for and are not granted, for the commands that look at a configuration.

use nexus_config::resolved::Config;
use nexus_config::{MissingPermissions, PluginSource as _, missing_permissions};
use nexus_plugin_host::find_binary;
use std::collections::BTreeSet;

/// `of` one plugin is `None` where nothing is missing, or cannot be read, which is said elsewhere.
pub(super) fn of(config: &Config, name: &str) -> Option<MissingPermissions> {
    let plugin = config.plugins.get(name)?;
    let found = crate::builtin::components().manifest(name, &plugin.source).ok()?;
    // Where the plugin would find the program, were it granted.
    missing_permissions(plugin, &found.manifest, &config.text, &|binary| {
        find_binary(name, binary, None, &config.data_dir).ok()
    })
}

/// `of_selected` is that of each plugin that serves somewhere.
pub(super) fn of_selected(config: &Config) -> Vec<MissingPermissions> {
    let tunnels = config.tunnels.values().map(|tunnel| &tunnel.plugin);
    let chats = std::iter::once(&config.chat.plugin).chain(&config.chat.fallback);
    let names: BTreeSet<&String> = std::iter::once(&config.auth.plugin)
        .chain(chats)
        .chain(tunnels)
        .collect();
    names.into_iter().filter_map(|name| of(config, name)).collect()
}
