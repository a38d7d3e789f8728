//! The status of a plugin and what was counted of it, made up.
#![allow(unreachable_pub)]

use nexus_model::plugin::{Facts, Kind, PluginState, PluginStatistics, PluginStatus, Source};
use nexus_model::time::{Clock as _, SystemClock};
use nexus_plugin_traits::PluginRecord;

pub fn status(name: &str, kind: Kind, state: PluginState) -> PluginStatus {
    PluginStatus {
        name: name.into(),
        kind,
        version: "0.1.0".into(),
        state,
        restarts: 0,
        last_failure: None,
        tunnel: None,
    }
}

pub struct FakeRecord {
    kind: Kind,
    restarts: u32,
}

impl FakeRecord {
    pub fn of(status: &PluginStatus) -> Self {
        Self {
            kind: status.kind,
            restarts: status.restarts,
        }
    }
}

impl PluginRecord for FakeRecord {
    fn owner(&self) -> &str {
        "nobody"
    }
    fn statistics(&self) -> PluginStatistics {
        PluginStatistics {
            at: SystemClock.now(),
            calls: 1_280,
            errors: 3,
            crashes: u64::from(self.restarts),
            events: 20_511,
            memory_peak_bytes: 3 << 20,
            cpu_ms: 4_210,
            cpu_paused_ms: 0,
            denied: u64::from(self.kind == Kind::Tunnel),
            log_dropped: 0,
        }
    }
    fn facts(&self) -> Facts {
        let (description, grants): (&str, &[&str]) = match self.kind {
            Kind::Auth => ("Accounts with a password, kept on this machine", &["store up to 1 MiB"]),
            Kind::Chat => (
                "Chat with opencode, which runs on this machine",
                &[
                    "run opencode (/usr/local/bin/opencode) with your environment",
                    "store up to 4 MiB",
                ],
            ),
            Kind::Tunnel => (
                "A tunnel over a bore server",
                &["run bore (not found on this machine)", "read the secret `secret`"],
            ),
        };
        Facts {
            digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            description: description.into(),
            authors: vec!["The Nexus authors".into()],
            license: "MIT OR Apache-2.0".into(),
            source: match self.kind {
                Kind::Tunnel => Source::File("/opt/plugins/tunnel-bore.wasm".into()),
                Kind::Auth | Kind::Chat => Source::Builtin,
            },
            grants: grants.iter().map(|words| (*words).to_owned()).collect(),
            missing_permissions: Vec::new(),
            limits: vec![
                "64 MiB of memory".into(),
                "2s of CPU time per call before it must return to Nexus".into(),
            ],
        }
    }
}
