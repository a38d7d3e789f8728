//! What a plugin may do: its manifest ∩ the operator's grants.
//!
//! A plugin from a file gets only what `[plugin.NAME.grants]` names. A built-in one gets what its manifest asks for,
//! because its manifest was reviewed with this program; a grants table narrows that.
//!
//! `NAME` in `[plugin.NAME]` is the operator's: accounts, data, processes and log lines belong to it, not to the name in
//! the manifest, so that one component can serve under two names. Only a built-in plugin's name is its own: another
//! component under it would inherit what belongs to that.

use crate::authored::{AuthoredLimits, AuthoredPlugin};
use crate::diagnostic::{Diagnostic, Place};
use crate::grants::{GrantContext, GrantNotes};
use crate::host_environment::HostEnvironment;
use crate::ownership;
use crate::plugin_settings::settings;
use crate::plugin_source::LoadedManifest;
use crate::prepared::Prepared;
use crate::resolved::{ComponentInfo, Grants, Limits, Plugin, Source};
use crate::toml_reader::{Findings, Located};
use nexus_model::limits;
use nexus_model::trouble::cause_and_fix;
use nexus_plugin_api::manifest::{Kind, Manifest};
use nexus_plugin_api::renamed_keys::OldKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// `Resolved` is what became of the plugins that are named.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) plugins: BTreeMap<String, Plugin>,
    /// `broken` are those to which this machine does not give what they need. That is no mistake of the file.
    pub(super) broken: BTreeMap<String, Broken>,
}

/// `Broken` is a plugin that cannot be used on this machine now.
pub(super) struct Broken {
    /// `digest` is that of its component, where it could be read.
    pub(super) digest: Option<String>,
    /// `found` is what is wrong with the plugin itself; empty: it only has no project folder to work in.
    pub(super) found: Vec<Diagnostic>,
    /// `homeless`: it needs the project folders of the chat, which cannot be used.
    pub(super) homeless: bool,
}

/// Resolves every plugin that has a table or is selected, and the built-in ones that need neither. `workspace` is where the agent
/// works; `None`: nowhere.
pub(super) fn resolve(
    prepared: &Prepared,
    machine: &HostEnvironment<'_>,
    absolute: &dyn Fn(&str) -> PathBuf,
    workspace: Option<&Path>,
    findings: &mut Findings,
) -> Resolved {
    let resolver = PluginResolver {
        prepared,
        machine,
        builtins: machine.plugins.builtins(),
        absolute,
        workspace,
    };
    let without_table = AuthoredPlugin::default();
    let mut resolved = Resolved::default();
    for (name, named) in resolver.selected(&without_table, findings) {
        let Some(source) = resolver.source_of(name, &named, findings) else {
            continue;
        };
        let LoadedManifest { manifest, digest } = match resolver.manifest_of(name, &named, &source) {
            Ok(found) => found,
            Err(unusable) => {
                let broken = Broken {
                    digest: None,
                    found: vec![*unusable],
                    homeless: false,
                };
                resolved.broken.insert(name.to_owned(), broken);
                continue;
            }
        };
        findings.notices.extend(old_manifest_keys(name, &source, &manifest));
        let mut problems = Vec::new();
        resolver.check_identity(name, &named, &source, &manifest, &mut problems, findings);
        let plugin = if source == Source::Builtin {
            resolver.grant(name, named, source, &manifest, &mut problems, findings)
        } else {
            // The file may have fitted the component that lay there before, so this is no mistake of the file.
            let mut of_a_file = Findings::default();
            let plugin = resolver.grant(name, named, source, &manifest, &mut problems, &mut of_a_file);
            problems.append(&mut of_a_file.diagnostics);
            plugin
        };
        let homeless = manifest.kind == Kind::Chat && workspace.is_none();
        if problems.is_empty() && !homeless {
            resolved.plugins.insert(name.to_owned(), Plugin { digest, ..plugin });
        } else {
            let broken = Broken {
                digest,
                found: problems,
                homeless,
            };
            resolved.broken.insert(name.to_owned(), broken);
        }
    }
    resolved
}

/// `PluginResolver` is what all plugins are resolved with.
struct PluginResolver<'a> {
    prepared: &'a Prepared,
    machine: &'a HostEnvironment<'a>,
    /// `builtins` are the names of the built-in plugins.
    builtins: Vec<String>,
    absolute: &'a dyn Fn(&str) -> PathBuf,
    workspace: Option<&'a Path>,
}

/// `NamedPlugin` is a plugin as the file names it.
struct NamedPlugin<'a> {
    table: &'a AuthoredPlugin,
    place: Place,
    key: String,
}

impl<'a> PluginResolver<'a> {
    fn is_builtin(&self, name: &str) -> bool {
        self.builtins.iter().any(|builtin| builtin == name)
    }

    /// `selected` are the plugins to resolve, by name. One that is selected and not there is noted.
    fn selected<'p>(
        &'p self,
        without_table: &'p AuthoredPlugin,
        findings: &mut Findings,
    ) -> BTreeMap<&'p str, NamedPlugin<'p>> {
        let tables = &self.prepared.plugins;
        let mut selected: BTreeMap<&str, NamedPlugin<'_>> = tables
            .iter()
            .map(|(name, table)| {
                let place = Place::At(name.span.clone());
                let key = name.key.clone();
                (name.value.as_str(), NamedPlugin { table, place, key })
            })
            .collect();
        let with_table: BTreeSet<&str> = selected.keys().copied().collect();
        for selection in &self.prepared.selected {
            let name = selection.plugin.as_str();
            if !with_table.contains(name) && !self.is_builtin(name) {
                let names = self
                    .builtins
                    .iter()
                    .map(String::as_str)
                    .chain(with_table.iter().copied());
                let unknown = Diagnostic::new(
                    selection.place.clone(),
                    selection.key.clone(),
                    format!("there is no plugin `{name}`"),
                );
                findings.push(self.unknown(unknown, name, names));
                continue;
            }
            selected.entry(name).or_insert_with(|| NamedPlugin {
                table: without_table,
                place: selection.place.clone(),
                key: selection.key.clone(),
            });
        }
        // A built-in plugin that needs no word of the operator can take another's place while the host runs.
        let ready = |found: LoadedManifest| {
            let mut keys = found.manifest.config.values();
            !keys.any(|key| key.required && key.default.is_none())
        };
        for name in &self.builtins {
            let manifest = || self.machine.plugins.manifest(name, &Source::Builtin);
            if !selected.contains_key(name.as_str()) && manifest().is_ok_and(ready) {
                let named = NamedPlugin {
                    table: without_table,
                    place: Place::Default,
                    key: format!("plugin.{name}"),
                };
                selected.insert(name, named);
            }
        }
        selected
    }

    /// Says what to write for a plugin that is selected and not there.
    fn unknown<'n>(&self, unknown: Diagnostic, name: &str, names: impl Iterator<Item = &'n str>) -> Diagnostic {
        let mut unknown = unknown
            .expected(format!(
                "a built-in plugin ({}), or a plugin with its own table",
                self.builtins.join(", ")
            ))
            .nearest(name, names);
        unknown.fix = Some(match &unknown.nearest {
            Some(near) => format!("write \"{near}\""),
            None => format!("add its path:\n[plugin.{name}]\nsource = \"path/to/component.wasm\""),
        });
        unknown
    }

    /// `source_of` is where the component of a plugin is; `None`: nowhere, which is noted.
    fn source_of(&self, name: &str, named: &NamedPlugin<'_>, findings: &mut Findings) -> Option<Source> {
        if let Some(path) = &named.table.source {
            return Some(Source::File((self.absolute)(&path.value)));
        }
        if self.is_builtin(name) {
            return Some(Source::Builtin);
        }
        let key = &named.key;
        let mut unknown = Diagnostic::new(
            named.place.clone(),
            key.clone(),
            format!("there is no built-in plugin `{name}`"),
        )
        .expected(format!(
            "source = \"path.wasm\", or one of {}",
            self.builtins.join(", ")
        ))
        .nearest(name, self.builtins.iter().map(String::as_str));
        unknown.fix = Some(match &unknown.nearest {
            Some(near) => format!(
                "rename it to [plugin.{near}]; for a plugin from a file, add source = \"path/to/component.wasm\""
            ),
            None => format!("add to [{key}]: source = \"path/to/component.wasm\""),
        });
        findings.push(unknown);
        None
    }

    /// `manifest_of` is what the component says of itself.
    fn manifest_of(
        &self,
        name: &str,
        named: &NamedPlugin<'_>,
        source: &Source,
    ) -> Result<LoadedManifest, Box<Diagnostic>> {
        self.machine.plugins.manifest(name, source).map_err(|cause| {
            let (place, key) = match &named.table.source {
                Some(s) => (Place::At(s.span.clone()), s.key.clone()),
                None => (named.place.clone(), named.key.clone()),
            };
            let file = match source {
                Source::File(path) => path.display().to_string(),
                Source::Builtin => String::new(),
            };
            let (problem, fix) = cause_and_fix(&cause);
            let fix = match fix {
                Some(build) if build.ends_with("`nexus plugin build`") => {
                    format!("{build} and copy the result to {file}")
                }
                Some(fix) => fix.to_owned(),
                None => format!("put a component of this plugin at {file}"),
            };
            let expected = "a component with its manifest, as `nexus plugin build` creates it";
            let unusable = Diagnostic::new(place, key, problem.trim_end_matches('.'));
            Box::new(unusable.expected(expected).fix(fix))
        })
    }

    /// Checks that the component is its operator's, that no other one has the name of a built-in one, and that it is of the
    /// kind as which it is selected.
    fn check_identity(
        &self,
        name: &str,
        named: &NamedPlugin<'_>,
        source: &Source,
        manifest: &Manifest,
        problems: &mut Vec<Diagnostic>,
        findings: &mut Findings,
    ) {
        if let (Some(at), Source::File(file)) = (&named.table.source, source) {
            problems.extend(ownership::problem(
                at,
                file,
                "it runs as this plugin, with all its grants",
            ));
        }
        if self.is_builtin(name) && manifest.name.as_str() != name {
            problems.push(
                Diagnostic::new(
                    named.place.clone(),
                    named.key.clone(),
                    format!("`{name}` is the name of a built-in plugin, but this is another component"),
                )
                .found(format!("its manifest says name = \"{}\"", manifest.name))
                .expected(format!(
                    "a component with that name: this component would get the accounts and data of `{name}`"
                ))
                .fix(format!("give it its own table: [plugin.{}]", manifest.name)),
            );
        }
        let selected = || self.prepared.selected.iter().filter(|s| s.plugin == name);
        let somewhere_right = selected().any(|s| s.kind == manifest.kind);
        for s in selected().filter(|s| s.kind != manifest.kind) {
            let other = Diagnostic::new(
                s.place.clone(),
                s.key.clone(),
                format!("`{name}` is the wrong kind of plugin here"),
            )
            .found(format!("its manifest says kind = \"{}\"", manifest.kind))
            .expected(format!("a plugin of kind \"{}\"", s.kind));
            // Of a built-in one it is a mistake of the file; a component in a file may have been replaced.
            if *source == Source::Builtin {
                findings.push(other);
            } else if !somewhere_right {
                // Where it serves as what it is too, it does so: the other place's load says what is wrong there.
                problems.push(other.fix("use another plugin there, or replace its file with the right component"));
            }
        }
    }

    /// `grant` is the plugin with all that it may do.
    fn grant(
        &self,
        name: &str,
        named: NamedPlugin<'_>,
        source: Source,
        manifest: &Manifest,
        problems: &mut Vec<Diagnostic>,
        findings: &mut Findings,
    ) -> Plugin {
        let workspace = self.workspace.filter(|_| manifest.kind == Kind::Chat);
        let mut asked = GrantContext {
            name,
            manifest,
            place: named.place,
            builtin: source == Source::Builtin,
            settings: serde_json::Map::new(),
            cwd: workspace.map(Path::to_owned),
            absolute: self.absolute,
            env: self.machine.env,
        };
        asked.settings = settings(&named.table.config, &asked, findings);
        let mut notes = GrantNotes {
            findings,
            problems,
            missing: Vec::new(),
        };
        let grants = Grants::resolve(&named.table.grants, &asked, &mut notes);
        Plugin {
            name: name.to_owned(),
            kind: manifest.kind.into(),
            digest: None,
            component: ComponentInfo::of(manifest),
            grants,
            // A built-in plugin has what it asks for until the operator names less.
            missing: if asked.builtin { Vec::new() } else { notes.missing },
            config: asked.settings,
            limits: limits_of(&named.table.limits, manifest),
            source,
        }
    }
}

fn limits_of(written: &AuthoredLimits, manifest: &Manifest) -> Limits {
    let or = |n: &Option<Located<u32>>, default| n.as_ref().map_or(default, |n| n.value);
    let memory = manifest.limits.memory.unwrap_or(limits::PLUGIN_MEMORY);
    let cpu_share = match manifest.kind {
        // It has threads of its own, and runs only when somebody logs in.
        Kind::Auth => limits::AUTH_CPU_SHARE,
        Kind::Chat | Kind::Tunnel => limits::PLUGIN_CPU_SHARE,
    };
    Limits {
        memory: written.memory.as_ref().map_or(memory, |bytes| bytes.value),
        cpu: written.cpu.as_ref().map_or(limits::GUEST_CPU, |time| time.value),
        cpu_share: or(&written.cpu_share, cpu_share),
        call: written.call.as_ref().map_or(limits::PLUGIN_CALL, |time| time.value),
        streams: or(&written.streams, limits::PLUGIN_STREAMS),
        processes: or(&written.processes, limits::PLUGIN_PROCESSES),
        log_lines: or(&written.log_lines, limits::PLUGIN_LOG_LINES),
    }
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
            "plugin {name} ({file}): the key `{was}` of its manifest has been renamed to `{now}`; this version still \
             reads the old name; a later one will not. To fix: the author of the plugin has to build it again; in its plugin.toml, write \
             {new_line}"
        )
    });
    keys.collect()
}
