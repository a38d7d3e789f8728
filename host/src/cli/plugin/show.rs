//! `nexus plugin list|info`: the same facts for people and for programs. With a configuration, as it resolves: also what
//! is granted, and a problem anywhere in the file is an answer of its own.

use super::manifest_notes::notes;
use super::output::Answer;
use crate::builtin;
use crate::cli::common_options::CommonOptions;
use crate::cli::load_config::load_config;
use crate::cli::permissions;
use anyhow::Context as _;
use nexus_config::Permission;
use nexus_config::resolved::{Config, Source};
use nexus_files::bounded;
use nexus_model::trouble::cause_and_fix;
use nexus_plugin_api::text;
use nexus_plugin_host::{Inspection, inspect};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub(super) fn load(source: &Source, name: &str) -> anyhow::Result<Inspection> {
    match source {
        Source::Builtin => Ok(inspect(
            builtin::builtin(name).context("there is no such built-in plugin")?,
        )?),
        Source::File(path) => Ok(inspect(&component(path)?).map_err(|error| error.about(&path.display().to_string()))?),
    }
}

/// Does as [`load`], and compiles and links it as a start would.
pub(super) fn checked(source: &Source, name: &str, memory: Option<u64>) -> anyhow::Result<Inspection> {
    match source {
        Source::Builtin => Ok(nexus_plugin_host::check(
            builtin::builtin(name).context("there is no such built-in plugin")?,
            name,
            memory,
        )?),
        Source::File(path) => {
            let found = nexus_plugin_host::check(&component(path)?, name, memory);
            Ok(found.map_err(|error| error.about(&path.display().to_string()))?)
        }
    }
}

fn component(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = bounded::read(path, nexus_model::limits::COMPONENT_BYTES);
    bytes.map_err(|error| {
        anyhow::anyhow!(
            "{} cannot be read: {error}. To fix: give the path of a component file",
            path.display()
        )
    })
}

/// `resolved` is the configuration that was named; `None` where none was.
pub(super) fn resolved(place: &CommonOptions) -> anyhow::Result<Option<Config>> {
    if place.config.is_none() {
        return Ok(None);
    }
    Ok(Some(load_config(place, None, &crate::builtin::components())?))
}

/// `sources` has built-in ones first; a configured file of the same name takes the place of a built-in one.
fn sources(config: Option<&Config>) -> Vec<(String, Source)> {
    let configured = config.map(|config| &config.plugins);
    let files: BTreeMap<&String, &Source> = configured
        .into_iter()
        .flatten()
        .map(|(name, plugin)| (name, &plugin.source))
        .filter(|(_, source)| matches!(source, Source::File(_)))
        .collect();
    let builtin = builtin::all().iter().map(|(name, _)| (*name).to_owned());
    builtin
        .filter(|name| !files.contains_key(name))
        .map(|name| (name, Source::Builtin))
        .chain(files.iter().map(|(name, source)| ((*name).clone(), (*source).clone())))
        .collect()
}

pub(super) fn list(place: &CommonOptions) -> anyhow::Result<Answer> {
    let config = resolved(place)?;
    let mut text = String::new();
    let mut rows = Vec::new();
    for (name, source) in sources(config.as_ref()) {
        let from = match &source {
            Source::Builtin => "built in".to_owned(),
            Source::File(path) => path.display().to_string(),
        };
        match load(&source, &name) {
            Ok(found) => {
                let manifest = &found.manifest;
                let (kind, version) = (manifest.kind.to_string(), manifest.version.to_string());
                let pages = [&manifest.homepage, &manifest.repository].into_iter().flatten();
                let about: Vec<&str> = [&manifest.license]
                    .into_iter()
                    .chain(pages)
                    .map(String::as_str)
                    .collect();
                writeln!(
                    text,
                    "{name:<20} {kind:<7} {version:<9} {from}\n    {}\n    {}",
                    manifest.description,
                    about.join(", ")
                )?;
                rows.push(with(facts(&found), [("name", json!(name)), ("source", json!(from))]));
            }
            Err(error) => {
                writeln!(text, "{name:<20} {:<17} {from}\n    {error:#}", "cannot be loaded")?;
                rows.push(with(
                    not_loaded(&error),
                    [("name", json!(name)), ("source", json!(from))],
                ));
            }
        }
    }
    Ok(Answer {
        text,
        json: json!({ "plugins": rows }),
    })
}

/// `source` is where the plugin of this name is, or the file.
pub(super) fn source(plugin: &str, config: Option<&Config>) -> anyhow::Result<Source> {
    let file = Path::new(plugin);
    let named = sources(config);
    if let Some((_, source)) = named.iter().find(|(name, _)| name == plugin) {
        return Ok(source.clone());
    }
    if file.extension().is_some() || file.exists() {
        return Ok(Source::File(file.to_owned()));
    }
    let names: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
    anyhow::bail!(
        "there is no plugin `{plugin}` and no file with that name. To fix: give one of {}; for a plugin of a \
         configuration, use --config FILE",
        names.join(", ")
    )
}

pub(super) fn info(plugin: &str, place: &CommonOptions) -> anyhow::Result<Answer> {
    let config = resolved(place)?;
    let found = load(&source(plugin, config.as_ref())?, plugin)?;
    let mut answer = Answer {
        text: described(&found)?,
        json: facts(&found),
    };
    if let Some(own) = config.as_ref().and_then(|config| config.plugins.get(plugin)) {
        // Manifest ∩ operator. Of secrets only the names.
        let granted: Vec<String> = own.grants.permissions().iter().map(ToString::to_string).collect();
        writeln!(answer.text, "\nGranted by this configuration:")?;
        if granted.is_empty() {
            writeln!(answer.text, "  nothing")?;
        }
        for line in &granted {
            writeln!(answer.text, "  {line}")?;
        }
        answer.json = with(
            answer.json,
            [("granted", json!(granted)), ("config", json!(own.config))],
        );
    }
    lacking(&mut answer, plugin, config.as_ref())?;
    Ok(answer)
}

/// What it asks for and is not granted, where a configuration is named that has it.
pub(super) fn lacking(answer: &mut Answer, plugin: &str, config: Option<&Config>) -> anyhow::Result<()> {
    let lacks = config.and_then(|config| permissions::of(config, plugin));
    if let Some(lacks) = &lacks {
        writeln!(
            answer.text,
            "\nMissing permissions:\n  {}\nTo grant them, {}\n\n{}",
            lacks.permissions.join("\n  "),
            lacks.how,
            lacks.lines.trim_end()
        )?;
    }
    if config.is_some_and(|config| config.plugins.contains_key(plugin)) {
        let (permissions, lines) = lacks.map(|lacks| (lacks.permissions, lacks.lines)).unwrap_or_default();
        let missing = json!({ "permissions": permissions, "toml": lines });
        answer.json = with(std::mem::take(&mut answer.json), [("missing_permissions", missing)]);
    }
    Ok(())
}

/// `not_loaded` says why there are no facts.
pub(super) fn not_loaded(error: &anyhow::Error) -> Value {
    let text = format!("{error:#}");
    let (cause, fix) = cause_and_fix(&text);
    json!({ "ok": false, "cause": cause, "fix": fix })
}

pub(super) fn facts(found: &Inspection) -> Value {
    json!({
        "ok": true,
        "name": found.manifest.name,
        "kind": found.manifest.kind,
        "version": found.manifest.version,
        "size_bytes": found.size,
        "sha256": found.digest,
        "manifest": found.manifest,
        "imports": found.imports,
        "exports": found.exports,
        "contract": found.contract(),
        "optional_interfaces": found.optional_interfaces().collect::<BTreeMap<_, _>>(),
    })
}

/// `with` is an object with more members.
pub(super) fn with<const N: usize>(mut object: Value, more: [(&str, Value); N]) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// `optional_interfaces` are lines about those of its kind: which it has, and which it has not.
pub(super) fn optional_interfaces(found: &Inspection) -> Vec<String> {
    let line = |what: &str, has: bool| {
        let names = found.optional_interfaces().filter(|(_, found)| *found == has);
        let names: Vec<_> = names.map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let both = [
        line("optional interfaces", true),
        line("optional interfaces that it does not have", false),
    ];
    both.into_iter().flatten().collect()
}

pub(super) fn described(found: &Inspection) -> anyhow::Result<String> {
    let m = &found.manifest;
    let mut out = String::new();
    writeln!(out, "{} {} ({})\n{}\n", m.name, m.version, m.kind, m.description)?;
    if !m.authors.is_empty() {
        writeln!(out, "authors   {}", m.authors.join(", "))?;
    }
    writeln!(out, "license   {}", m.license)?;
    for (what, page) in [("homepage  ", &m.homepage), ("sources   ", &m.repository)] {
        if let Some(page) = page {
            writeln!(out, "{what}{page}")?;
        }
    }
    writeln!(
        out,
        "api       {} (the component has {})\nsize      {} bytes\nsha256    {}",
        m.api,
        found.contract(),
        found.size,
        found.digest
    )?;
    let interfaces = optional_interfaces(found);
    if !interfaces.is_empty() {
        writeln!(out)?;
    }
    for line in interfaces {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\nRequested permissions:")?;
    let requests = Permission::requested(m);
    for request in &requests {
        let optional = if request.optional { " (optional)" } else { "" };
        writeln!(out, "  {}{optional}: {}", request.permission, request.reason)?;
        if !request.env.is_empty() {
            writeln!(out, "    with the environment variables {}", request.env.join(", "))?;
        }
    }
    if requests.is_empty() {
        writeln!(out, "  nothing")?;
    }
    if !m.config.is_empty() {
        writeln!(
            out,
            "\nKeys of [plugin.{0}.config] (secrets: [plugin.{0}.secrets]):",
            m.name
        )?;
    }
    for (name, key) in &m.config {
        let default = key
            .default
            .as_ref()
            // A value may have lines.
            .map(|default| format!(", default {}", text::line(&default.to_string())))
            .unwrap_or_default();
        let required = if key.required { ", required" } else { "" };
        let secret = if key.secret { ", secret" } else { "" };
        writeln!(
            out,
            "  {name} ({}{default}{required}{secret}): {}",
            key.kind, key.description
        )?;
    }
    let notes = notes(m);
    if !notes.is_empty() {
        writeln!(out, "\nIts manifest:")?;
    }
    for note in notes {
        writeln!(out, "  {note}")?;
    }
    Ok(out)
}
