//! Which programs a plugin may run.

use super::grant_context::GrantContext;
use super::grant_kind::{GrantKind, GrantNotes, PluginTables};
use super::lines::Lines;
use super::request::Request;
use crate::ownership;
use crate::permission::Permission;
use crate::toml_reader::{Findings, Located};
use crate::toml_text::{self, key};
use crate::value_readers::path;
use nexus_plugin_api::manifest::Manifest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const CAPABILITY: &str = "process";

/// `ProcessGrants` are by the binary's name in the manifest.
pub type ProcessGrants = BTreeMap<String, ProcessGrant>;

/// `ProcessGrant` allows one program.
#[derive(Debug, Clone)]
pub struct ProcessGrant {
    /// `path` is absolute; `None`: the program is looked for in `data_dir/tools`, on the PATH of the host, and where
    /// the system installs programs.
    pub path: Option<PathBuf>,
    /// `inherit_env`: the program may start with the operator's environment.
    pub inherit_env: bool,
    /// `cwd` is where it is run: the workspace of the chat that uses the plugin.
    pub cwd: Option<PathBuf>,
}

#[derive(Debug, Default)]
pub(crate) struct AuthoredProcess {
    path: Option<Located<String>>,
    inherit_env: Option<Located<bool>>,
}

impl Permission {
    /// `run` is to run a program, wherever it is.
    pub fn run(binary: &str, inherit_env: bool) -> Self {
        Self::run_at(binary, None, inherit_env)
    }

    /// `run_at` is the same, and tells where the program is.
    pub fn run_at(binary: &str, place: Option<&str>, inherit_env: bool) -> Self {
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let environment = if inherit_env { " with your environment" } else { "" };
        Self {
            capability: CAPABILITY,
            target: binary.to_owned(),
            extended: inherit_env,
            text: format!("run {binary}{place}{environment}"),
        }
    }
}

impl GrantKind for ProcessGrants {
    type Written = Vec<(Located<String>, AuthoredProcess)>;

    fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> Self::Written {
        let Some(grants) = &mut tables.grants else {
            return Vec::new();
        };
        let programs = grants.named("process", findings).into_iter();
        programs
            .map(|(name, mut table)| {
                let process = AuthoredProcess {
                    path: path(&mut table, "path", findings),
                    inherit_env: table.boolean("inherit_env", findings),
                };
                table.finish(findings);
                (name, process)
            })
            .collect()
    }

    fn requested(manifest: &Manifest) -> Vec<Request> {
        let programs = manifest.capabilities.process.iter();
        programs
            .map(|(name, request)| Request {
                permission: Permission::run(name, request.inherit_env),
                reason: request.reason.clone(),
                optional: request.optional,
                env: request.env.clone(),
            })
            .collect()
    }

    fn resolve(written: &Self::Written, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self {
        let grants = granted(written, asked, notes);
        // That the environment is not inherited is meant where it is written.
        let refused = |binary: &str| {
            let written = written.iter().find(|(name, _)| name.value == binary);
            written.is_some_and(|(_, grant)| grant.inherit_env.is_some())
        };
        for (binary, request) in &asked.manifest.capabilities.process {
            let missing = match grants.get(binary) {
                None => true,
                Some(grant) => request.inherit_env && !grant.inherit_env && !refused(binary),
            };
            if missing {
                notes.missing.push(Permission::run(binary, request.inherit_env));
            }
        }
        grants
    }

    fn permissions(&self) -> Vec<Permission> {
        self.iter()
            .map(|(name, grant)| {
                let place = grant.path.as_ref().map(|path| path.display().to_string());
                Permission::run_at(name, place.as_deref(), grant.inherit_env)
            })
            .collect()
    }

    fn lines(&self, lines: &mut Lines<'_>) {
        let there = lines.written("process").and_then(toml::Value::as_table).cloned();
        let there = there.unwrap_or_default();
        let manifest = lines.manifest;
        for binary in manifest.capabilities.process.keys() {
            let missing = lines
                .of(CAPABILITY)
                .find(|permission| permission.target == *binary)
                .map(|permission| permission.extended);
            let written = there.get(binary).and_then(toml::Value::as_table);
            if missing.is_none() && written.is_none() {
                continue;
            }
            let new = lines.note(None);
            let grant = self.get(binary);
            let header = format!("\n[plugin.{}.grants.process.{}]", lines.plugin, key(binary));
            let _ = writeln!(
                lines.tables,
                "{header}{}",
                if grant.is_none() { new.as_str() } else { "" }
            );
            match (grant, written) {
                (None, _) => match (lines.find)(binary) {
                    Some(path) => lines.tables.push_str(&path_line(&path)),
                    None => {
                        let _ = writeln!(
                            lines.tables,
                            "# path = \"/absolute/path/of/{binary}\", which was not found here"
                        );
                    }
                },
                (Some(_), Some(written)) => {
                    let replaced = |name: &str| missing == Some(true) && name == "inherit_env";
                    for (name, value) in written.iter().filter(|(name, _)| !replaced(name)) {
                        let _ = writeln!(lines.tables, "{} = {value}", key(name));
                    }
                }
                // The file is not at hand.
                (Some(grant), None) => {
                    let path = grant.path.as_deref().map(path_line);
                    lines.tables.push_str(&path.unwrap_or_default());
                }
            }
            if missing == Some(true) {
                let note = if grant.is_some() { new.as_str() } else { "" };
                let _ = writeln!(lines.tables, "inherit_env = true{note}");
            }
        }
    }
}

fn granted(
    written: &[(Located<String>, AuthoredProcess)],
    asked: &GrantContext<'_>,
    notes: &mut GrantNotes<'_>,
) -> ProcessGrants {
    let requests = &asked.manifest.capabilities.process;
    let mut grants = BTreeMap::new();
    if asked.builtin {
        for (name, request) in requests {
            let grant = ProcessGrant {
                path: None,
                inherit_env: request.inherit_env,
                cwd: asked.cwd.clone(),
            };
            grants.insert(name.clone(), grant);
        }
    }
    for (binary, grant) in written {
        let path = grant.path.as_ref().map(|path| (path, (asked.absolute)(&path.value)));
        if let Some((at, file)) = &path {
            let problem = ownership::problem(at, file, "this plugin starts it as your user");
            notes.problems.extend(problem);
        }
        let Some(request) = requests.get(&binary.value) else {
            let refused = asked.not_asked(binary, &binary.value, requests.keys().map(String::as_str));
            notes.findings.push(refused);
            continue;
        };
        let inherit = grant.inherit_env.as_ref();
        if let Some(at) = inherit.filter(|i| i.value && !request.inherit_env) {
            notes.findings.push(
                at.problem(format!("the plugin `{}` does not request the environment", asked.name))
                    .expected("nothing, or false")
                    .fix("delete the line"),
            );
        }
        let grant = ProcessGrant {
            path: path.map(|(_, file)| file),
            inherit_env: request.inherit_env && inherit.map_or(asked.builtin, |i| i.value),
            cwd: asked.cwd.clone(),
        };
        grants.insert(binary.value.clone(), grant);
    }
    grants
}

fn path_line(path: &Path) -> String {
    format!("path = {}\n", toml_text::string(&path.display().to_string()))
}
