//! What is missing is decided once: what the gate refuses, what the configuration's check lists, what the status page shows
//! and what the lines to paste grant are the same for each configuration.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::gate::Gate;
use super::test_gate::{configuration, manifest};
use crate::engine::Inspection;
use crate::worlds::PluginInfo;
use nexus_config::missing_permissions;
use nexus_config::resolved::{Config, Plugin};
use nexus_model::plugin::Kind;
use nexus_model::time::SystemClock;
use nexus_plugin_traits::PluginRecord as _;
use std::path::Path;
use std::sync::Arc;

const TOOL: &str = "run tool with your environment";
const OTHER: &str = "send requests to https://other.example:8443";
const STAR: &str = "send requests to https://*.example.org";
const LOCAL: &str = "send requests to http://127.0.0.1:8000, including private addresses";
const STORE: &str = "store up to 4 KiB";

/// Lines about the plugin, what is missing then, and what its operator refused it.
const CASES: [(&str, &[&str], &[&str]); 8] = [
    ("", &[TOOL, OTHER, STAR, LOCAL, STORE], &[]),
    (
        "[plugin.demo.grants]\nstore_quota = \"4 KiB\"",
        &[TOOL, OTHER, STAR, LOCAL],
        &[],
    ),
    // Less than it asks for is meant.
    (
        "[plugin.demo.grants]\nstore_quota = \"1 KiB\"",
        &[TOOL, OTHER, STAR, LOCAL],
        &[],
    ),
    (
        "[plugin.demo.grants]\nhttp = [\"https://other.example:8443\"]",
        &[TOOL, STAR, LOCAL, STORE],
        &[],
    ),
    // The server is granted, and that it is on this machine is not.
    (
        "[plugin.demo.grants]\nhttp = [\"http://127.0.0.1:8000\"]",
        &[TOOL, OTHER, STAR, LOCAL, STORE],
        &[],
    ),
    (
        "[plugin.demo.grants]\nhttp = [{ url = \"http://127.0.0.1:8000\", private = true }]",
        &[TOOL, OTHER, STAR, STORE],
        &[],
    ),
    // The program is granted, and its environment is not.
    (
        "[plugin.demo.grants.process.tool]",
        &[TOOL, OTHER, STAR, LOCAL, STORE],
        &[],
    ),
    (
        "[plugin.demo.grants.process.tool]\ninherit_env = false",
        &[OTHER, STAR, LOCAL, STORE],
        &[TOOL],
    ),
];

/// What the gate refuses of all that the manifest asks for.
fn refused(gate: &Gate) -> Vec<&'static str> {
    let http = |scheme, host, port| gate.http(scheme, host, port).map(|grant| grant.private);
    let asked = [
        (TOOL, gate.run("tool", true, &[]).is_ok()),
        (OTHER, http("https", "other.example", Some(8443)).is_ok()),
        (STAR, http("https", "a.example.org", None).is_ok()),
        (LOCAL, http("http", "127.0.0.1", Some(8000)).unwrap_or(false)),
        (STORE, gate.store().is_ok()),
    ];
    asked
        .into_iter()
        .filter(|(_, allowed)| !allowed)
        .map(|(words, _)| words)
        .collect()
}

fn gate(plugin: &Plugin) -> Gate {
    Gate::new(plugin, &manifest(), Path::new("/nonexistent"))
}

/// What the status page lists.
fn shown(plugin: &Plugin) -> Vec<String> {
    let inspection = Inspection {
        manifest: manifest(),
        kind: Kind::Chat,
        digest: String::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        size: 0,
        memory: 0,
    };
    let gate = Arc::new(gate(plugin));
    let info = PluginInfo::new(
        "demo".to_owned(),
        &inspection,
        plugin,
        gate,
        Arc::default(),
        Arc::new(SystemClock),
    );
    info.facts().missing_permissions
}

fn words(plugin: &Plugin) -> Vec<String> {
    plugin.missing.iter().map(ToString::to_string).collect()
}

fn lines(config: &Config) -> Option<nexus_config::MissingPermissions> {
    missing_permissions(&config.plugins["demo"], &manifest(), &config.text, &|_| None)
}

#[test]
fn what_is_missing_is_the_same_wherever_it_is_said() {
    for (own, missing, refused_by_operator) in CASES {
        let config = configuration(own);
        let plugin = &config.plugins["demo"];
        assert_eq!(words(plugin), missing, "the configuration: {own}");
        assert_eq!(shown(plugin), missing, "the status page: {own}");
        let fix = lines(&config).unwrap();
        assert_eq!(fix.permissions, missing, "the check: {own}");
        let all = |words: &&str| missing.contains(words) || refused_by_operator.contains(words);
        assert!(refused(&gate(plugin)).iter().all(all), "the gate: {own}");
        let count = missing.len() + refused_by_operator.len();
        assert_eq!(refused(&gate(plugin)).len(), count, "the gate: {own}");

        // A configuration that refuses nothing of it: what is pasted was asked for.
        let pasted = configuration(&fix.lines);
        let plugin = &pasted.plugins["demo"];
        assert_eq!(words(plugin), Vec::<String>::new(), "{}", fix.lines);
        assert_eq!(shown(plugin), Vec::<String>::new(), "{}", fix.lines);
        assert!(lines(&pasted).is_none(), "{}", fix.lines);
        assert_eq!(refused(&gate(plugin)), refused_by_operator, "{}", fix.lines);
    }
}
