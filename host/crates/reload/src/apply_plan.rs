//! Which part of the running host a change of the file concerns.

use super::active_plugins::ActivePlugins;
use super::component_changes::LoadErrors;
use nexus_config::changes::{Change, Values, show};
use nexus_config::resolved::{Config, Tunnel};
use nexus_model::limits;
use nexus_model::plugin::Kind;
use nexus_model::reload::Effect;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// `Part` is what can be applied while Nexus runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Filter,
    Tunnel(String),
    Chat,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter => f.write_str("log"),
            Self::Tunnel(name) => write!(f, "tunnel {name}"),
            Self::Chat => f.write_str("chat"),
        }
    }
}

/// `ApplyPlan` are the changes of a file, by what has to be done for them.
#[derive(Debug, Default)]
pub(super) struct ApplyPlan {
    /// `confirm` can be applied now, by these parts; with none, only what is loaded later is another.
    pub(super) confirm: Vec<(Change, BTreeSet<Part>)>,
    pub(super) restart: Vec<Change>,
    /// `at_next_start` are the plugins that stay as they are until the next start.
    pub(super) at_next_start: BTreeSet<String>,
    /// `tunnels_at_next_start` are the tunnels that do.
    tunnels_at_next_start: BTreeSet<String>,
    /// `tunnels` has the plugin of each tunnel, once what can be is applied.
    tunnels: BTreeMap<String, String>,
    pub(super) chat: String,
}

pub(super) fn path(change: &Change) -> Vec<&str> {
    change.key.iter().map(String::as_str).collect()
}

/// Tells whether a change is shown whole.
fn showable(change: &Change) -> bool {
    let value = |value: &Option<toml::Value>| value.as_ref().is_none_or(|value| show(value).is_some());
    change.name().is_some() && value(&change.was) && value(&change.now)
}

impl ApplyPlan {
    pub(super) fn new(
        changes: Vec<Change>,
        counts: &Values,
        config: &Config,
        serving: &ActivePlugins,
        hidden: &BTreeSet<String>,
        load_errors: &LoadErrors,
    ) -> Self {
        let mut at_next_start = at_next_start(&changes, config, serving, hidden);
        // What would not load is not to be confirmed.
        at_next_start.extend(load_errors.keys().cloned());
        let mut plan = Self {
            at_next_start,
            tunnels_at_next_start: unshowable(&changes, "tunnel"),
            chat: serving.chat.clone(),
            tunnels: serving.tunnels.clone(),
            ..Self::default()
        };
        // What the file names is used where it names another one than before that can be used now; elsewhere what
        // serves goes on.
        for change in &changes {
            match path(change).as_slice() {
                ["tunnel", name, "plugin"] if !plan.tunnels_at_next_start.contains(*name) => {
                    match config.tunnels.get(*name).map(|tunnel| &tunnel.plugin) {
                        Some(named) if plan.at_next_start.contains(named) => None,
                        Some(named) => plan.tunnels.insert((*name).to_owned(), named.clone()),
                        None => plan.tunnels.remove(*name),
                    };
                }
                ["chat", name, "plugin"] => {
                    let same = *name == config.chat.name && *name == serving.chat_name;
                    let named = &config.chat.plugin;
                    if same && !plan.at_next_start.contains(named) && !plan.at_next_start.contains(&plan.chat) {
                        plan.chat.clone_from(named);
                    }
                }
                _ => {}
            }
        }
        for change in changes {
            match plan.parts(&change, counts, config, serving) {
                Some(parts) if showable(&change) => plan.confirm.push((change, parts)),
                _ => plan.restart.push(change),
            }
        }
        plan
    }

    /// `parts` are those that a change concerns; `None`: it is not applied before the next start.
    fn parts(
        &self,
        change: &Change,
        counts: &Values,
        config: &Config,
        serving: &ActivePlugins,
    ) -> Option<BTreeSet<Part>> {
        match path(change).as_slice() {
            ["log", "filter"] => Some([Part::Filter].into()),
            // It serves already, by a swap or as the default.
            ["tunnel", name, "plugin"] if serves(serving.tunnels.get(*name), config.tunnels.get(*name)) => {
                Some(BTreeSet::new())
            }
            ["chat", name, "plugin"] if *name == serving.chat_name && config.chat.plugin == serving.chat => {
                Some(BTreeSet::new())
            }
            ["tunnel", name, key, ..] => {
                let (was, is) = (counts.has(&["tunnel", name]), config.tunnels.get(*name));
                let by = self.tunnels.get(*name);
                let waits = self.tunnels_at_next_start.contains(*name)
                    || by.is_some_and(|plugin| self.at_next_start.contains(plugin))
                    // A new one whose plugin has to wait.
                    || is.is_some() && by.is_none()
                    || *key == "plugin" && is.is_some_and(|tunnel| by != Some(&tunnel.plugin))
                    // Says what happens at a start; of a new one that is now.
                    || *key == "autostart" && was && is.is_some();
                (!waits).then(|| [Part::Tunnel((*name).to_owned())].into())
            }
            ["chat", _, "plugin"] => (self.chat == config.chat.plugin).then(|| [Part::Chat].into()),
            ["plugin", plugin, ..] if !self.at_next_start.contains(*plugin) => {
                let tunnels = self.tunnels.iter().filter(|(_, by)| by == plugin);
                let mut parts: BTreeSet<Part> = tunnels.map(|(name, _)| Part::Tunnel(name.clone())).collect();
                parts.extend((self.chat == *plugin).then_some(Part::Chat));
                Some(parts)
            }
            _ => None,
        }
    }

    /// `tunnel` is as it is to be; `None`: the file has it no more.
    pub(super) fn tunnel(&self, name: &str, config: &Config) -> Option<Tunnel> {
        let tunnel = config.tunnels.get(name)?;
        Some(Tunnel {
            plugin: self.tunnels.get(name).unwrap_or(&tunnel.plugin).clone(),
            ..tunnel.clone()
        })
    }

    /// `effects` are what confirming does, in words.
    pub(super) fn effects(&self, serving: &ActivePlugins, config: &Config) -> Vec<Effect> {
        let parts: BTreeSet<&Part> = self.confirm.iter().flat_map(|(_, parts)| parts).collect();
        let effects = parts.into_iter().filter_map(|part| match part {
            Part::Filter => None,
            Part::Tunnel(name) => {
                let (now, then) = (serving.tunnels.get(name), self.tunnels.get(name));
                let (what, disconnects) = match (now, then) {
                    (_, None) => ("is closed and removed".to_owned(), true),
                    (None, Some(_)) if config.tunnels.get(name).is_some_and(|tunnel| tunnel.autostart) => {
                        ("is new and opens".to_owned(), false)
                    }
                    (None, Some(_)) => ("is new".to_owned(), false),
                    (Some(now), Some(then)) if now == then && serving.closed.contains(name) => {
                        ("gets new settings".to_owned(), false)
                    }
                    (Some(now), Some(then)) if now == then => {
                        ("is closed and reopened, possibly at another address".to_owned(), true)
                    }
                    (Some(_), Some(then)) => (format!("gets the provider {then} and a new address"), false),
                };
                Some(Effect {
                    tunnel: Some(name.clone()),
                    description: format!("Tunnel {name} {what}."),
                    disconnects,
                })
            }
            Part::Chat => {
                let limit = limits::CHAT_DRAIN.as_secs();
                let what = if self.chat == serving.chat {
                    "restarts".to_owned()
                } else {
                    format!("is replaced with {}", self.chat)
                };
                Some(Effect {
                    tunnel: None,
                    description: format!(
                        "The chat backend {what} when no answer is running, in {limit} s at the latest."
                    ),
                    disconnects: false,
                })
            }
        });
        effects.collect()
    }
}

fn serves(plugin: Option<&String>, tunnel: Option<&Tunnel>) -> bool {
    plugin.is_some() && plugin == tunnel.map(|tunnel| &tunnel.plugin)
}

/// `unshowable` are the tunnels, or plugins, of which a change cannot be shown whole.
fn unshowable(changes: &[Change], kind: &str) -> BTreeSet<String> {
    let found = changes.iter().filter(|change| !showable(change));
    let names = found.filter_map(|change| match path(change).as_slice() {
        [found, name, ..] if *found == kind => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

/// `at_next_start` are the plugins that stay as they are. What is fixed can be named again, but not be changed. A secret
/// from a variable that child processes get until the next start is none; and what runs a chat's programs in another
/// workspace is another chat.
fn at_next_start(
    changes: &[Change],
    config: &Config,
    serving: &ActivePlugins,
    hidden: &BTreeSet<String>,
) -> BTreeSet<String> {
    let changed = changes.iter().filter_map(|change| match path(change).as_slice() {
        ["plugin", plugin, ..] => serving.fixed.get(*plugin),
        _ => None,
    });
    let mut at_next_start: BTreeSet<String> = changed.cloned().collect();
    let moved = |change: &Change| matches!(path(change).as_slice(), ["chat", _, "workspace" | "workspaces", ..]);
    if changes.iter().any(moved) {
        let chats = config.plugins.values().filter(|plugin| plugin.kind == Kind::Chat);
        at_next_start.extend(chats.map(|plugin| plugin.name.clone()));
        at_next_start.insert(serving.chat.clone());
    }
    let secret = changes.iter().filter_map(|change| match path(change).as_slice() {
        ["plugin", plugin, "secrets", _, "env"] => {
            let variable = change.now.as_ref()?.as_str()?;
            (!hidden.contains(variable)).then(|| (*plugin).to_owned())
        }
        _ => None,
    });
    at_next_start.extend(secret);
    at_next_start.extend(unshowable(changes, "plugin"));
    at_next_start
}
