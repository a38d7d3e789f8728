//! What a plugin may do: its manifest ∩ the operator's grants.
//!
//! A plugin from a file gets only what `[plugin.NAME.grants]` names. A built-in one gets what its manifest asks for,
//! because its manifest was reviewed with this program; a grants table narrows that.
//!
//! `NAME` in `[plugin.NAME]` is the operator's: accounts, data, processes and log lines belong to it, not to the name in
//! the manifest, so that one component can serve under two names. Only a built-in plugin's name is its own: another
//! component under it would inherit what belongs to that.

use crate::authored::AuthoredPlugin;
use crate::diagnostic::{Diagnostic, Place};
use crate::grants::{self, Asked};
use crate::machine::Machine;
use crate::ownership;
use crate::plugin_source::Found;
use crate::prepared::Prepared;
use crate::resolved::{ComponentInfo, Grants, Limits, Plugin, Source};
use crate::toml_reader::{Findings, Located};
use nexus_model::limits;
use nexus_plugin_api::manifest::{ConfigKey, Kind, Manifest};
use nexus_plugin_api::renamed_keys::OldKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `Resolved` is what became of the plugins that are named.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) plugins: BTreeMap<String, Plugin>,
    /// `broken` is what this machine does not give them, and the digest of each component that could be read. That is
    /// no mistake of the file.
    pub(super) broken: BTreeMap<String, (Option<String>, Vec<Diagnostic>)>,
}

/// `Workspace` is where the agent works; `Err`: why it cannot.
pub(super) type Workspace<'a> = Result<&'a Path, Diagnostic>;

/// Resolves every plugin that has a table or is selected, and the built-in ones that need neither.
pub(super) fn resolve(
    prepared: &Prepared,
    machine: &Machine<'_>,
    absolute: &dyn Fn(&str) -> PathBuf,
    workspace: &Workspace<'_>,
    findings: &mut Findings,
) -> Resolved {
    let builtins = machine.plugins.builtins();
    let with_table: BTreeSet<&str> = prepared.plugins.iter().map(|(name, _)| name.value.as_str()).collect();
    let names = || builtins.iter().map(String::as_str).chain(with_table.iter().copied());
    let empty = AuthoredPlugin::default();
    let mut todo: BTreeMap<&str, (&AuthoredPlugin, Place, String)> = BTreeMap::new();
    for (name, table) in &prepared.plugins {
        todo.insert(&name.value, (table, Place::At(name.span.clone()), name.key.clone()));
    }
    for s in &prepared.selected {
        if !with_table.contains(s.plugin.as_str()) && !builtins.contains(&s.plugin) {
            let mut d = Diagnostic::new(
                s.place.clone(),
                s.key.clone(),
                format!("there is no plugin `{}`", s.plugin),
            )
            .expected(format!(
                "a built-in plugin ({}), or a plugin with its own table",
                builtins.join(", ")
            ))
            .nearest(&s.plugin, names());
            d.fix = Some(match &d.nearest {
                Some(near) => format!("write \"{near}\""),
                None => format!(
                    "add its path:\n[plugin.{}]\nsource = \"path/to/component.wasm\"",
                    s.plugin
                ),
            });
            findings.push(d);
            continue;
        }
        todo.entry(&s.plugin)
            .or_insert_with(|| (&empty, s.place.clone(), s.key.clone()));
    }
    // A built-in plugin that needs no word of the operator can take another's place while the host runs.
    for name in &builtins {
        let ready = |found: Found| {
            !found
                .manifest
                .config
                .values()
                .any(|key| key.required && key.default.is_none())
        };
        if !todo.contains_key(name.as_str()) && machine.plugins.manifest(name, &Source::Builtin).is_ok_and(ready) {
            todo.insert(name, (&empty, Place::Default, format!("plugin.{name}")));
        }
    }
    let mut resolved = Resolved::default();
    for (name, (table, place, key)) in todo {
        let source = match &table.source {
            Some(path) => Source::File(absolute(&path.value)),
            None if builtins.iter().any(|b| b == name) => Source::Builtin,
            None => {
                findings.push(
                    Diagnostic::new(place, key.clone(), format!("there is no built-in plugin `{name}`"))
                        .expected(format!("source = \"path.wasm\", or one of {}", builtins.join(", ")))
                        .nearest(name, builtins.iter().map(String::as_str))
                        .fix(format!("add to [{key}]: source = \"path/to/component.wasm\"")),
                );
                continue;
            }
        };
        let Found { manifest, digest } = match machine.plugins.manifest(name, &source) {
            Ok(found) => found,
            Err(why) => {
                let (place, key) = match &table.source {
                    Some(s) => (Place::At(s.span.clone()), s.key.clone()),
                    None => (place, key),
                };
                let file = table.source.as_ref().map(|s| absolute(&s.value).display().to_string());
                let unusable = Diagnostic::new(place, key, format!("the plugin `{name}` cannot be used"))
                    .found(why)
                    .expected("a component with its manifest, as `nexus plugin build` creates it")
                    .fix(format!(
                        "put a component of this plugin at {}",
                        file.unwrap_or_default()
                    ));
                resolved.broken.insert(name.to_owned(), (None, vec![unusable]));
                continue;
            }
        };
        findings.notices.extend(old_manifest_keys(name, &source, &manifest));
        // Of a built-in one it is a mistake of the file; a component in a file may have been replaced.
        let mut problems = Vec::new();
        let mut theirs = |at: &Located<String>, file: &Path, does: &str| {
            if let Some(who) = ownership::can_write(file) {
                problems.push(
                    at.problem(format!("{who} can change {}, and {does}", file.display()))
                        .fix(format!("run `chmod go-w {}`", file.display())),
                );
            }
        };
        if let (Some(at), Source::File(file)) = (&table.source, &source) {
            theirs(at, file, "it runs as this plugin, with all its grants");
        }
        for written in table
            .grants
            .processes
            .iter()
            .filter_map(|(_, grant)| grant.path.as_ref())
        {
            theirs(written, &absolute(&written.value), "this plugin starts it as your user");
        }
        if builtins.iter().any(|b| b == name) && manifest.name.as_str() != name {
            problems.push(
                Diagnostic::new(
                    place.clone(),
                    key.clone(),
                    format!("`{name}` is the name of a built-in plugin, but this is another component"),
                )
                .found(format!("its manifest says name = \"{}\"", manifest.name))
                .expected(format!(
                    "a component with that name: this component would get the accounts and data of `{name}`"
                ))
                .fix(format!("give it its own table: [plugin.{}]", manifest.name)),
            );
        }
        let selected = || prepared.selected.iter().filter(|s| s.plugin == name);
        let somewhere_right = selected().any(|s| s.kind == manifest.kind);
        for s in selected().filter(|s| s.kind != manifest.kind) {
            let other = Diagnostic::new(
                s.place.clone(),
                s.key.clone(),
                format!("`{name}` is the wrong kind of plugin here"),
            )
            .found(format!("its manifest says kind = \"{}\"", manifest.kind))
            .expected(format!("a plugin of kind \"{}\"", s.kind));
            if source == Source::Builtin {
                findings.push(other);
            } else if !somewhere_right {
                // Where it serves as what it is too, it does so: the other place's load says what is wrong there.
                problems.push(other.fix("use another plugin there, or replace its file with the right component"));
            }
        }
        let asked = Asked {
            name,
            table,
            manifest: &manifest,
            place,
            builtin: source == Source::Builtin,
        };
        // The same: the file may have fitted the component that lay there before.
        let mut of_a_file = Findings::default();
        let findings = if source == Source::Builtin {
            &mut *findings
        } else {
            &mut of_a_file
        };
        let config = asked.config(findings);
        let cwd = match workspace {
            Ok(workspace) if manifest.kind == Kind::Chat => Some((*workspace).to_owned()),
            Err(why) if manifest.kind == Kind::Chat => {
                problems.push(why.clone());
                None
            }
            _ => None,
        };
        let grants = Grants {
            processes: grants::processes(&asked, absolute, cwd, findings),
            http: grants::http(&asked, &config, findings),
            store_quota: grants::store_quota(&asked, findings),
            secrets: grants::secrets(&asked, absolute, machine.env, &mut problems, findings),
        };
        let missing = grants::missing(&asked, &config, &grants);
        let limits = asked.limits();
        problems.append(&mut of_a_file.diagnostics);
        if !problems.is_empty() {
            resolved.broken.insert(name.to_owned(), (digest, problems));
            continue;
        }
        resolved.plugins.insert(
            name.to_owned(),
            Plugin {
                name: name.to_owned(),
                kind: manifest.kind.into(),
                source,
                digest,
                component: ComponentInfo::of(&manifest),
                config,
                grants,
                missing,
                limits,
            },
        );
    }
    resolved
}

/// `old_manifest_keys` tells of the keys that the manifest of the plugin `name` has by their old names: a sentence each, with
/// the line to write.
pub fn old_manifest_keys(name: &str, source: &Source, manifest: &Manifest) -> Vec<String> {
    let file = match source {
        Source::Builtin => "built in".to_owned(),
        Source::File(file) => file.display().to_string(),
    };
    let keys = manifest.old_keys.iter().map(|OldKey { was, now, new_line, .. }| {
        format!(
            "plugin {name} ({file}): the key `{was}` of its manifest has been renamed to `{now}`; the old name is only \
             read by this version. To fix: the author of the plugin has to build it again; in its plugin.toml, write \
             {new_line}"
        )
    });
    keys.collect()
}

impl Asked<'_> {
    /// `config` is checked against the schema, with the defaults filled in.
    fn config(&self, findings: &mut Findings) -> serde_json::Map<String, serde_json::Value> {
        let schema = &self.manifest.config;
        let readable = || schema.iter().filter(|(_, k)| !k.secret).map(|(name, _)| name.as_str());
        let mut values = serde_json::Map::new();
        for (name, value) in &self.table.config {
            let found = || shown(&value.value);
            match schema.get(name) {
                None => {
                    let list = readable().collect::<Vec<_>>().join(", ");
                    let mut d = value
                        .problem(format!("the plugin `{}` has no key `{name}`", self.name))
                        .expected(if list.is_empty() {
                            "no keys".to_owned()
                        } else {
                            format!("one of {list}")
                        })
                        .nearest(name, readable());
                    d.fix = Some(match &d.nearest {
                        Some(near) => format!("write `{near}`, or delete it"),
                        None => "delete it".to_owned(),
                    });
                    findings.push(d);
                }
                // What it holds is not shown.
                Some(key) if key.secret => findings.push(
                    value
                        .problem(format!(
                            "`{name}` is a secret and must not be in the plain configuration"
                        ))
                        .hide_value()
                        .fix(format!(
                            "delete it here and add:\n[plugin.{}.secrets]\n{name} = {{ file = \"path\" }}",
                            self.name
                        )),
                ),
                Some(key) if !key.kind.admits(&value.value) => findings.push(
                    value
                        .problem(format!("`{}` has an invalid value", value.key))
                        .found(found())
                        .expected(grants::described(key)),
                ),
                Some(key) if !one_of(key, &value.value) => findings.push(
                    value
                        .problem(format!("`{}` has an invalid value", value.key))
                        .found(found())
                        .expected(format!("one of {}", key.one_of.join(", ")))
                        .nearest(
                            value.value.as_str().unwrap_or(""),
                            key.one_of.iter().map(String::as_str),
                        ),
                ),
                Some(_) => {
                    values.insert(name.clone(), json(&value.value));
                }
            }
        }
        for (name, key) in schema.iter().filter(|(_, k)| !k.secret) {
            if self.table.config.iter().any(|(written, _)| written == name) {
                continue;
            }
            match &key.default {
                Some(default) => {
                    values.insert(name.clone(), json(default));
                }
                None if key.required => {
                    let fix = format!("write:\n[plugin.{}.config]\n{name} = …", self.name);
                    findings.push(self.required(&format!("config.{name}"), key, fix));
                }
                None => {}
            }
        }
        values
    }

    fn limits(&self) -> Limits {
        let l = &self.table.limits;
        let or = |n: &Option<Located<u32>>, default| n.as_ref().map_or(default, |n| n.value);
        Limits {
            memory: l
                .memory
                .as_ref()
                .map_or(self.manifest.limits.memory.unwrap_or(limits::PLUGIN_MEMORY), |m| {
                    m.value
                }),
            cpu: l.cpu.as_ref().map_or(limits::GUEST_CPU, |d| d.value),
            cpu_share: or(
                &l.cpu_share,
                match self.manifest.kind {
                    // It has threads of its own, and runs only when somebody logs in.
                    Kind::Auth => limits::AUTH_CPU_SHARE,
                    Kind::Chat | Kind::Tunnel => limits::PLUGIN_CPU_SHARE,
                },
            ),
            store_writes: l.store_writes.as_ref().map_or(limits::STORE_WRITES, |b| b.value),
            call: l.call.as_ref().map_or(limits::PLUGIN_CALL, |d| d.value),
            streams: or(&l.streams, limits::PLUGIN_STREAMS),
            processes: or(&l.processes, limits::PLUGIN_PROCESSES),
            log_lines: or(&l.log_lines, limits::PLUGIN_LOG_LINES),
        }
    }
}

fn one_of(key: &ConfigKey, value: &toml::Value) -> bool {
    key.one_of.is_empty() || value.as_str().is_some_and(|s| key.one_of.iter().any(|o| o == s))
}

fn shown(value: &toml::Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 {
        text.chars().take(79).chain(['…']).collect()
    } else {
        text
    }
}

fn json(value: &toml::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        toml::Value::String(s) => Value::from(s.as_str()),
        toml::Value::Integer(n) => Value::from(*n),
        toml::Value::Float(n) => Value::from(*n),
        toml::Value::Boolean(b) => Value::from(*b),
        toml::Value::Datetime(d) => Value::from(d.to_string()),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(items) => items.iter().map(|(k, v)| (k.clone(), json(v))).collect(),
    }
}
