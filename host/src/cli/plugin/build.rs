//! Builds one crate into one file: the component with its manifest.

use super::toolchain::{TARGET, Toolchain, Workspace, cargo};
use crate::cli::terminal::print_error;
use anyhow::{Context as _, bail};
use nexus_plugin_api::MANIFEST_SECTION;
use nexus_plugin_api::manifest::Manifest;
use nexus_plugin_host::{Inspection, inspect};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use wasm_encoder::{ComponentSection as _, CustomSection};

/// `Built` is what was built.
#[derive(Debug)]
pub struct Built {
    /// `component` are the bytes of the component, with the manifest in it.
    pub component: Vec<u8>,
    /// `inspection` is what it says, wants and offers.
    pub inspection: Inspection,
    /// `rustc` is the version of the compiler.
    pub rustc: String,
    /// `beside` is where a build without `--out` leaves the file.
    pub beside: PathBuf,
}

/// Builds the crate in `directory`.
///
/// # Errors
/// A missing toolchain, a failing compilation, or a component that no host would load: each says what to do.
pub fn build(directory: &Path, profile: Option<&str>, locked: bool) -> anyhow::Result<Built> {
    let directory = directory
        .canonicalize()
        .with_context(|| format!("there is no folder {}", directory.display()))?;
    // What is cheap to find out comes before the compiler.
    let manifest_path = directory.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest_path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => "does not exist".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        anyhow::anyhow!(
            "{} {what}. To fix: give a plugin's folder; plugin-api/README.md shows how to start one",
            manifest_path.display()
        )
    })?;
    let manifest = Manifest::parse(&text).with_context(|| format!("in {}", directory.display()))?;
    for key in &manifest.old_keys {
        print_error(&format!("warning: plugin.toml:{}: {key}", key.line));
    }
    let workspace = Workspace::of(&directory)?;
    let package = workspace.package(&directory)?;
    let toolchain = Toolchain::find(&directory)?;

    let mut command = cargo();
    command
        .args([
            "build",
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
            "--lib",
        ])
        .args(["--profile", profile.unwrap_or(workspace.default_profile())])
        .arg("--manifest-path")
        .arg(directory.join("Cargo.toml"))
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain.flags(&workspace)?)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if locked {
        command.arg("--locked");
    }
    let output = command
        .output()
        .context("cannot start cargo. To fix: install Rust from https://rustup.rs")?;
    if !output.status.success() {
        bail!(
            "the plugin {} was not built: cargo exited with {}.",
            manifest.name,
            output.status
        );
    }
    let file = artifact(&output.stdout, &package.id).with_context(|| {
        format!(
            "cargo built the package {} but produced no component. To fix: add to its Cargo.toml:\n\n    [lib]\n    \
             crate-type = [\"cdylib\"]\n",
            package.name
        )
    })?;
    let bare = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let component = embed(bare, &text);
    let inspection = inspect(&component)?;
    let beside = file.with_file_name(format!("{}.wasm", manifest.name));
    Ok(Built {
        component,
        inspection,
        rustc: toolchain.version,
        beside,
    })
}

/// `artifact` is the `.wasm` file that cargo says it made of the package.
fn artifact(messages: &[u8], package: &str) -> Option<PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    let mut found = None;
    for message in messages {
        let ours = message.get("reason").is_some_and(|r| r == "compiler-artifact")
            && message.get("package_id").is_some_and(|id| id == package);
        let files = message
            .get("filenames")
            .and_then(|files| files.as_array())
            .filter(|_| ours);
        for file in files.into_iter().flatten().filter_map(|file| file.as_str()) {
            if file.ends_with(".wasm") {
                found = Some(PathBuf::from(file));
            }
        }
    }
    found
}

/// Appends the manifest as the last section: nothing that ran before can have dropped it.
fn embed(mut component: Vec<u8>, manifest: &str) -> Vec<u8> {
    let section = CustomSection {
        name: MANIFEST_SECTION.into(),
        data: manifest.as_bytes().into(),
    };
    section.append_to_component(&mut component);
    component
}

/// Writes a whole file or nothing.
///
/// # Errors
/// The folder cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_artifact_is_the_packages_own() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","package_id":"dep 1","filenames":["/t/dep.wasm"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"own 1","filenames":["/t/libown.rlib","/t/own.wasm"]}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            artifact(messages.as_bytes(), "own 1"),
            Some(PathBuf::from("/t/own.wasm"))
        );
        assert_eq!(artifact(messages.as_bytes(), "other 1"), None);
    }

    #[test]
    fn the_manifest_is_the_last_section() {
        let empty = wasm_encoder::Component::new().finish();
        let with = embed(empty.clone(), "name = \"x\"");
        assert!(with.starts_with(&empty) && with.ends_with(b"name = \"x\""));
        let sections: Vec<_> = wasmparser::Parser::new(0)
            .parse_all(&with)
            .filter_map(|payload| match payload.unwrap() {
                wasmparser::Payload::CustomSection(section) => Some(section.name().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(sections, [MANIFEST_SECTION]);
    }

    #[test]
    fn a_folder_without_a_plugin_is_refused_before_anything_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let missing = build(&folder.path().join("nowhere"), None, false).unwrap_err();
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
        let no_manifest = build(folder.path(), None, false).unwrap_err();
        assert!(
            no_manifest.to_string().contains("give a plugin's folder"),
            "{no_manifest}"
        );
        std::fs::write(folder.path().join("plugin.toml"), "name = 'X'").unwrap();
        let bad = format!("{:#}", build(folder.path(), None, false).unwrap_err());
        assert!(bad.contains("plugin.toml, line 1"), "{bad}");
    }
}
