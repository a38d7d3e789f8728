//! What a plugin is and may do, in words for its operator, and what was counted of it.

use crate::capabilities::{Counters, Gate, Requests};
use nexus_config::resolved::{Grants, HttpGrant, Plugin, Source};
use nexus_config::{show_duration, show_size};
use nexus_model::plugin::{self, Facts, Figures};
use nexus_model::time::Clock;
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_traits::PluginRecord;
use std::sync::Arc;

/// A plugin at its place. Outlives the instances that it has there.
pub(crate) struct Measured {
    /// Whose its processes are.
    owner: String,
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

    fn grants_and_facts(&self) -> Facts {
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
            lacks: lacks(self.gate.requests(), self.gate.grants()),
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
            words.push(format!("keeps up to {} of data", show_size(grants.store_quota)));
        }
        words.extend(grants.secrets.keys().map(|name| format!("reads the secret {name}")));
        words
    }

    fn limits(&self) -> Vec<String> {
        let limits = self.gate.limits();
        vec![
            format!("at most {} of memory", show_size(limits.memory)),
            format!("at most {} of CPU without a pause", show_duration(limits.cpu)),
            format!("at most {} % of a core over a minute", limits.cpu_share),
            format!("at most {} a minute into its store", show_size(limits.store_writes)),
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

impl PluginRecord for Measured {
    fn owner(&self) -> &str {
        &self.owner
    }
    fn figures(&self) -> Figures {
        self.counters.figures(self.clock.now())
    }
    fn facts(&self) -> Facts {
        self.grants_and_facts()
    }
}

/// Secrets are not among it: one that is not set is a setting that is not used.
fn lacks(asked: &Requests, granted: &Grants) -> Vec<String> {
    let programs = asked
        .processes
        .keys()
        .filter(|name| !granted.processes.contains_key(*name));
    let mut words: Vec<String> = programs.map(|name| format!("to run {name}")).collect();
    let http = asked.http.iter().filter(|wanted| {
        let same =
            |grant: &HttpGrant| (&grant.scheme, &grant.host, grant.port) == (&wanted.scheme, &wanted.host, wanted.port);
        !granted.http.iter().any(same)
    });
    words.extend(http.map(|grant| format!("to ask {}", server(grant))));
    if let Some(quota) = asked.store.filter(|quota| *quota > granted.store_quota) {
        words.push(format!("to keep up to {}", show_size(quota)));
    }
    words
}

fn asks(grant: &HttpGrant) -> String {
    let private = if grant.private {
        ", also on this machine or its network"
    } else {
        ""
    };
    format!("asks {}{private}", server(grant))
}

fn server(grant: &HttpGrant) -> String {
    let port = grant.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", grant.scheme, grant.host)
}

fn many(count: u32, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn words_are_those_of_the_configuration() {
        assert_eq!(
            [
                show_size(64 << 20),
                show_size(1 << 30),
                show_size(1536 << 10),
                show_size(1000)
            ],
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

    #[test]
    fn what_is_asked_for_and_not_granted_is_said() {
        let grant = |host: &str| HttpGrant {
            scheme: "https".into(),
            host: host.into(),
            port: None,
            private: false,
        };
        let asked = Requests {
            processes: [("ssh".to_owned(), false)].into(),
            variables: BTreeMap::new(),
            http: vec![grant("one.example"), grant("two.example")],
            store: Some(1 << 20),
            secrets: ["token".to_owned()].into(),
        };
        let all = [
            "to run ssh",
            "to ask https://one.example",
            "to ask https://two.example",
            "to keep up to 1 MiB",
        ];
        assert_eq!(lacks(&asked, &Grants::default()), all);
        let some = Grants {
            http: vec![grant("two.example")],
            store_quota: 2 << 20,
            ..Grants::default()
        };
        assert_eq!(lacks(&asked, &some), ["to run ssh", "to ask https://one.example"]);
    }
}
