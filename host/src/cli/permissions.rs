//! What the plugins of a configuration ask for and are not granted, for the commands that look at a configuration.

use super::Components;
use nexus_config::resolved::{Config, Plugin, ProcessGrant};
use nexus_config::{Lacking, PluginSource as _, lacking};
use nexus_plugin_host::capabilities::{Gate, Requests};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Of one plugin; none where it lacks nothing, or cannot be read, which is said elsewhere.
pub(super) fn of(config: &Config, name: &str) -> Option<Lacking> {
    let plugin = config.plugins.get(name)?;
    let found = Components::shipped().manifest(name, &plugin.source).ok()?;
    lacking(plugin, &found.manifest, &config.text, &|binary| {
        place(config, plugin, binary)
    })
}

/// Of each plugin that serves somewhere.
pub(super) fn of_selected(config: &Config) -> Vec<Lacking> {
    let tunnels = config.tunnels.values().map(|tunnel| &tunnel.plugin);
    let chats = std::iter::once(&config.chat.plugin).chain(&config.chat.fallback);
    let names: BTreeSet<&String> = std::iter::once(&config.auth.plugin)
        .chain(chats)
        .chain(tunnels)
        .collect();
    names.into_iter().filter_map(|name| of(config, name)).collect()
}

/// Where the plugin would find the program, were it granted.
fn place(config: &Config, plugin: &Plugin, binary: &str) -> Option<PathBuf> {
    let mut granted = plugin.clone();
    let grant = ProcessGrant {
        path: None,
        inherit_env: false,
        cwd: None,
    };
    granted.grants.processes.insert(binary.to_owned(), grant);
    Gate::new(&granted, Requests::default(), &config.data_dir)
        .find(binary)
        .ok()?
        .ok()
}
