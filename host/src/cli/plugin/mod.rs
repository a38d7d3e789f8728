//! `nexus plugin`: builds, checks and shows plugins. Nothing here runs one.

pub mod build;
pub mod first_party;
pub mod sources;
pub mod toolchain;

use crate::builtin;
use crate::runtime::component::{Inspection, inspect};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List the plugins inside this binary, and those that a configuration names
    List(ListArgs),
    /// Show what a plugin is and what it asks to be allowed
    Info(InfoArgs),
    /// Check whether this nexus could load a component
    Check(CheckArgs),
    /// Build a plugin written in Rust into one file
    Build(BuildArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// A configuration whose plugins are listed too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The name of a built-in or configured plugin, or a component's file
    #[arg(value_name = "NAME|FILE")]
    plugin: String,
    /// A configuration to look for the name in
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    file: PathBuf,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The folder of the plugin: a Rust crate with a plugin.toml
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Where the component goes [default: NAME.wasm beside cargo's own output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Cargo's profile [default: `plugin` where the workspace has one, else `release`]
    #[arg(long)]
    profile: Option<String>,
    /// Rebuild the components inside nexus (in its own repository)
    #[arg(long, hide = true, conflicts_with_all = ["out", "profile"])]
    builtin: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Only where nothing could be written; what is wrong with a plugin is told here, with the exit code 1.
pub fn run(command: PluginCommand) -> anyhow::Result<ExitCode> {
    let (json, answer) = match command {
        PluginCommand::List(args) => (args.json, list(args.config.as_deref())),
        PluginCommand::Info(args) => (args.json, info(&args.plugin, args.config.as_deref())),
        PluginCommand::Check(args) => (args.json, check(&args.file)),
        PluginCommand::Build(args) if args.builtin => (args.json, build_builtin(&args.path)),
        PluginCommand::Build(args) => (args.json, build_one(&args)),
    };
    match answer {
        Ok(answer) => {
            say(&if json {
                format!("{:#}\n", answer.json)
            } else {
                answer.text
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            if json {
                say(&format!(
                    "{:#}\n",
                    json!({ "ok": false, "error": format!("{error:#}") })
                ))?;
            } else {
                writeln!(std::io::stderr(), "error: {error:#}")?;
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A closed pipe (`nexus plugin list | head -1`) is an end and no error.
fn say(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The same facts for people and for programs.
struct Answer {
    text: String,
    json: Value,
}

/// Where a plugin comes from.
enum Origin {
    Builtin,
    File(PathBuf),
}

fn load(origin: &Origin, name: &str) -> anyhow::Result<Inspection> {
    match origin {
        Origin::Builtin => Ok(inspect(builtin::builtin(name).context("it is not built in")?)?),
        Origin::File(path) => {
            let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            inspect(&bytes).with_context(|| format!("{} cannot be loaded", path.display()))
        }
    }
}

/// Names and files of `[plugin.NAME] source = …`. Only these: `nexus config check` reads the whole file.
fn configured(config: Option<&Path>) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let Some(config) = config else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(config).with_context(|| format!("{} cannot be read", config.display()))?;
    let table: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", config.display()))?;
    let folder = std::path::absolute(config)?
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default();
    let plugins = table
        .get("plugin")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten();
    let sources = plugins.filter_map(|(name, own)| Some((name.clone(), folder.join(own.get("source")?.as_str()?))));
    Ok(sources.collect())
}

fn list(config: Option<&Path>) -> anyhow::Result<Answer> {
    let builtin = builtin::all()
        .iter()
        .map(|(name, _)| ((*name).to_owned(), Origin::Builtin));
    let files = configured(config)?
        .into_iter()
        .map(|(name, path)| (name, Origin::File(path)));
    let mut text = String::new();
    let mut rows = Vec::new();
    for (name, origin) in builtin.chain(files) {
        let from = match &origin {
            Origin::Builtin => "built in".to_owned(),
            Origin::File(path) => path.display().to_string(),
        };
        match load(&origin, &name) {
            Ok(found) => {
                let manifest = &found.manifest;
                let (kind, version) = (manifest.kind.to_string(), manifest.version.to_string());
                writeln!(
                    text,
                    "{name:<20} {kind:<7} {version:<9} {from}\n    {}",
                    manifest.description
                )?;
                let mut row = facts(&found);
                row["name"] = json!(name);
                row["source"] = json!(from);
                rows.push(row);
            }
            Err(error) => {
                writeln!(text, "{name:<20} {:<17} {from}\n    {error:#}", "cannot be loaded")?;
                rows.push(json!({ "name": name, "source": from, "ok": false, "error": format!("{error:#}") }));
            }
        }
    }
    Ok(Answer {
        text,
        json: json!({ "plugins": rows }),
    })
}

fn info(plugin: &str, config: Option<&Path>) -> anyhow::Result<Answer> {
    let file = Path::new(plugin);
    let configured = configured(config)?;
    let origin = if let Some((_, path)) = configured.into_iter().find(|(name, _)| name == plugin) {
        Origin::File(path)
    } else if builtin::builtin(plugin).is_some() {
        Origin::Builtin
    } else if file.extension().is_some() || file.exists() {
        Origin::File(file.to_owned())
    } else {
        let names: Vec<_> = builtin::all().iter().map(|(name, _)| *name).collect();
        anyhow::bail!(
            "There is no plugin `{plugin}` and no file of that name. Built in are: {}. A plugin of a configuration is found \
             with --config FILE.",
            names.join(", ")
        );
    };
    let found = load(&origin, plugin)?;
    Ok(Answer {
        text: described(&found)?,
        json: facts(&found),
    })
}

fn check(file: &Path) -> anyhow::Result<Answer> {
    let found = load(&Origin::File(file.to_owned()), "")?;
    let manifest = &found.manifest;
    let text = format!(
        "{} is a {} plugin that this nexus can load: {} {}\n",
        file.display(),
        manifest.kind,
        manifest.name,
        manifest.version
    );
    Ok(Answer {
        text,
        json: facts(&found),
    })
}

fn build_one(args: &BuildArgs) -> anyhow::Result<Answer> {
    let built = build::build(&args.path, args.profile.as_deref(), false)?;
    let out = args.out.clone().unwrap_or(built.beside);
    build::write(&out, &built.component)?;
    let mut json = facts(&built.inspection);
    json["file"] = json!(out);
    json["rustc"] = json!(built.rustc);
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

fn facts(found: &Inspection) -> Value {
    json!({
        "ok": true,
        "name": found.manifest.name,
        "kind": found.manifest.kind,
        "version": found.manifest.version,
        "size": found.size,
        "sha256": found.digest,
        "manifest": found.manifest,
        "imports": found.imports,
        "exports": found.exports,
    })
}

fn described(found: &Inspection) -> anyhow::Result<String> {
    let m = &found.manifest;
    let mut text = String::new();
    writeln!(text, "{} {} ({})\n{}\n", m.name, m.version, m.kind, m.description)?;
    if !m.authors.is_empty() {
        writeln!(text, "authors   {}", m.authors.join(", "))?;
    }
    writeln!(
        text,
        "licence   {}\napi       {}\nsize      {} bytes\nsha256    {}",
        m.licence, m.api, found.size, found.digest
    )?;
    writeln!(text, "\nIt asks to be allowed:")?;
    let asked = &m.capabilities;
    for (binary, request) in &asked.process {
        let environment = if request.inherit_env {
            ", with your environment"
        } else {
            ""
        };
        writeln!(text, "  to run `{binary}`{environment}: {}", request.reason)?;
    }
    for request in &asked.http {
        writeln!(text, "  requests to {}: {}", request.url, request.reason)?;
    }
    if let Some(request) = &asked.store {
        writeln!(text, "  a store of {} bytes: {}", request.quota, request.reason)?;
    }
    if asked.process.is_empty() && asked.http.is_empty() && asked.store.is_none() {
        writeln!(text, "  nothing")?;
    }
    if !m.config.is_empty() {
        writeln!(
            text,
            "\nKeys of [plugin.{0}.config] (secrets: [plugin.{0}.secrets]):",
            m.name
        )?;
    }
    for (name, key) in &m.config {
        let default = key
            .default
            .as_ref()
            .map(|default| format!(", default {default}"))
            .unwrap_or_default();
        let required = if key.required { ", required" } else { "" };
        let secret = if key.secret { ", secret" } else { "" };
        writeln!(
            text,
            "  {name} ({}{default}{required}{secret}): {}",
            key.kind, key.description
        )?;
    }
    Ok(text)
}

#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
