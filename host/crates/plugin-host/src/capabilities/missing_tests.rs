//! What is missing is decided once: what the gate refuses, what the configuration's check lists, what the status page shows
//! and what the lines to paste grant are the same for each configuration.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::gate::{Denial, Gate};
use super::test_gate::{configuration, manifest, url};
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

/// What the gate refuses of all that the manifest asks for, each with its denial.
fn denials(gate: &Gate) -> Vec<(&'static str, Denial)> {
    let http = |server| gate.http(&url(server)).map(drop);
    let near = url("http://127.0.0.1:8000");
    let local = gate.http(&near);
    let local = local.and_then(|grant| {
        let refused = || gate.private("it is an address of this machine", grant);
        grant.private.then_some(()).ok_or_else(refused)
    });
    let asked = [
        (TOOL, gate.run("tool", true, &[])),
        (OTHER, http("https://other.example:8443")),
        (STAR, http("https://*.example.org")),
        (LOCAL, local),
        (STORE, gate.store().map(drop)),
    ];
    asked
        .into_iter()
        .filter_map(|(words, allowed)| Some((words, allowed.err()?)))
        .collect()
}

fn refused(gate: &Gate) -> Vec<&'static str> {
    denials(gate).into_iter().map(|(words, _)| words).collect()
}

/// The lines that a denial gives to paste are among those that the check gives for all that is missing, in the same words.
fn agree(denial: &Denial, all: &str, plugin: &Plugin) {
    let (_, own) = denial.0.split_once(":\n").unwrap();
    let plain = |line: &str| line.split("   # ").next().unwrap_or_default().to_owned();
    let lines: Vec<String> = all.lines().map(plain).collect();
    let servers = |toml: &str| {
        let table: toml::Table = toml.parse().unwrap();
        table["plugin"]["demo"]["grants"]["http"].as_array().unwrap().clone()
    };
    for line in own.lines() {
        if line.starts_with("http = ") {
            let granted = |one: &toml::Value| {
                plugin
                    .grants
                    .http
                    .iter()
                    .any(|grant| grant.to_toml() == one.to_string())
            };
            let there = servers(all);
            let missing = servers(own)
                .into_iter()
                .filter(|one| !there.contains(one) && !granted(one));
            let missing: Vec<_> = missing.collect();
            assert!(missing.is_empty(), "{own}\nhas {missing:?}, and not\n{all}");
        } else {
            assert!(lines.contains(&plain(line)), "{own}\nis not in\n{all}");
        }
    }
}

fn gate(plugin: &Plugin) -> Gate {
    Gate::new(plugin, &manifest(), Path::new("/nonexistent"))
}

/// What the status page lists.
fn shown(plugin: &Plugin) -> Vec<String> {
    let inspection = Inspection {
        manifest: manifest(),
        kind: Kind::Chat,
        minor: &crate::minors::NEWEST,
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
fn what_is_missing_is_the_same_wherever_it_is_shown() {
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
        let denials = denials(&gate(plugin));
        for (_, denial) in denials.iter().filter(|(words, _)| missing.contains(words)) {
            agree(denial, &fix.lines, plugin);
        }

        // A configuration that refuses nothing of it: what is pasted was asked for.
        let pasted = configuration(&fix.lines);
        let plugin = &pasted.plugins["demo"];
        assert_eq!(words(plugin), Vec::<String>::new(), "{}", fix.lines);
        assert_eq!(shown(plugin), Vec::<String>::new(), "{}", fix.lines);
        assert!(lines(&pasted).is_none(), "{}", fix.lines);
        assert_eq!(refused(&gate(plugin)), refused_by_operator, "{}", fix.lines);
    }
}
