//! What a plugin is and may do, in words for its operator, and what was counted of it.

use crate::capabilities::{Counters, Gate};
use crate::config::resolved::{HttpGrant, Plugin, Source};
use crate::config::show_duration;
use crate::model::plugin::{self, Facts, Figures};
use crate::time::Clock;
use nexus_plugin_api::manifest::Manifest;
use std::sync::Arc;

/// A plugin at its place. Outlives the instances that it has there.
pub struct Measured {
    /// Whose its processes are.
    pub owner: String,
    digest: String,
    manifest: Manifest,
    source: Source,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl Measured {
    pub(crate) fn new(
        owner: String,
        inspection: &super::Inspection,
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

    pub fn figures(&self) -> Figures {
        self.counters.figures(self.clock.now())
    }

    /// Looks where the granted programs are now, so it asks the disk.
    pub fn facts(&self) -> Facts {
        Facts {
            digest: self.digest.clone(),
            description: self.manifest.description.clone(),
            authors: self.manifest.authors.clone(),
            licence: self.manifest.licence.clone(),
            source: match &self.source {
                Source::Builtin => plugin::Source::Builtin,
                Source::File(path) => plugin::Source::File(path.display().to_string()),
            },
            grants: self.grants(),
            limits: self.limits(),
        }
    }

    fn grants(&self) -> Vec<String> {
        let grants = self.gate.grants();
        let mut words = Vec::new();
        for (binary, grant) in &grants.processes {
            // Only granted names are asked for here, so nothing is refused and counted.
            let place = match self.gate.find(binary) {
                Ok(Ok(path)) => path.display().to_string(),
                Ok(Err(_)) | Err(_) => "not found on this machine".to_owned(),
            };
            let environment = if grant.inherit_env {
                " with your environment"
            } else {
                ""
            };
            words.push(format!("runs {binary} ({place}){environment}"));
        }
        words.extend(grants.http.iter().map(asks));
        if grants.store_quota > 0 {
            words.push(format!("keeps up to {}", size(grants.store_quota)));
        }
        words.extend(grants.secrets.keys().map(|name| format!("reads the secret {name}")));
        words
    }

    fn limits(&self) -> Vec<String> {
        let limits = self.gate.limits();
        vec![
            format!("at most {} of memory", size(limits.memory)),
            format!("at most {} of CPU without a pause", show_duration(limits.cpu)),
            format!("an answer within {}", show_duration(limits.call)),
            format!(
                "at most {}",
                many(limits.streams, "waiting call or stream", "waiting calls and streams")
            ),
            format!("at most {}", many(limits.processes, "process", "processes")),
            format!(
                "at most {} a second in the log",
                many(limits.log_lines, "line", "lines")
            ),
        ]
    }
}

fn asks(grant: &HttpGrant) -> String {
    let port = grant.port.map(|port| format!(":{port}")).unwrap_or_default();
    let private = if grant.private {
        ", also on this machine or its network"
    } else {
        ""
    };
    format!("asks {}://{}{port}{private}", grant.scheme, grant.host)
}

fn many(count: u32, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// In the largest unit that divides it, as the configuration takes it.
fn size(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_configuration() {
        assert_eq!(
            [size(64 << 20), size(1 << 30), size(1536 << 10), size(1000)],
            ["64 MiB", "1 GiB", "1536 KiB", "1000 B"]
        );
        let grant = |host: &str, port, private| HttpGrant {
            scheme: "https".into(),
            host: host.into(),
            port,
            private,
        };
        assert_eq!(asks(&grant("*.example.org", None, false)), "asks https://*.example.org");
        assert_eq!(
            asks(&grant("nas", Some(8443), true)),
            "asks https://nas:8443, also on this machine or its network"
        );
        assert_eq!(many(1, "process", "processes"), "1 process");
    }
}
