//! Tunnels and the status of plugins.

use super::*;
use nexus_model::log::{About, LogLine};
use nexus_model::reload::{Change, Effect, Pending, What};
use nexus_web::port::ConfigApi;

pub struct FakeTunnels(pub watch::Sender<Vec<tunnel::Status>>);

impl FakeTunnels {
    pub(super) fn new() -> Self {
        let status = |name: &str, state, url: Option<&str>| tunnel::Status {
            name: name.into(),
            plugin: "tunnel-bore".into(),
            title: "bore".into(),
            encryption: Some(tunnel::Encryption::None),
            state,
            url: url.map(Into::into),
            fresh: false,
            fixed_listen: false,
            since: now(),
            figures: None,
            reconnects: 0,
            reach: None,
            swap: None,
        };
        let hint = Some("Is the server's address right, and its port open?".to_owned());
        let waiting = tunnel::State::Failed {
            why: "bore.example:7835 refused the connection.".into(),
            hint,
        };
        Self(watch::Sender::new(vec![
            status(
                "main",
                tunnel::State::Up { connections: 1 },
                Some("http://bore.example:40123"),
            ),
            status("spare", tunnel::State::Off, None),
            status("office", waiting, None),
        ]))
    }
    fn set(&self, name: &str, state: tunnel::State) -> Result<(), ApiError> {
        let mut found = false;
        self.0.send_modify(|list| {
            for status in list.iter_mut().filter(|status| status.name == name) {
                status.state = state.clone();
                found = true;
            }
        });
        if found {
            Ok(())
        } else {
            Err(ApiError::NotFound(format!("There is no tunnel {name}.")))
        }
    }
}

impl TunnelApi for FakeTunnels {
    fn tunnels(&self) -> watch::Receiver<Vec<tunnel::Status>> {
        self.0.subscribe()
    }
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        let done = self.set(
            name,
            tunnel::State::Starting {
                what: "connecting to bore.example".into(),
            },
        );
        async move { done }.boxed()
    }
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        let done = self.set(name, tunnel::State::Off);
        async move { done }.boxed()
    }
    fn plugins(&self) -> Vec<String> {
        Vec::new()
    }
    fn swap<'a>(&'a self, name: &'a str, _plugin: &'a str) -> Reply<'a, nexus_web::port::Swapped> {
        let why = format!("There is no other plugin for {name}.");
        async move { Err(ApiError::Refused(why)) }.boxed()
    }
}

pub struct FakeStatus(pub watch::Sender<Vec<plugin::Status>>);

impl FakeStatus {
    pub(super) fn new() -> Self {
        let status = |name: &str, kind, state| plugin::Status {
            name: name.into(),
            kind,
            version: "0.1.0".into(),
            state,
            restarts: 0,
            last_failure: None,
        };
        let mut chat = status("chat-opencode", plugin::Kind::Chat, plugin::State::Running);
        chat.restarts = 1;
        chat.last_failure = Some(plugin::Failure {
            at: now(),
            message: "trap: out of bounds memory access.".into(),
            hint: None,
            permanent: false,
        });
        let cause = "trap: all CPU of this plugin is used up".to_owned();
        Self(watch::Sender::new(vec![
            status("auth-local", plugin::Kind::Auth, plugin::State::Running),
            chat,
            status(
                "tunnel-bore",
                plugin::Kind::Tunnel,
                plugin::State::Restarting {
                    cause,
                    at: now() + 4000,
                },
            ),
        ]))
    }
}

fn details(status: &plugin::Status) -> plugin::Details {
    let (description, grants, processes): (&str, &[&str], Vec<plugin::Process>) = match status.kind {
        plugin::Kind::Auth => (
            "Accounts with a password, kept on this machine",
            &["keeps up to 1 MiB"],
            Vec::new(),
        ),
        plugin::Kind::Chat => (
            "Chat with opencode, which runs on this machine",
            &[
                "runs opencode (/usr/local/bin/opencode) with your environment",
                "keeps up to 4 MiB",
            ],
            vec![plugin::Process {
                name: "server".into(),
                pid: 4711,
                started_at: now() - 3_600_000,
                cpu_ms: Some(73_400),
                resident_bytes: Some(412 << 20),
                restarts: 1,
            }],
        ),
        plugin::Kind::Tunnel => (
            "A tunnel over a bore server",
            &["runs bore (not found on this machine)", "reads the secret secret"],
            // As on a machine that does not say what processes use.
            vec![plugin::Process {
                name: "bore".into(),
                pid: 4712,
                started_at: now() - 60_000,
                cpu_ms: None,
                resident_bytes: None,
                restarts: 0,
            }],
        ),
    };
    let tunnel = status.kind == plugin::Kind::Tunnel;
    plugin::Details {
        name: status.name.clone(),
        kind: status.kind,
        tunnel: tunnel.then(|| "main".to_owned()),
        facts: plugin::Facts {
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            description: description.into(),
            authors: vec!["The Nexus authors".into()],
            licence: "MIT OR Apache-2.0".into(),
            source: if tunnel {
                plugin::Source::File("/opt/plugins/tunnel-bore.wasm".into())
            } else {
                plugin::Source::Builtin
            },
            grants: grants.iter().map(|words| (*words).to_owned()).collect(),
            lacks: Vec::new(),
            limits: vec![
                "at most 64 MiB of memory".into(),
                "at most 2s of CPU without a pause".into(),
            ],
        },
        figures: plugin::Figures {
            at: now(),
            calls: 1_280,
            errors: 3,
            traps: u64::from(status.restarts),
            events: 20_511,
            memory_peak: 3 << 20,
            cpu_ms: 4_210,
            cpu_paused_ms: 0,
            denied: u64::from(tunnel),
            log_dropped: 0,
        },
        processes,
    }
}

/// A file that was edited.
pub struct FakeConfig(watch::Sender<Option<Pending>>);

impl FakeConfig {
    pub fn new() -> Self {
        let change = |key: &str, was: Option<&str>, now: Option<&str>| Change {
            key: key.into(),
            was: was.map(str::to_owned),
            now: now.map(str::to_owned),
            error: None,
        };
        Self(watch::Sender::new(Some(Pending {
            id: "0123456789abcdef".into(),
            seen_at: SystemClock.now(),
            what: What::Changed {
                confirm: vec![change(
                    "tunnel.main.plugin",
                    Some("\"tunnel-cloudflared\""),
                    Some("\"tunnel-bore\""),
                )],
                effects: vec![Effect {
                    what: "Tunnel main is given to tunnel-bore, at another address.".into(),
                    tunnel: Some("main".into()),
                    closes: false,
                }],
                gains: vec!["tunnel-bore may run bore".into()],
                components: Vec::new(),
                restart: vec![change("web.listen", None, Some("\"127.0.0.1:8080\""))],
                applying: false,
            },
        })))
    }
}

impl ConfigApi for FakeConfig {
    fn pending(&self) -> watch::Receiver<Option<Pending>> {
        self.0.subscribe()
    }
    fn apply<'a>(&'a self, _: &'a str) -> Reply<'a, ()> {
        self.0.send_replace(None);
        async { Ok(()) }.boxed()
    }
}

impl StatusApi for FakeStatus {
    fn plugins(&self) -> watch::Receiver<Vec<plugin::Status>> {
        self.0.subscribe()
    }
    fn details(&self) -> Vec<plugin::Details> {
        let plugins = self.0.borrow();
        plugins.iter().map(details).collect()
    }
    fn activity(&self) -> watch::Receiver<Arc<std::collections::VecDeque<nexus_model::activity::Note>>> {
        watch::Sender::default().subscribe()
    }
    fn log(&self, about: About, _: usize) -> Reply<'_, Vec<LogLine>> {
        let line = |level: &str, text: &str| LogLine {
            at: Some("2026-01-02T03:04:05.678Z".into()),
            level: Some(level.into()),
            text: text.into(),
        };
        let plugin = about.plugin.unwrap_or_else(|| "host".into());
        let lines = vec![
            line("INFO", &format!("<b>said</b> by plugin={plugin}")),
            line("WARN", "the plugin fell: trap"),
        ];
        async move { Ok(lines) }.boxed()
    }
    fn version(&self) -> &str {
        "0.1.0"
    }
    fn config_file(&self) -> &str {
        "/home/you/.config/nexus/nexus.toml"
    }
    fn workspace(&self) -> &str {
        "/project"
    }
}
