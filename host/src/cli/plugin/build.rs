//! Builds one crate into one file: the component with its manifest.

use super::manifest_notes::notes;
use super::sections::{describe, no_spdx};
use super::toolchain::{TARGET, Toolchain, Workspace, cargo};
use crate::cli::terminal::print_error;
use anyhow::{Context as _, bail};
use nexus_plugin_api::manifest::{MANIFEST_FORMAT, Manifest};
use nexus_plugin_host::{Inspection, inspect};
use std::path::{Path, PathBuf};
use std::process::Stdio;

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

/// Builds the crate in `directory`. `revision` finds the commit that is written into it.
///
/// # Errors
/// A missing toolchain, a failing compilation, or a component that no host would load: each says what to do.
pub fn build(
    directory: &Path,
    profile: Option<&str>,
    locked: bool,
    revision: fn(&Path) -> Option<String>,
) -> anyhow::Result<Built> {
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
    fit_to_be_built(&manifest).with_context(|| format!("in {}", directory.display()))?;
    for note in notes(&manifest).into_iter().chain(no_spdx(&manifest.license)) {
        print_error(&format!("warning: {note}"));
    }
    let workspace = Workspace::of(&directory)?;
    let package = workspace.package(&directory)?;
    let toolchain = Toolchain::find(&directory)?;

    let mut command = cargo();
    command
        .args([
            "rustc",
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
    command.arg("--").args(workspace.flags()?);
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
    let component = describe(&bare, &manifest, &text, revision(&directory).as_deref())?;
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

/// What a host would refuse, or another tool, is told its author before anything is compiled.
fn fit_to_be_built(manifest: &Manifest) -> anyhow::Result<()> {
    if manifest.format.is_none() {
        bail!(
            "plugin.toml does not say the version of its format. To fix: write as its first line: manifest = {MANIFEST_FORMAT}"
        );
    }
    let supported = nexus_plugin_host::supported_versions();
    if !nexus_plugin_host::supports(&manifest.api) {
        bail!(
            "plugin.toml says api = \"{}\", but this Nexus supports nexus:plugin {supported}. To fix: write the version of \
             nexus-plugin-api that the plugin uses, such as api = \"{}\", or use another version of Nexus",
            manifest.api,
            nexus_plugin_host::newest_minor()
        );
    }
    Ok(())
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
    fn a_folder_without_a_plugin_is_refused_before_anything_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let missing = build(&folder.path().join("nowhere"), None, false, |_| None).unwrap_err();
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
        let no_manifest = build(folder.path(), None, false, |_| None).unwrap_err();
        assert!(
            no_manifest.to_string().contains("give a plugin's folder"),
            "{no_manifest}"
        );
        std::fs::write(folder.path().join("plugin.toml"), "name = 'X'").unwrap();
        let bad = format!("{:#}", build(folder.path(), None, false, |_| None).unwrap_err());
        assert!(bad.contains("plugin.toml, line 1"), "{bad}");
    }

    #[test]
    fn what_the_author_can_correct_is_found_before_anything_is_built() {
        let folder = tempfile::tempdir().unwrap();
        let good = "manifest = 1\nname = \"x-y\"\nkind = \"chat\"\nversion = \"1.2.3\"\napi = \"0.2\"\ndescription = \"d\"\nlicense = \"MIT\"\n";
        for (from, to, said) in [
            ("", "", "is not a Rust crate"),
            ("manifest = 1\n", "", "write as its first line: manifest = 1"),
            (
                "api = \"0.2\"",
                "api = \"0.1\"",
                "says api = \"^0.1\", but this Nexus supports nexus:plugin 0.2.x. To fix: write",
            ),
        ] {
            std::fs::write(folder.path().join("plugin.toml"), good.replace(from, to)).unwrap();
            let found = format!("{:#}", build(folder.path(), None, false, |_| None).unwrap_err());
            assert!(found.contains(said), "{found}");
        }
    }
}
