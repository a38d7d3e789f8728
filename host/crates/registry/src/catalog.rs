//! The plugins that can be loaded: those of the active configuration.

use nexus_config::resolved::{Broken, Config, Plugin};
use nexus_model::plugin::Kind;
use nexus_model::trouble::sentence;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub struct Catalog {
    plugins: Mutex<BTreeMap<String, Plugin>>,
    /// Named, and not fit at the start: each says why when it is loaded.
    broken: BTreeSet<String>,
}

impl Catalog {
    pub fn new(config: &Config) -> Self {
        Self {
            plugins: Mutex::new(config.plugins.clone()),
            broken: config.broken.keys().cloned().collect(),
        }
    }

    fn plugins(&self) -> MutexGuard<'_, BTreeMap<String, Plugin>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that was not fit before.
    pub fn insert(&self, plugin: Plugin) {
        self.plugins().insert(plugin.name.clone(), plugin);
    }

    /// What is loaded from now on. What serves already is not touched.
    pub fn replace(&self, plugins: BTreeMap<String, Plugin>) {
        *self.plugins() = plugins;
    }

    pub fn get(&self, name: &str) -> Option<Plugin> {
        self.plugins().get(name).cloned()
    }

    /// A plugin that can be loaded, and that a configuration which was read since does not find fit.
    pub fn lost<'a>(&self, config: &'a Config) -> Option<&'a Broken> {
        let plugins = self.plugins();
        let mut broken = config.broken.iter();
        broken
            .find(|(name, _)| plugins.contains_key(*name))
            .map(|(_, broken)| broken)
    }

    /// The names of the plugins of a kind.
    pub fn of_kind(&self, kind: Kind) -> Vec<String> {
        let plugins = self.plugins();
        let found = plugins.values().filter(|plugin| plugin.kind == kind);
        found.map(|plugin| plugin.name.clone()).collect()
    }

    /// Whether there is such a plugin. `Err`: a sentence for the operator, with what to write.
    pub fn check(&self, name: &str, kind: Kind) -> Result<(), String> {
        let found = self.get(name).map(|plugin| plugin.kind);
        let there = || self.of_kind(kind).join(", ");
        match found {
            Some(found) if found == kind => Ok(()),
            Some(found) => Err(sentence(
                &format!("{name} is a {found} plugin, not a {kind} plugin"),
                Some(&format!("choose a {kind} plugin: {}", there())),
            )),
            None if self.broken.contains(name) => Ok(()),
            None => Err(sentence(
                &format!("there is no {kind} plugin `{name}`"),
                Some(&format!(
                    "choose one of {}. For a plugin from a file, add these lines to the \
                     configuration:\n[plugin.{name}]\nsource = \"path/to/component.wasm\"",
                    there()
                )),
            )),
        }
    }
}
