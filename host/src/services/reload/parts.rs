//! Which part of the running host a change of the file concerns.

use super::Serving;
use crate::config::changes::{Change, Values};
use crate::config::resolved::{Config, Tunnel};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What can be put into force while Nexus runs.
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

/// The changes of a file, by what has to be done for them.
#[derive(Debug, Default)]
pub(super) struct Parted {
    /// Can be put into force now, by these parts; none: only what is loaded later is another.
    pub(super) confirm: Vec<(Change, BTreeSet<Part>)>,
    pub(super) restart: Vec<Change>,
    /// Plugins that stay as they are until the next start.
    pub(super) held: BTreeSet<String>,
    /// The plugin of each tunnel, and of the chat, once all is in force.
    tunnels: BTreeMap<String, String>,
    pub(super) chat: String,
    chat_name: String,
}

pub(super) fn is_filter(change: &Change) -> bool {
    path(change) == ["log", "filter"]
}

fn path(change: &Change) -> Vec<&str> {
    change.key.iter().map(String::as_str).collect()
}

impl Parted {
    pub(super) fn new(
        counts: &Values,
        file: &Values,
        config: &Config,
        serving: &Serving,
        hidden: &BTreeSet<String>,
    ) -> Self {
        let changes = counts.changes(file);
        let mut parted = Self {
            held: held(&changes, config, serving, hidden),
            chat: serving.chat.clone(),
            chat_name: serving.chat_name.clone(),
            tunnels: serving.tunnels.clone(),
            ..Self::default()
        };
        // What the file names counts where it names another one than before; elsewhere whoever serves goes on.
        for change in &changes {
            match path(change).as_slice() {
                ["tunnel", name, "plugin"] => {
                    let named = config.tunnels.get(*name).map(|tunnel| &tunnel.plugin);
                    match named {
                        Some(named) => parted.tunnels.insert((*name).to_owned(), named.clone()),
                        None => parted.tunnels.remove(*name),
                    };
                }
                ["chat", name, "plugin"] if *name == config.chat.name => parted.chat.clone_from(&config.chat.plugin),
                _ => {}
            }
        }
        for change in changes {
            match parted.parts(&change, counts, config) {
                Some(parts) => parted.confirm.push((change, parts)),
                None => parted.restart.push(change),
            }
        }
        parted
    }

    /// None: not before the next start.
    fn parts(&self, change: &Change, counts: &Values, config: &Config) -> Option<BTreeSet<Part>> {
        match path(change).as_slice() {
            ["log", "filter"] => Some([Part::Filter].into()),
            ["tunnel", name, key, ..] => {
                let both = counts.has(&["tunnel", name]) && config.tunnels.contains_key(*name);
                let held = self.tunnels.get(*name).is_some_and(|plugin| self.held.contains(plugin));
                // `autostart` says what happens at a start; of a new one that is now.
                let waits = held || both && *key == "autostart";
                (!waits).then(|| [Part::Tunnel((*name).to_owned())].into())
            }
            ["chat", name, "plugin"] => {
                // Without a table the chat is there too.
                let same = *name == config.chat.name && *name == self.chat_name && !self.held.contains(&self.chat);
                same.then(|| [Part::Chat].into())
            }
            ["plugin", plugin, ..] if !self.held.contains(*plugin) => {
                let tunnels = self.tunnels.iter().filter(|(_, by)| by == plugin);
                let mut parts: BTreeSet<Part> = tunnels.map(|(name, _)| Part::Tunnel(name.clone())).collect();
                parts.extend((self.chat == *plugin).then_some(Part::Chat));
                Some(parts)
            }
            _ => None,
        }
    }

    /// As it is to be; none where the file has it no more.
    pub(super) fn tunnel(&self, name: &str, config: &Config) -> Option<Tunnel> {
        let tunnel = config.tunnels.get(name)?;
        Some(Tunnel {
            plugin: self.tunnels.get(name).unwrap_or(&tunnel.plugin).clone(),
            ..tunnel.clone()
        })
    }
}

/// A secret from a variable that child processes get until the next start is none; and what runs a chat's programs in
/// another workspace is another chat.
fn held(changes: &[Change], config: &Config, serving: &Serving, hidden: &BTreeSet<String>) -> BTreeSet<String> {
    let mut held = serving.fixed.clone();
    let moved = |change: &Change| matches!(path(change).as_slice(), ["chat", _, "workspace"]);
    if changes.iter().any(moved) {
        held.extend([serving.chat.clone(), config.chat.plugin.clone()]);
    }
    let secret = changes.iter().filter_map(|change| match path(change).as_slice() {
        ["plugin", plugin, "secrets", _, "env"] => {
            let variable = change.now.as_ref()?.as_str()?;
            (!hidden.contains(variable)).then(|| (*plugin).to_owned())
        }
        _ => None,
    });
    held.extend(secret);
    held
}
