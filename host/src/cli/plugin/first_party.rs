//! The components that ship inside the binary: built by `nexus plugin build --builtin`, checked in under `host/builtin/` with
//! a lock that says what they were built from. So `cargo run` and `cargo install` need no compiler for components.

use super::build::{build, write};
use super::source_digest::{PROFILE, digest, sha256};
use super::toolchain::Workspace;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// `PLUGINS` has the name of each and its crate, relative to the workspace.
pub const PLUGINS: [(&str, &str); 8] = [
    ("auth-local", "plugins/auth-local"),
    ("chat-acp", "plugins/chat-acp"),
    ("chat-echo", "examples/chat-echo"),
    ("chat-openai", "plugins/chat-openai"),
    ("chat-opencode", "plugins/chat-opencode"),
    ("tunnel-bore", "plugins/tunnel-bore"),
    ("tunnel-cloudflared", "plugins/tunnel-cloudflared"),
    ("tunnel-ssh", "plugins/tunnel-ssh"),
];

/// `COMMAND` is what to run when a source digest is stale.
pub const COMMAND: &str = "cargo run -- plugin build --builtin";

const FOLDER: &str = "host/builtin";

/// `Lock` is `builtin.lock`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// `plugin` has the components by name.
    #[serde(default)]
    pub plugin: BTreeMap<String, Locked>,
}

/// `Locked` is one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// `source` is what [`digest`] says about the sources it was built from.
    pub source: String,
    /// `component` is the SHA-256 of the file, in hexadecimal.
    pub component: String,
    /// `rustc` is the version of the compiler: another one makes other bytes.
    pub rustc: String,
}

/// `Rebuilt` is one line of the report.
#[derive(Debug, Serialize)]
pub struct Rebuilt {
    /// `name` is the plugin's.
    pub name: String,
    /// `version` is that of its manifest.
    pub version: String,
    /// `size` is in bytes.
    pub size: u64,
    /// `sha256` is that of the file, in hexadecimal.
    pub sha256: String,
    /// `changed`: the bytes differ from those that were there.
    pub changed: bool,
}

/// Builds all of [`PLUGINS`], and writes components, lock and the list that the binary includes.
///
/// # Errors
/// The folder is not in the repository of Nexus, or one of them cannot be built: then nothing is changed.
pub fn rebuild(directory: &Path) -> anyhow::Result<Vec<Rebuilt>> {
    let root = Workspace::of(directory)?.root;
    let folder = root.join(FOLDER);
    if !folder.is_dir() {
        bail!(
            "--builtin is for the repository of Nexus itself; {} has no folder {FOLDER}.",
            root.display()
        );
    }
    let mut lock = Lock::default();
    let mut components = Vec::new();
    let mut report = Vec::new();
    for (name, crate_dir) in PLUGINS {
        // No commit in them: they are part of the one that they are built from.
        let built =
            build(&root.join(crate_dir), Some(PROFILE), true, |_| None).with_context(|| format!("building {name}"))?;
        let found = built.inspection.manifest.name.as_str();
        if found != name {
            bail!("{crate_dir}/plugin.toml names the plugin `{found}`, but it is built in as `{name}`.");
        }
        let sha256 = sha256(&built.component);
        let before = std::fs::read(folder.join(format!("{name}.wasm"))).unwrap_or_default();
        report.push(Rebuilt {
            name: name.to_owned(),
            version: built.inspection.manifest.version.to_string(),
            size: built.component.len() as u64,
            sha256: sha256.clone(),
            changed: before != built.component,
        });
        let source = digest(&root, crate_dir)?;
        lock.plugin.insert(
            name.to_owned(),
            Locked {
                source,
                component: sha256,
                rustc: built.rustc,
            },
        );
        components.push((name, built.component));
    }
    for (name, component) in &components {
        write(&folder.join(format!("{name}.wasm")), component)?;
    }
    let text = format!("# Written by `{COMMAND}`.\n\n{}", toml::to_string(&lock)?);
    write(&folder.join("builtin.lock"), text.as_bytes())?;
    write(
        &folder.join("components.in"),
        list(components.iter().map(|(name, _)| *name)).as_bytes(),
    )?;
    Ok(report)
}

/// `list` is the expression that `builtin.rs` includes.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("&[\n");
    for name in names {
        let _ = writeln!(
            text,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/builtin/{name}.wasm\"))),"
        );
    }
    text.push_str("]\n");
    text
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]
mod tests {
    use super::*;
    use crate::builtin;

    fn lock() -> Lock {
        toml::from_str(include_str!("../../../builtin/builtin.lock")).unwrap()
    }

    #[test]
    fn the_components_are_those_of_the_lock() {
        let lock = lock();
        let built: Vec<_> = builtin::all().iter().map(|(name, _)| *name).collect();
        assert_eq!(
            built,
            lock.plugin.keys().map(String::as_str).collect::<Vec<_>>(),
            "run `{COMMAND}`"
        );
        for (name, bytes) in builtin::all() {
            assert_eq!(
                sha256(bytes),
                lock.plugin[*name].component,
                "{name}.wasm does not match the lock file: run `{COMMAND}`"
            );
            let inspection = nexus_plugin_host::inspect(bytes).unwrap();
            assert_eq!(inspection.manifest.name.as_str(), *name);
        }
    }

    #[test]
    fn the_components_were_built_from_the_sources_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // `cargo package` writes this file, and puts no sources of plugins beside it.
        if Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml.orig").exists() {
            eprintln!("not checked: the packaged crate has no sources of plugins");
            return;
        }
        let lock = lock();
        for (name, crate_dir) in PLUGINS {
            let Some(locked) = lock.plugin.get(name) else {
                panic!("{name} is not built in: run `{COMMAND}`")
            };
            let now = digest(&root, crate_dir).unwrap();
            assert_eq!(
                now, locked.source,
                "{crate_dir} changed since host/builtin/{name}.wasm was built: run `{COMMAND}`"
            );
        }
    }

    #[test]
    fn the_list_names_each_component() {
        let text = list(["a-b"].into_iter());
        assert!(
            text.contains("(\"a-b\", include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/builtin/a-b.wasm\")))"),
            "{text}"
        );
    }
}
