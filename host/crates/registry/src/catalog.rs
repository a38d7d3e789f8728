//! The plugins that can be loaded: those of the active configuration.

use nexus_config::resolved::{Broken, Config, Plugin};
use nexus_model::plugin::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `Catalog` has the plugins that can be loaded, by name. Which of them serve is for [`crate::PluginStatuses`] to say.
pub struct Catalog {
    plugins: Mutex<BTreeMap<String, Plugin>>,
    /// `broken` are named, and were not fit at the start: each says why when it is loaded.
    broken: BTreeSet<String>,
}

impl Catalog {
    /// Takes all plugins of the configuration that was read at the start.
    pub fn new(config: &Config) -> Self {
        Self {
            plugins: Mutex::new(config.plugins.clone()),
            broken: config.broken.keys().cloned().collect(),
        }
    }

    fn plugins(&self) -> MutexGuard<'_, BTreeMap<String, Plugin>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a plugin that was not fit before.
    pub fn insert(&self, plugin: Plugin) {
        self.plugins().insert(plugin.name.clone(), plugin);
    }

    /// Sets what is loaded from now on. What serves already is not touched.
    pub fn replace(&self, plugins: BTreeMap<String, Plugin>) {
        *self.plugins() = plugins;
    }

    /// `get` is the description of a plugin that can be loaded; `None`: there is none of this name.
    pub fn get(&self, name: &str) -> Option<Plugin> {
        self.plugins().get(name).cloned()
    }

    /// Finds a plugin that can be loaded, and that a configuration which was read since does not find fit.
    pub fn lost<'a>(&self, config: &'a Config) -> Option<&'a Broken> {
        let plugins = self.plugins();
        let mut broken = config.broken.iter();
        broken
            .find(|(name, _)| plugins.contains_key(*name))
            .map(|(_, broken)| broken)
    }

    /// `of_kind` are the names of the plugins of a kind.
    pub fn of_kind(&self, kind: Kind) -> Vec<String> {
        let plugins = self.plugins();
        let found = plugins.values().filter(|plugin| plugin.kind == kind);
        found.map(|plugin| plugin.name.clone()).collect()
    }

    /// Checks that there is such a plugin. `Err`: a sentence for the operator, with what to write.
    pub fn check(&self, name: &str, kind: Kind) -> Result<(), String> {
        let plugins = self.plugins();
        let found = plugins.get(name).map(|plugin| plugin.kind);
        match found {
            Some(found) if found == kind => Ok(()),
            Some(_) => Err(format!("{name} is not a {kind} plugin")),
            None if self.broken.contains(name) => Ok(()),
            None => {
                let of_this_kind = plugins.values().filter(|plugin| plugin.kind == kind);
                let there: Vec<&str> = of_this_kind.map(|plugin| plugin.name.as_str()).collect();
                Err(format!(
                    "there is no {kind} plugin `{name}`; available: {}. To use a plugin from a file, add it to the \
                     configuration:\n[plugin.{name}]\nsource = \"path/to/component.wasm\"",
                    there.join(", ")
                ))
            }
        }
    }
}
