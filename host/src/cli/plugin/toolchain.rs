//! The compiler for components, and the flags that make its bytes the same on every machine.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `TARGET` is the target whose builds are components by themselves.
pub const TARGET: &str = "wasm32-wasip2";

/// `Toolchain` is a Rust that can build for [`TARGET`].
#[derive(Debug)]
pub struct Toolchain {
    /// `version` is as the compiler says it: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub version: String,
    commit: Option<String>,
    sysroot: PathBuf,
}

/// `Workspace` is what of `cargo metadata` is used.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// `root` is the folder of its `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

/// `Package` is one package of it.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// `id` is what cargo calls it in its messages.
    pub id: String,
    /// `name` is the one in its `Cargo.toml`.
    pub name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

/// `Dependency` is what a package names in its `Cargo.toml`; `path` where that is a folder.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
}

fn program(variable: &str, default: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| default.into())
}

/// `cargo` is free of what a surrounding build or the user's environment would add to the compiler's flags.
pub fn cargo() -> Command {
    let mut command = Command::new(program("CARGO", "cargo"));
    for variable in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    command
}

fn output(command: &mut Command, what: &str) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {what}. To fix: install Rust from https://rustup.rs"))?;
    if !output.status.success() {
        bail!(
            "{what} failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{what} wrote output that is not UTF-8"))
}

impl Toolchain {
    /// Finds the toolchain that applies in `directory` (rustup looks there for an override).
    ///
    /// # Errors
    /// There is none, or it has no standard library for the target: says what to install.
    pub fn find(directory: &Path) -> anyhow::Result<Self> {
        let rustc = |arguments: &[&str]| {
            let mut command = Command::new(program("RUSTC", "rustc"));
            output(command.args(arguments).current_dir(directory), "rustc")
        };
        let verbose = rustc(&["-vV"])?;
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        if !sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            bail!(
                "The Rust toolchain in {} has no standard library for {TARGET}. To fix:\n\n    rustup target add \
                 {TARGET}\n\nWithout rustup (a Rust of the distribution): install rustup from https://rustup.rs \
                 beside it. Debian's own packages (rustc-web, cargo-web, rust-web-src, lld-19) can build std for \
                 wasm32-unknown-unknown, which `wasm-tools component new` turns into a component; this command does \
                 not drive them yet.",
                sysroot.display()
            );
        }
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Ok(Self {
            version: verbose.lines().next().unwrap_or("rustc").to_owned(),
            commit: field("commit-hash:")
                .filter(|commit| *commit != "unknown")
                .map(str::to_owned),
            sysroot,
        })
    }

    /// `flags` are for `CARGO_ENCODED_RUSTFLAGS`: for the crate and all that it depends on. They name no folder of the plugin's
    /// own, so that plugins with one target directory share what they depend on: cargo compiles again what has other flags. A
    /// later prefix wins over an earlier one, so the general ones come first.
    ///
    /// # Errors
    /// A path that is not UTF-8: the compiler's flags could not name it.
    pub fn flags(&self, workspace: &Workspace) -> anyhow::Result<String> {
        let mut prefixes: Vec<(PathBuf, String)> = vec![(workspace.target_directory.clone(), "/target".to_owned())];
        prefixes.extend(workspace.folders_beside());
        // The folder of a registry has a hash of its address in its name.
        for registry in registries() {
            prefixes.push((registry, "/registry".to_owned()));
        }
        if let Some(commit) = &self.commit {
            prefixes.push((self.sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
        }
        let flags: anyhow::Result<Vec<String>> = prefixes.iter().map(|(from, to)| remapped(from, to)).collect();
        Ok(flags?.join("\u{1f}"))
    }
}

fn remapped(from: &Path, to: &str) -> anyhow::Result<String> {
    let from = from
        .to_str()
        .context("a path of this build is not UTF-8; move the folder")?;
    Ok(format!("--remap-path-prefix={from}={to}"))
}

/// `registries` are where the sources of dependencies lie, one folder for each registry.
fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(sources)
        .map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
        .unwrap_or_default();
    found.sort();
    found
}

impl Workspace {
    /// `folders_beside` are those of dependencies that lie outside of the workspace, such as a clone of the SDK, and their names.
    fn folders_beside(&self) -> BTreeMap<PathBuf, String> {
        let dependencies = self.packages.iter().flat_map(|package| &package.dependencies);
        let folders = dependencies.filter_map(|one| Some((one.path.clone()?, format!("/dependencies/{}", one.name))));
        folders.filter(|(folder, _)| !folder.starts_with(&self.root)).collect()
    }

    /// `flags` are for the compiler of the plugin's own crate alone. Those beside it in the workspace are named to the compiler
    /// from the workspace on, so their code has no path of this machine either.
    ///
    /// # Errors
    /// As those of [`Toolchain::flags`].
    pub fn flags(&self) -> anyhow::Result<Vec<String>> {
        let mut flags = vec![remapped(&self.root, "/workspace")?];
        // It may be below the workspace.
        flags.push(remapped(&self.target_directory, "/target")?);
        Ok(flags)
    }

    /// Reads the workspace of the crate in `directory`.
    ///
    /// # Errors
    /// There is no crate there, or its `Cargo.toml` is not valid: cargo's own words.
    pub fn of(directory: &Path) -> anyhow::Result<Self> {
        let manifest = directory.join("Cargo.toml");
        if !manifest.is_file() {
            bail!(
                "{} is not a Rust crate: it has no Cargo.toml. To fix: give the folder of the plugin.",
                directory.display()
            );
        }
        let mut command = cargo();
        command
            .args(["metadata", "--format-version=1", "--no-deps", "--manifest-path"])
            .arg(&manifest);
        serde_json::from_str(&output(&mut command, "cargo metadata")?).context("cargo metadata wrote unexpected output")
    }

    /// Finds the package whose `Cargo.toml` lies in `directory`.
    ///
    /// # Errors
    /// The folder holds a workspace without a package of its own.
    pub fn package(&self, directory: &Path) -> anyhow::Result<&Package> {
        let wanted = directory.join("Cargo.toml").canonicalize()?;
        let same = |package: &&Package| package.manifest_path.canonicalize().is_ok_and(|path| path == wanted);
        self.packages.iter().find(same).with_context(|| {
            let names: Vec<_> = self.packages.iter().map(|package| package.name.as_str()).collect();
            format!(
                "{} is a workspace without a package of its own. To fix: give the folder of one of: {}",
                directory.display(),
                names.join(", ")
            )
        })
    }

    /// `default_profile` is `plugin` where the workspace has a profile of that name, `release` elsewhere.
    pub fn default_profile(&self) -> &'static str {
        let read = || {
            std::fs::read_to_string(self.root.join("Cargo.toml"))
                .ok()?
                .parse::<toml::Table>()
                .ok()
        };
        let has = read().is_some_and(|table| table.get("profile").is_some_and(|p| p.get("plugin").is_some()));
        if has { "plugin" } else { "release" }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Two plugins that lie in folders of their own and share a target directory.
    #[test]
    fn what_plugins_depend_on_is_compiled_with_the_same_flags() {
        let toolchain = Toolchain {
            version: String::new(),
            commit: Some("c0".to_owned()),
            sysroot: "/rust".into(),
        };
        let flags = |root: &str| {
            let metadata = format!(
                r#"{{"workspace_root": "{root}", "target_directory": "/shared/target", "packages": [{{"id": "p", "name": "p",
                "manifest_path": "{root}/Cargo.toml", "dependencies": [{{"name": "sdk", "path": "/nexus/plugin-api"}},
                {{"name": "inner", "path": "{root}/inner"}}, {{"name": "serde", "path": null}}]}}]}}"#
            );
            let workspace: Workspace = serde_json::from_str(&metadata).unwrap();
            (toolchain.flags(&workspace).unwrap(), workspace.flags().unwrap())
        };
        let (one, other) = (flags("/work/one"), flags("/work/other"));
        assert_eq!(one.0, other.0);
        let shared: Vec<&str> = one.0.split('\u{1f}').collect();
        assert!(
            shared.contains(&"--remap-path-prefix=/nexus/plugin-api=/dependencies/sdk"),
            "{shared:?}"
        );
        assert!(
            shared.contains(&"--remap-path-prefix=/rust/lib/rustlib/src/rust=/rustc/c0"),
            "{shared:?}"
        );
        assert!(!one.0.contains("/work/one"), "{shared:?}");
        assert!(
            one.1.contains(&"--remap-path-prefix=/work/one=/workspace".to_owned()),
            "{:?}",
            one.1
        );
    }
}
