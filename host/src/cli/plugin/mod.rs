//! `nexus plugin`: builds, checks and shows plugins. Nothing here runs one.

pub mod build;
pub mod first_party;
mod manifest_notes;
mod output;
mod sections;
mod show;
pub mod source_digest;
pub mod toolchain;

use super::common_options::CommonOptions;
use super::load_config::{EXIT_USAGE, LoadError};
use super::terminal::{print_error, print_failure};
use clap::{Args, Subcommand};
use nexus_config::old_manifest_keys;
use nexus_plugin_api::text;
use output::Answer;
use serde_json::json;
use show::{checked, facts, info, lacking, list, not_loaded, optional_interfaces, resolved, source, with};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the built-in plugins, and those of a configuration that --config names
    List(ListArgs),
    /// Show a plugin and the permissions it requests
    Info(InfoArgs),
    /// Check whether this version of Nexus can load a component
    Check(CheckArgs),
    /// Build a plugin written in Rust into a single component file
    Build(BuildArgs),
}

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The name of a built-in plugin or, with --config, of a configured one, or the path of a component file
    #[arg(value_name = "NAME|FILE")]
    plugin: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The name of a built-in plugin or, with --config, of a configured one, or the path of a component file
    #[arg(value_name = "NAME|FILE")]
    plugin: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The folder of the plugin: a Rust crate with a plugin.toml
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The component file to write [default: NAME.wasm beside cargo's own output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The cargo profile [default: `plugin` if the workspace has one, else `release`]
    #[arg(long)]
    profile: Option<String>,
    /// Rebuild the components inside nexus (in its own repository)
    #[arg(long, hide = true, conflicts_with_all = ["out", "profile"])]
    builtin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Only where nothing could be written; what is wrong with a plugin is told here, with the exit code 1.
pub fn run(command: PluginCommand, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let (json, answer) = match command {
        PluginCommand::List(args) => (args.json, list(place)),
        PluginCommand::Info(args) => (args.json, info(&args.plugin, place)),
        PluginCommand::Check(args) => (args.json, check(&args.plugin, place)),
        PluginCommand::Build(args) if args.builtin => (args.json, build_builtin(&args.path)),
        PluginCommand::Build(args) => (args.json, build_one(&args)),
    };
    match answer {
        Ok(answer) => {
            say(&if json {
                format!("{:#}\n", answer.json)
            } else {
                // A file's words were made safe when they were read; its path was not.
                text::prose(&answer.text).into_owned()
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            if json {
                say(&format!("{:#}\n", not_loaded(&error)))?;
            } else {
                // A report on a configuration begins each of its problems so.
                let text = format!("{error:#}");
                match error.is::<LoadError>() {
                    true => print_error(text.trim_end()),
                    false => print_failure(&place.with_place(&text)),
                }
            }
            // What is wrong with a configuration has its own code, as everywhere.
            Ok(match error.downcast_ref::<LoadError>() {
                Some(LoadError::Config(_)) => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            })
        }
    }
}

/// Writes to stdout. A closed pipe (`nexus plugin list | head -1`) is an end and no error.
fn say(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn check(plugin: &str, place: &CommonOptions) -> anyhow::Result<Answer> {
    let config = resolved(place)?;
    let source = source(plugin, config.as_ref())?;
    let own = config.as_ref().and_then(|config| config.plugins.get(plugin));
    let found = checked(&source, plugin, own.map(|own| own.limits.memory))?;
    let manifest = &found.manifest;
    let mut text = format!(
        "this Nexus can load {} {} ({})\n",
        manifest.name, manifest.version, manifest.kind
    );
    let name = own.map_or(manifest.name.as_str(), |own| own.name.as_str());
    for line in optional_interfaces(&found) {
        writeln!(text, "{line}")?;
    }
    let mut notices = old_manifest_keys(name, &source, manifest);
    notices.extend(manifest_notes::unknown(manifest));
    for notice in &notices {
        writeln!(text, "warning: {notice}")?;
    }
    let mut answer = Answer {
        text,
        json: with(facts(&found), [("notices", json!(notices))]),
    };
    lacking(&mut answer, plugin, config.as_ref())?;
    Ok(answer)
}

fn build_one(args: &BuildArgs) -> anyhow::Result<Answer> {
    let built = build::build(&args.path, args.profile.as_deref(), false, sections::revision)?;
    let out = args.out.clone().unwrap_or(built.beside);
    build::write(&out, &built.component)?;
    let json = with(
        facts(&built.inspection),
        [("file", json!(out)), ("rustc", json!(built.rustc))],
    );
    let manifest = &built.inspection.manifest;
    let text = format!(
        "{} {} ({}), {} bytes\nsha256 {}\n{}\n",
        manifest.name,
        manifest.version,
        manifest.kind,
        built.inspection.size,
        built.inspection.digest,
        out.display()
    );
    Ok(Answer { text, json })
}

fn build_builtin(directory: &Path) -> anyhow::Result<Answer> {
    let report = first_party::rebuild(directory)?;
    let mut text = String::new();
    for one in &report {
        let changed = if one.changed { "changed" } else { "the same" };
        writeln!(
            text,
            "{:<15} {:<8} {:>8} bytes  {}  {changed}",
            one.name, one.version, one.size, one.sha256
        )?;
    }
    Ok(Answer {
        text,
        json: json!({ "ok": true, "plugins": report }),
    })
}

#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
