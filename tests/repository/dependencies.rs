//! No dependency is unused, and none is compiled in two versions without a reason in `deny.toml`, whose other rules
//! `cargo deny` checks in CI. These tests take a second and need no network and no tool, so that they run on every machine
//! and not only in CI.

use super::sources::root;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

fn toml(name: &str) -> toml::Table {
    fs::read_to_string(root().join(name)).unwrap().parse().unwrap()
}

/// What cargo says of the workspace. No network, and nothing is compiled.
fn cargo(args: &[&str]) -> String {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args).args(["--offline", "--locked", "--all-features"]);
    let said = cargo.current_dir(root()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn a_crate_in_two_versions_has_its_reason_in_deny_toml() {
    let deny = toml("deny.toml");
    let mut args = vec!["tree", "--workspace", "--prefix=none", "--format={p}"];
    for system in deny["graph"]["targets"].as_array().unwrap() {
        args.extend(["--target", system.as_str().unwrap()]);
    }
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in cargo(&args).lines().filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(" v").unwrap();
        let version = rest.split(' ').next().unwrap();
        versions.entry(name.to_owned()).or_default().insert(version.to_owned());
    }
    let skip = deny["bans"]["skip"].as_array().unwrap();
    let skip = skip
        .iter()
        .map(|one| one["crate"].as_str().unwrap().split_once('@').unwrap());
    let skip: Vec<(&str, &str)> = skip.collect();
    let is = |version: &str, from: &str| {
        version
            .strip_prefix(from)
            .is_some_and(|more| more.is_empty() || more.starts_with('.'))
    };
    let doubled = versions.iter().filter_map(|(name, all)| {
        let explained = |version: &&String| skip.iter().any(|(of, from)| of == name && is(version, from));
        let rest: Vec<&str> = all
            .iter()
            .filter(|version| !explained(version))
            .map(String::as_str)
            .collect();
        (rest.len() > 1).then(|| format!("  {name} {}", rest.join(" and ")))
    });
    let doubled: Vec<String> = doubled.collect();
    assert!(
        doubled.is_empty(),
        "These crates are compiled in more than one version:\n{}\nTo fix: use the version that the other crates use, or add \
         the older one to `skip` in deny.toml, with the crate that brings it.",
        doubled.join("\n")
    );
    let lock = toml("Cargo.lock");
    let locked = |(name, from): &&(&str, &str)| {
        let packages = lock["package"].as_array().unwrap();
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        let mut of_that_name = packages.iter().filter(|package| text(package, "name") == *name);
        of_that_name.any(|package| is(&text(package, "version"), from))
    };
    let gone: Vec<_> = skip.iter().filter(|one| !locked(one)).collect();
    assert!(
        gone.is_empty(),
        "`skip` in deny.toml names versions that are gone: {gone:?}. To fix: remove them."
    );
}

/// The version that a crate has to take which loads native code. None does: plugins are components.
const RESERVED: &str = "libloading";

#[test]
fn a_dependency_is_used_by_the_crate_that_names_it() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"])).unwrap();
    let mut unused = Vec::new();
    let mut named = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let mut sources = String::new();
        read(manifest.parent().unwrap(), &mut sources);
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            named.insert(name.to_owned());
            let code = dependency["rename"].as_str().unwrap_or(name).replace('-', "_");
            if !names(&sources, &code) {
                unused.push(format!("  {name} of {}", package["name"].as_str().unwrap()));
            }
        }
    }
    let shared = toml("Cargo.toml");
    let shared = shared["workspace"]["dependencies"].as_table().unwrap();
    unused.extend(
        shared
            .keys()
            .filter(|name| !named.contains(*name) && *name != RESERVED)
            .map(|name| format!("  {name} of the workspace")),
    );
    assert!(
        unused.is_empty(),
        "No source file names these dependencies:\n{}\nTo fix: remove them from Cargo.toml.",
        unused.join("\n")
    );
}

/// All Rust sources of a crate, without the crates in folders below it.
fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let own = path
                .file_name()
                .is_some_and(|name| name != "target" && name != "node_modules");
            if own && !path.join("Cargo.toml").exists() {
                read(&path, into);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// Whether code speaks of a crate: as the beginning of a path, or in a `use`.
fn names(sources: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    sources.match_indices(name).any(|(at, _)| {
        let (before, after) = (&sources[..at], &sources[at + name.len()..]);
        let line = before.rsplit('\n').next().unwrap().trim_start();
        let whole = !before.ends_with(part) && !after.starts_with(part);
        // What stands after `::` is somebody else's part of that name.
        let first = !before.ends_with("::") || before.ends_with(" ::");
        whole
            && first
            && !line.starts_with("//")
            && (after.starts_with("::") || line.starts_with("use ") || line.starts_with("pub use "))
    })
}
