//! What is worth a message, found by comparing what is with what was told.

use crate::model::notice::{Kind, Notice};
use crate::model::plugin;
use crate::model::tunnel::{State, Status};
use crate::services::chat::Phase;
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// What was told of the tunnels.
#[derive(Debug, Default)]
pub struct Tunnels(BTreeMap<String, Told>);

#[derive(Debug, Default)]
struct Told {
    url: Option<String>,
    down: Down,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Down {
    #[default]
    No,
    /// It is tried again.
    ForNow,
    ForGood,
}

impl Tunnels {
    /// An address is told once, and again after it was told that the tunnel failed. A failure is told once, and once more
    /// when it becomes final.
    pub fn see(&mut self, all: &[Status], now: Millis) -> Vec<Notice> {
        let mut notices = Vec::new();
        for tunnel in all {
            let told = self.0.entry(tunnel.name.clone()).or_default();
            let say = |event, text, url| Notice {
                event,
                subject: format!("tunnel {}", tunnel.name),
                text,
                url,
                at: now,
            };
            let down = match &tunnel.state {
                State::Up { .. } => {
                    told.down = Down::No;
                    if tunnel.url.is_some() && tunnel.url != told.url {
                        told.url.clone_from(&tunnel.url);
                        let text = format!("The tunnel {} is open.", tunnel.name);
                        notices.push(say(Kind::TunnelUrl, text, tunnel.url.clone()));
                    }
                    continue;
                }
                State::Waiting { why, .. } => (Down::ForNow, format!("does not open and is tried again: {why}")),
                State::Failed { why, .. } => (Down::ForGood, format!("failed and waits for you: {why}")),
                _ => continue,
            };
            if down.0 > told.down {
                *told = Told {
                    url: None,
                    down: down.0,
                };
                let text = format!("The tunnel {} {}", tunnel.name, down.1);
                notices.push(say(Kind::TunnelFailed, text, None));
            }
        }
        notices
    }
}

/// What was told of the chat backend.
#[derive(Debug, Default)]
pub struct Backend(bool);

impl Backend {
    pub fn see(&mut self, title: &str, phase: &Phase, now: Millis) -> Option<Notice> {
        let failed = match phase {
            Phase::Failed { why, .. } => Some(why),
            _ => None,
        };
        let before = std::mem::replace(&mut self.0, failed.is_some());
        let why = failed.filter(|_| !before)?;
        Some(Notice {
            event: Kind::BackendFailed,
            subject: "chat".to_owned(),
            text: format!("{title} failed and waits for you: {why}"),
            url: None,
            at: now,
        })
    }
}

/// Which plugins were told to have failed.
#[derive(Debug, Default)]
pub struct Plugins(BTreeSet<String>);

impl Plugins {
    pub fn see(&mut self, all: &[plugin::Status], now: Millis) -> Vec<Notice> {
        let failed = |status: &plugin::Status| match &status.state {
            plugin::State::Failed { cause } => Some((status.name.clone(), cause.clone())),
            _ => None,
        };
        let failed: BTreeMap<String, String> = all.iter().filter_map(failed).collect();
        let new = failed.iter().filter(|(name, _)| !self.0.contains(*name));
        let notices = new.map(|(name, cause)| Notice {
            event: Kind::PluginFailed,
            subject: format!("plugin {name}"),
            text: format!("The plugin {name} fell too often and waits for you: {cause}"),
            url: None,
            at: now,
        });
        let notices = notices.collect();
        self.0 = failed.into_keys().collect();
        notices
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::tunnel::Encryption;

    fn tunnel(state: State, url: Option<&str>) -> Status {
        Status {
            name: "home".into(),
            plugin: "tunnel-bore".into(),
            title: "bore".into(),
            encryption: Some(Encryption::None),
            state,
            url: url.map(Into::into),
            since: 0,
            figures: None,
            reconnects: 0,
            reach: None,
            swap: None,
        }
    }

    #[test]
    fn an_address_is_told_once_and_a_failure_once_for_each_outage() {
        let mut seen = Tunnels::default();
        let mut see = |state: &State, url| {
            let found = seen.see(&[tunnel(state.clone(), url)], 5);
            found.into_iter().map(|n| (n.event, n.url)).collect::<Vec<_>>()
        };
        let up = State::Up { connections: 1 };
        let waits = State::Waiting {
            why: "no route".into(),
            hint: None,
            at: 9,
        };
        let failed = State::Failed {
            why: "refused".into(),
            hint: None,
        };
        let url = |text: &str| vec![(Kind::TunnelUrl, Some(text.to_owned()))];
        let down = vec![(Kind::TunnelFailed, None)];
        assert!(see(&State::Starting { what: "x".into() }, Some("http://a")).is_empty());
        assert_eq!(see(&up, Some("http://a")), url("http://a"));
        assert!(see(&State::Up { connections: 4 }, Some("http://a")).is_empty());
        assert!(see(&State::Off, None).is_empty());
        assert!(see(&up, Some("http://a")).is_empty(), "it is known");
        assert_eq!(see(&up, Some("http://b")), url("http://b"));
        assert_eq!(see(&waits, None), down);
        assert!(see(&State::Starting { what: "x".into() }, None).is_empty());
        assert!(see(&waits, None).is_empty(), "the same outage");
        assert_eq!(see(&failed, None), down, "now it is final");
        assert!(see(&failed, None).is_empty());
        assert_eq!(see(&up, Some("http://b")), url("http://b"), "it is back");
        assert_eq!(see(&failed, None), down);
    }

    #[test]
    fn a_backend_and_a_plugin_that_failed_are_told_once() {
        let mut backend = Backend::default();
        let failed = Phase::Failed {
            why: "no such model".into(),
            hint: None,
        };
        assert_eq!(backend.see("opencode", &Phase::Up, 1), None);
        let told = backend.see("opencode", &failed, 2).unwrap();
        assert_eq!(told.text, "opencode failed and waits for you: no such model");
        assert_eq!(backend.see("opencode", &failed, 3), None);
        assert_eq!(backend.see("opencode", &Phase::Up, 4), None);
        assert!(backend.see("opencode", &failed, 5).is_some());

        let mut plugins = Plugins::default();
        let status = |state| plugin::Status {
            name: "demo".into(),
            kind: plugin::Kind::Tunnel,
            version: "1".into(),
            state,
            restarts: 5,
            last_failure: None,
        };
        let dead = status(plugin::State::Failed { cause: "trap".into() });
        assert!(plugins.see(&[status(plugin::State::Running)], 1).is_empty());
        assert_eq!(plugins.see(std::slice::from_ref(&dead), 2)[0].subject, "plugin demo");
        assert!(plugins.see(std::slice::from_ref(&dead), 3).is_empty());
        assert!(plugins.see(&[status(plugin::State::Running)], 4).is_empty());
        assert_eq!(plugins.see(&[dead], 5).len(), 1);
    }
}
