//! What a plugin is and may do, in words for its operator, and what was counted of it.

use crate::capabilities::{self, Gate};
use crate::engine::Inspection;
use crate::plugin_stats::Counters;
use nexus_config::resolved::{Plugin, Source};
use nexus_model::plugin::{self, Facts, PluginStatistics};
use nexus_model::plural;
use nexus_model::time::Clock;
use nexus_model::units::exact_size;
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_traits::PluginRecord;
use std::sync::Arc;
use std::time::Duration;

/// `PluginInfo` is a plugin at its place. It outlives the instances that it has there.
pub(crate) struct PluginInfo {
    /// `owner` says whose its processes are.
    owner: String,
    digest: String,
    manifest: Manifest,
    source: Source,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl PluginInfo {
    pub(crate) fn new(
        owner: String,
        inspection: &Inspection,
        plugin: &Plugin,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            owner,
            digest: inspection.digest.clone(),
            manifest: inspection.manifest.clone(),
            source: plugin.source.clone(),
            gate,
            counters,
            clock,
        }
    }

    fn grants_and_facts(&self) -> Facts {
        Facts {
            digest: self.digest.clone(),
            description: self.manifest.description.clone(),
            authors: self.manifest.authors.clone(),
            license: self.manifest.license.clone(),
            source: match &self.source {
                Source::Builtin => plugin::Source::Builtin,
                Source::File(path) => plugin::Source::File(path.display().to_string()),
            },
            grants: capabilities::permissions(&self.gate),
            missing_permissions: self.gate.missing().iter().map(ToString::to_string).collect(),
            limits: self.limits(),
        }
    }

    fn limits(&self) -> Vec<String> {
        let limits = self.gate.limits();
        let own = [
            format!("{} of memory", exact_size(limits.memory)),
            format!(
                "{} of CPU time per call before it must return to Nexus",
                spaced(limits.cpu)
            ),
            match limits.cpu_share {
                share if share.is_multiple_of(100) => {
                    format!(
                        "{} of CPU, averaged over a minute",
                        plural::of((share / 100).into(), "core", "cores")
                    )
                }
                share => format!("{share} % of a core, averaged over a minute"),
            },
            format!("{} to answer a call", spaced(limits.call)),
            plural::of(
                limits.streams.into(),
                "waiting call or stream",
                "waiting calls and streams",
            ),
        ];
        own.into_iter().chain(capabilities::limits(&self.gate)).collect()
    }
}

/// `spaced` is a limit in words: `2 s`, `1 min`.
fn spaced(limit: Duration) -> String {
    let ms = limit.as_millis();
    match ms {
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => format!("{ms} ms"),
    }
}

impl PluginRecord for PluginInfo {
    fn owner(&self) -> &str {
        &self.owner
    }
    fn statistics(&self) -> PluginStatistics {
        self.counters.statistics(self.clock.now())
    }
    fn facts(&self) -> Facts {
        self.grants_and_facts()
    }
}
