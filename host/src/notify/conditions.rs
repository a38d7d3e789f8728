//! What is worth a message, found by comparing what is with what was told.

use nexus_chat::Phase;
use nexus_model::limits::NOTIFY_OUTAGE;
use nexus_model::notice::{Notice, NoticeKind};
use nexus_model::plugin::{PluginState, PluginStatus};
use nexus_model::time::Millis;
use nexus_model::tunnel::{PublicCheckResult, TunnelState, TunnelStatus};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// What was told of the tunnels.
#[derive(Debug, Default)]
pub(super) struct Tunnels(BTreeMap<String, SentNotices>);

#[derive(Debug, Default)]
struct SentNotices {
    url: Option<String>,
    down: OutageState,
    /// Since when no request gets through, while nobody was told.
    outage: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OutageState {
    #[default]
    No,
    /// It is tried again.
    ForNow,
    ForGood,
}

impl Tunnels {
    /// An address is told once, and again after it was told that the tunnel failed; one that was made just now is told when
    /// it can be opened. A failure is told once, and once more when it becomes final; an outage is one when it has lasted
    /// for [`NOTIFY_OUTAGE`].
    pub(super) fn see(&mut self, all: &[TunnelStatus], now: Millis) -> Vec<Notice> {
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
            let unreached = match tunnel.public_check.as_ref().map(|check| &check.result) {
                Some(PublicCheckResult::Failed { cause }) => Some(cause),
                Some(PublicCheckResult::Passed { .. }) | None => None,
            };
            let out = match (&tunnel.state, unreached) {
                (TunnelState::Up { .. } | TunnelState::Degraded { .. }, Some(cause)) => {
                    Some(format!("failed its public check: {cause}"))
                }
                (TunnelState::Reconnecting { cause }, _) => Some(format!("does not pass requests: {cause}")),
                (
                    TunnelState::Up { .. } | TunnelState::Degraded { .. } | TunnelState::Off | TunnelState::Stopping,
                    _,
                ) => {
                    told.outage = None;
                    None
                }
                _ => None,
            };
            if let Some(text) = out {
                let since = *told.outage.get_or_insert_with(Instant::now);
                if since.elapsed() >= NOTIFY_OUTAGE && told.down == OutageState::No {
                    (told.url, told.down) = (None, OutageState::ForNow);
                    let text = format!("The tunnel {} {text}", tunnel.name);
                    notices.push(say(NoticeKind::TunnelFailed, text, None));
                }
                continue;
            }
            let down = match &tunnel.state {
                TunnelState::Up { .. } if tunnel.url_propagating => continue,
                TunnelState::Up { .. } => {
                    told.down = OutageState::No;
                    if tunnel.url.is_some() && tunnel.url != told.url {
                        told.url.clone_from(&tunnel.url);
                        let text = format!("The tunnel {} is open.", tunnel.name);
                        notices.push(say(NoticeKind::TunnelUrl, text, tunnel.url.clone()));
                    }
                    continue;
                }
                TunnelState::Waiting { cause, .. } => (
                    OutageState::ForNow,
                    format!("does not open; Nexus keeps retrying: {cause}"),
                ),
                TunnelState::Failed { cause, .. } => {
                    (OutageState::ForGood, format!("failed and needs attention: {cause}"))
                }
                _ => continue,
            };
            if down.0 > told.down {
                *told = SentNotices {
                    url: None,
                    down: down.0,
                    outage: told.outage,
                };
                let text = format!("The tunnel {} {}", tunnel.name, down.1);
                notices.push(say(NoticeKind::TunnelFailed, text, None));
            }
        }
        notices
    }

    /// When an outage that nobody was told of has lasted long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        let outages = self.0.values().filter(|told| told.down == OutageState::No);
        outages.filter_map(|told| Some(told.outage? + NOTIFY_OUTAGE)).min()
    }
}

/// What was told of the chat backend.
#[derive(Debug, Default)]
pub(super) struct Backend(bool);

impl Backend {
    pub(super) fn see(&mut self, title: &str, phase: &Phase, now: Millis) -> Option<Notice> {
        let failed = match phase {
            Phase::Failed { cause, .. } => Some(cause),
            _ => None,
        };
        let before = std::mem::replace(&mut self.0, failed.is_some());
        let cause = failed.filter(|_| !before)?;
        Some(Notice {
            event: NoticeKind::BackendFailed,
            subject: "chat".to_owned(),
            text: format!("{title} failed and needs attention: {cause}"),
            url: None,
            at: now,
        })
    }
}

/// Which plugins were told to have failed.
#[derive(Debug, Default)]
pub(super) struct Plugins(BTreeSet<String>);

impl Plugins {
    pub(super) fn see(&mut self, all: &[PluginStatus], now: Millis) -> Vec<Notice> {
        let failed = |status: &PluginStatus| match &status.state {
            PluginState::Failed { cause } => Some((status.name.clone(), cause.clone())),
            _ => None,
        };
        let failed: BTreeMap<String, String> = all.iter().filter_map(failed).collect();
        let new = failed.iter().filter(|(name, _)| !self.0.contains(*name));
        let notices = new.map(|(name, cause)| Notice {
            event: NoticeKind::PluginFailed,
            subject: format!("plugin {name}"),
            text: format!("The plugin {name} crashed and reached its restart limit: {cause}"),
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
    use nexus_model::tunnel::Encryption;

    fn tunnel(state: TunnelState, url: Option<&str>) -> TunnelStatus {
        TunnelStatus {
            name: "home".into(),
            plugin: "tunnel-bore".into(),
            title: "bore".into(),
            encryption: Some(Encryption::None),
            state,
            url: url.map(Into::into),
            url_propagating: false,
            fixed_listen: false,
            since: 0,
            statistics: None,
            reconnects: 0,
            public_check: None,
            swap: None,
            addresses: Vec::new(),
            ext: nexus_model::chat::Ext::default(),
        }
    }

    #[test]
    fn an_address_is_reported_once_and_a_failure_once_for_each_outage() {
        let mut seen = Tunnels::default();
        let mut see = |state: &TunnelState, url| {
            let found = seen.see(&[tunnel(state.clone(), url)], 5);
            found.into_iter().map(|n| (n.event, n.url)).collect::<Vec<_>>()
        };
        let up = TunnelState::Up { connections: 1 };
        let waits = TunnelState::Waiting {
            cause: "no route".into(),
            fix: None,
            at: 9,
        };
        let failed = TunnelState::Failed {
            cause: "refused".into(),
            fix: None,
        };
        let url = |text: &str| vec![(NoticeKind::TunnelUrl, Some(text.to_owned()))];
        let down = vec![(NoticeKind::TunnelFailed, None)];
        assert!(see(&TunnelState::Starting { progress: "x".into() }, Some("http://a")).is_empty());
        assert_eq!(see(&up, Some("http://a")), url("http://a"));
        assert!(see(&TunnelState::Up { connections: 4 }, Some("http://a")).is_empty());
        assert!(see(&TunnelState::Off, None).is_empty());
        assert!(see(&up, Some("http://a")).is_empty(), "it is known");
        assert_eq!(see(&up, Some("http://b")), url("http://b"));
        assert_eq!(see(&waits, None), down);
        assert!(see(&TunnelState::Starting { progress: "x".into() }, None).is_empty());
        assert!(see(&waits, None).is_empty(), "the same outage");
        assert_eq!(see(&failed, None), down, "now it is final");
        assert!(see(&failed, None).is_empty());
        assert_eq!(see(&up, Some("http://b")), url("http://b"), "it is back");
        assert_eq!(see(&failed, None), down);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_reported_once_it_has_lasted_and_its_end_with_the_address() {
        use nexus_model::tunnel::PublicCheck;
        let lost = TunnelState::Reconnecting {
            cause: "no route".into(),
        };
        let unreached = |cause: &str| {
            let mut status = tunnel(TunnelState::Up { connections: 1 }, Some("http://a"));
            status.public_check = Some(PublicCheck {
                at: 1,
                result: PublicCheckResult::Failed { cause: cause.into() },
            });
            status
        };
        for out in [tunnel(lost, Some("http://a")), unreached("refused")] {
            let mut seen = Tunnels::default();
            let up = tunnel(TunnelState::Up { connections: 1 }, Some("http://a"));
            assert_eq!(seen.see(std::slice::from_ref(&up), 1).len(), 1);
            assert!(seen.see(std::slice::from_ref(&out), 2).is_empty());
            // A short one is nobody's business.
            tokio::time::advance(NOTIFY_OUTAGE / 2).await;
            assert!(seen.see(std::slice::from_ref(&up), 3).is_empty());
            assert!(seen.see(std::slice::from_ref(&out), 4).is_empty());
            let due = seen.due().unwrap();
            tokio::time::sleep_until(due).await;
            let told = seen.see(std::slice::from_ref(&out), 5);
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].event, NoticeKind::TunnelFailed);
            assert!(
                told[0].text.contains("no route") || told[0].text.contains("refused"),
                "{told:?}"
            );
            assert!(seen.see(std::slice::from_ref(&out), 6).is_empty() && seen.due().is_none());
            assert_eq!(seen.see(std::slice::from_ref(&up), 7)[0].event, NoticeKind::TunnelUrl);
        }
    }

    #[test]
    fn an_address_that_was_made_just_now_is_not_reported_yet() {
        let mut seen = Tunnels::default();
        let mut status = tunnel(TunnelState::Up { connections: 1 }, Some("https://a"));
        status.url_propagating = true;
        assert!(seen.see(std::slice::from_ref(&status), 1).is_empty());
        status.url_propagating = false;
        assert_eq!(seen.see(&[status], 2).len(), 1);
    }

    #[test]
    fn a_backend_and_a_plugin_that_failed_are_reported_once() {
        let mut backend = Backend::default();
        let failed = Phase::Failed {
            cause: "no such model".into(),
            fix: None,
        };
        assert_eq!(backend.see("opencode", &Phase::Up, 1), None);
        let told = backend.see("opencode", &failed, 2).unwrap();
        assert_eq!(told.text, "opencode failed and needs attention: no such model");
        assert_eq!(backend.see("opencode", &failed, 3), None);
        assert_eq!(backend.see("opencode", &Phase::Up, 4), None);
        assert!(backend.see("opencode", &failed, 5).is_some());

        let mut plugins = Plugins::default();
        let status = |state| PluginStatus {
            name: "demo".into(),
            kind: nexus_model::plugin::Kind::Tunnel,
            version: "1".into(),
            state,
            restarts: 5,
            last_failure: None,
            tunnel: None,
        };
        let dead = status(PluginState::Failed { cause: "trap".into() });
        assert!(plugins.see(&[status(PluginState::Running)], 1).is_empty());
        assert_eq!(plugins.see(std::slice::from_ref(&dead), 2)[0].subject, "plugin demo");
        assert!(plugins.see(std::slice::from_ref(&dead), 3).is_empty());
        assert!(plugins.see(&[status(PluginState::Running)], 4).is_empty());
        assert_eq!(plugins.see(&[dead], 5).len(), 1);
    }
}
