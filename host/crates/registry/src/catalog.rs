//! The plugins that can be loaded: those of the active configuration.

use nexus_config::resolved::{Config, Plugin, Source, UnavailablePlugin};
use nexus_config::{APPLY, ChangedComponent};
use nexus_model::plugin::Kind;
use nexus_model::trouble::{Trouble, cause_and_fix, sentence};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `RereadConfig` is what this machine makes now of the configuration that is active. Blocks. `Err`: a sentence for the operator.
pub type RereadConfig = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// `CatalogError` says why a plugin of the configuration cannot be loaded now: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// `Unknown`: it is not in the configuration.
    #[error("the configuration has no plugin `{0}`")]
    Unknown(String),
    /// `UnavailablePlugin`: what it needs is not there.
    #[error("{0}")]
    UnavailablePlugin(String),
    /// `Changed`: its component is another one than that which got the grants.
    #[error(transparent)]
    Changed(#[from] ChangedComponent),
}

impl CatalogError {
    fn broken(broken: &UnavailablePlugin) -> Self {
        let Trouble { cause, fix, .. } = &broken.trouble;
        Self::UnavailablePlugin(sentence(cause, fix.as_deref()))
    }
}

/// `UnknownPlugin`: there is no such plugin of the kind. It says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlugin {
    /// `OtherKind`: it is there, and serves for something else.
    #[error("{name} is a {found} plugin, not a {kind} plugin. To fix: choose a {kind} plugin: {available}")]
    OtherKind {
        /// `name` is the plugin's.
        name: String,
        /// `found` is the kind that it is of.
        found: Kind,
        /// `kind` is the one that is asked for.
        kind: Kind,
        /// `available` are the names of the plugins of this kind.
        available: String,
    },
    /// `Unknown`: the configuration does not have it.
    #[error(
        "there is no {kind} plugin `{name}`. To fix: choose one of {available}. For a plugin from a file, {}",
        nexus_config::adding(&format!("[plugin.{}]\nsource = \"path/to/component.wasm\"", .name))
    )]
    Unknown {
        /// `name` is the plugin's.
        name: String,
        /// `kind` is the one that is asked for.
        kind: Kind,
        /// `available` are the names of the plugins of this kind.
        available: String,
    },
}

/// `Catalog` has the plugins that can be loaded, by name. Which of them serve is for [`crate::PluginStatuses`] to say.
pub struct Catalog {
    plugins: Mutex<BTreeMap<String, Plugin>>,
    /// `broken` are named, and were not fit at the start: each says why when it is loaded.
    broken: BTreeMap<String, UnavailablePlugin>,
    /// `again` is `None` where what was not fit when the configuration was read stays so.
    again: Option<RereadConfig>,
}

impl Catalog {
    /// Takes all plugins of the configuration that was read at the start.
    pub fn new(config: &Config) -> Self {
        Self {
            plugins: Mutex::new(config.plugins.clone()),
            broken: config.broken.clone(),
            again: None,
        }
    }

    /// Looks again for what was not fit, when it is to be loaded.
    #[must_use]
    pub fn with_reread(self, again: Option<RereadConfig>) -> Self {
        Self { again, ..self }
    }

    fn plugins(&self) -> MutexGuard<'_, BTreeMap<String, Plugin>> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `broken` says why a plugin was not fit at the start.
    pub fn broken(&self, name: &str) -> Option<&UnavailablePlugin> {
        self.broken.get(name)
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

    /// Finds a plugin that can be loaded, and that a configuration which was read since does not find fit: the report of it.
    pub fn lost(&self, config: &Config) -> Option<String> {
        let plugins = self.plugins();
        let mut broken = config.broken.iter();
        let (broken, plugin) = broken.find_map(|(name, broken)| Some((broken, plugins.get(name)?)))?;
        let folders = config.chat.unusable.iter().filter(|_| plugin.kind == Kind::Chat);
        let reports: Vec<&str> = broken.report.iter().chain(folders).map(String::as_str).collect();
        Some(reports.join("\n\n"))
    }

    /// `of_kind` are the names of the plugins of a kind.
    pub fn of_kind(&self, kind: Kind) -> Vec<String> {
        let plugins = self.plugins();
        let found = plugins.values().filter(|plugin| plugin.kind == kind);
        found.map(|plugin| plugin.name.clone()).collect()
    }

    /// Checks that there is such a plugin.
    ///
    /// # Errors
    /// There is none, or it is of another kind.
    pub fn check(&self, name: &str, kind: Kind) -> Result<(), UnknownPlugin> {
        let plugins = self.plugins();
        let name = name.to_owned();
        let available = || {
            let of_this_kind = plugins.values().filter(|plugin| plugin.kind == kind);
            let there: Vec<&str> = of_this_kind.map(|plugin| plugin.name.as_str()).collect();
            there.join(", ")
        };
        match plugins.get(&name).map(|plugin| plugin.kind) {
            Some(found) if found == kind => Ok(()),
            Some(found) => Err(UnknownPlugin::OtherKind {
                name,
                found,
                kind,
                available: available(),
            }),
            None if self.broken.contains_key(&name) => Ok(()),
            None => Err(UnknownPlugin::Unknown {
                name,
                kind,
                available: available(),
            }),
        }
    }

    /// Finds the plugin that is to be loaded now. One that could not be loaded when the configuration was read may be by now; what the file
    /// says since then does not count here: it waits to be confirmed. Blocks.
    ///
    /// # Errors
    /// There is none, it is not fit, or its component is another one than that which got the grants.
    pub fn find(&self, name: &str) -> Result<Plugin, CatalogError> {
        if let Some(plugin) = self.get(name) {
            return Ok(plugin);
        }
        let broken = self
            .broken
            .get(name)
            .ok_or_else(|| CatalogError::Unknown(name.to_owned()))?;
        let Some(again) = &self.again else {
            return Err(CatalogError::broken(broken));
        };
        let config = again().map_err(CatalogError::UnavailablePlugin)?;
        if let Some(still) = config.broken.get(name) {
            return Err(CatalogError::broken(still));
        }
        let plugin = config.plugins.get(name);
        let plugin = plugin.ok_or_else(|| CatalogError::broken(broken))?;
        ChangedComponent::check(name, broken.digest.as_deref(), plugin.digest.as_deref())?;
        tracing::info!(
            target: "audit",
            event = "plugin_found",
            plugin = name,
            digest = plugin.digest,
            "a plugin that could not be loaded at the start is loaded now"
        );
        self.insert(plugin.clone());
        Ok(plugin.clone())
    }

    /// `unloadable` says why a plugin cannot be loaded, and what to do. `command` starts it then.
    pub fn unloadable(&self, name: &str, command: &str, cause: &str) -> Trouble {
        let known = self.get(name);
        let broken = self.broken.get(name).filter(|_| known.is_none());
        let (cause, named) = cause_and_fix(cause);
        let fix = broken.and_then(|broken| broken.trouble.fix.clone());
        let fix = fix.or_else(|| named.map(str::to_owned)).unwrap_or_else(|| match known.map(|plugin| plugin.source) {
            Some(Source::File(path)) => format!(
                "put a component that this version of Nexus can load at {} (`nexus plugin check {name}` shows what is \
                 wrong with it)",
                path.display()
            ),
            _ => "reinstall Nexus".to_owned(),
        });
        Trouble {
            subject: format!("plugin {name}"),
            // The part is named beside it.
            cause: sentence(cause, None),
            fix: Some(match broken {
                // The list of the project folders is read at the start alone.
                Some(broken) if broken.report.is_none() => then(&fix, &or_else(command, RESTART)),
                Some(_) => then(&fix, &or_else(command, APPLY)),
                None => then(&fix, command),
            }),
        }
    }
}

/// `RESTART` is what a change waits for that *Apply* does not read.
pub const RESTART: &str = "restart Nexus";

/// `or_else` is what comes behind a fix that may be one of the configuration, which the `command` does not read: `APPLY` or
/// [`RESTART`].
pub fn or_else(command: &str, changed: &str) -> String {
    match command.strip_prefix("nexus ") {
        Some(_) => format!("run `{command}`; if you change the configuration instead, {changed}"),
        None => command.to_owned(),
    }
}

/// `then` is a fix with the command that starts the plugin afterwards; the restart of Nexus starts it too.
pub fn then(fix: &str, command: &str) -> String {
    let start = match command.strip_prefix("nexus ") {
        Some(_) => format!("run `{command}`"),
        None => command.to_owned(),
    };
    if fix.contains("restart Nexus") {
        fix.to_owned()
    } else if fix.contains('\n') {
        format!("{fix}\nThen {start}.")
    } else if fix.contains(". ") || fix.contains(", or ") || fix.ends_with('.') {
        format!("{}. Then {start}.", fix.trim_end_matches('.'))
    } else {
        format!("{fix}, then {start}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A catalog of a configuration in which the plugin of the tunnel `main` is not fit.
    fn catalog(dir: &std::path::Path, again: Option<RereadConfig>) -> Catalog {
        let mut config = nexus_testkit::config(dir, "[tunnel.main]\nplugin = \"tunnel-bore\"\n");
        config.plugins.remove("tunnel-bore").unwrap();
        config.plugins.remove("chat-echo").unwrap();
        let broken = UnavailablePlugin {
            digest: Some("one".to_owned()),
            trouble: Trouble::new("plugin tunnel-bore", "It is gone.", "put it back"),
            report: Some("it is gone".to_owned()),
        };
        let homeless = UnavailablePlugin {
            report: None,
            ..broken.clone()
        };
        config.broken.insert("chat-echo".to_owned(), homeless);
        config.broken.insert("tunnel-bore".to_owned(), broken);
        Catalog::new(&config).with_reread(again)
    }

    #[test]
    fn one_that_was_not_fit_is_looked_for_again_and_is_the_same_one() {
        let dir = tempfile::tempdir().unwrap();
        let gone = catalog(dir.path(), None);
        assert_eq!(
            gone.find("tunnel-bore").unwrap_err(),
            CatalogError::UnavailablePlugin("It is gone. To fix: put it back".to_owned())
        );
        assert_eq!(
            gone.find("nobody").unwrap_err(),
            CatalogError::Unknown("nobody".to_owned())
        );
        let fit = nexus_testkit::config(dir.path(), "[tunnel.main]\nplugin = \"tunnel-bore\"\n");
        for (digest, found) in [("two", false), ("one", true)] {
            let mut fit = fit.clone();
            fit.plugins.get_mut("tunnel-bore").unwrap().digest = Some(digest.to_owned());
            let there = catalog(dir.path(), Some(Arc::new(move || Ok(fit.clone()))));
            assert_eq!(there.find("tunnel-bore").is_ok(), found, "{digest}");
            assert_eq!(there.get("tunnel-bore").is_some(), found, "{digest}");
        }
    }

    #[test]
    fn one_that_cannot_be_loaded_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = catalog(dir.path(), None);
        let fix = |name: &str| catalog.unloadable(name, "nexus tunnel start main", "it is gone").fix;
        let then = |fix: &str| Some(format!("{fix}, then run `nexus tunnel start main`"));
        // What the configuration names was not fit: it may be corrected as well.
        let or_apply = format!("; if you change the configuration instead, {APPLY}");
        assert_eq!(fix("tunnel-bore"), then("put it back").map(|fix| fix + &or_apply));
        let or_restart = "; if you change the configuration instead, restart Nexus";
        assert_eq!(fix("chat-echo"), then("put it back").map(|fix| fix + or_restart));
        assert_eq!(fix("chat-opencode"), then("reinstall Nexus"));
        for (fix, whole) in [
            ("Give 1. Or 2.", "Give 1. Or 2. Then run `nexus x`."),
            (
                "make it, or name another",
                "make it, or name another. Then run `nexus x`.",
            ),
            ("set it and restart Nexus", "set it and restart Nexus"),
            ("add:\n[web]", "add:\n[web]\nThen run `nexus x`."),
        ] {
            assert_eq!(super::then(fix, "nexus x"), whole);
        }
        assert_eq!(
            super::then("put it back", "restart Nexus"),
            "put it back, then restart Nexus"
        );
        assert_eq!(
            catalog.unloadable("chat-opencode", "x", "it is gone").cause,
            "it is gone."
        );
    }
}
