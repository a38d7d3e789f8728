//! Which programs a plugin may run.

use super::asked::Asked;
use super::grantable::{Grantable, Lines};
use super::request::Request;
use crate::permission::Permission;
use crate::resolved::{Grants, ProcessGrant};
use crate::toml_reader::Findings;
use crate::toml_text::key;
use nexus_plugin_api::manifest::Manifest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub(super) const PROCESS: Grantable = Grantable {
    requested,
    granted,
    missing,
    lines,
};

fn requested(manifest: &Manifest) -> Vec<Request> {
    let programs = manifest.capabilities.process.iter();
    programs
        .map(|(name, request)| Request {
            permission: Permission::run(name, request.inherit_env),
            reason: request.reason.clone(),
            env: request.env.clone(),
        })
        .collect()
}

fn granted(grants: &Grants) -> Vec<Permission> {
    let programs = grants.processes.iter();
    programs
        .map(|(name, grant)| Permission::Process {
            binary: name.clone(),
            place: grant.path.as_ref().map(|path| path.display().to_string()),
            inherit_env: grant.inherit_env,
        })
        .collect()
}

/// Manifest ∩ operator. `cwd`: where the programs are run.
pub(crate) fn processes(
    asked: &Asked<'_>,
    absolute: &dyn Fn(&str) -> PathBuf,
    cwd: Option<PathBuf>,
    findings: &mut Findings,
) -> BTreeMap<String, ProcessGrant> {
    let requests = &asked.manifest.capabilities.process;
    let mut grants = BTreeMap::new();
    if asked.builtin {
        for (name, request) in requests {
            let grant = ProcessGrant {
                path: None,
                inherit_env: request.inherit_env,
                cwd: cwd.clone(),
            };
            grants.insert(name.clone(), grant);
        }
    }
    for (binary, written) in &asked.table.grants.processes {
        let Some(request) = requests.get(&binary.value) else {
            findings.push(asked.not_asked(binary, &binary.value, requests.keys().map(String::as_str)));
            continue;
        };
        let inherit = written.inherit_env.as_ref();
        if let Some(at) = inherit.filter(|i| i.value && !request.inherit_env) {
            findings.push(
                at.problem(format!("the plugin `{}` does not request the environment", asked.name))
                    .expected("nothing, or false")
                    .fix("delete the line"),
            );
        }
        let grant = ProcessGrant {
            path: written.path.as_ref().map(|p| absolute(&p.value)),
            inherit_env: request.inherit_env && inherit.map_or(asked.builtin, |i| i.value),
            cwd: cwd.clone(),
        };
        grants.insert(binary.value.clone(), grant);
    }
    grants
}

fn missing(asked: &Asked<'_>, _: &serde_json::Map<String, serde_json::Value>, grants: &Grants) -> Vec<Permission> {
    let written = &asked.table.grants.processes;
    // That the environment is not inherited is meant where it is written.
    let refused = |binary: &str| {
        let written = written.iter().find(|(name, _)| name.value == binary);
        written.is_some_and(|(_, grant)| grant.inherit_env.is_some())
    };
    let programs = asked.manifest.capabilities.process.iter();
    programs
        .filter(|(binary, request)| match grants.processes.get(*binary) {
            None => true,
            Some(grant) => request.inherit_env && !grant.inherit_env && !refused(binary),
        })
        .map(|(binary, request)| Permission::run(binary, request.inherit_env))
        .collect()
}

fn lines(lines: &mut Lines<'_>) {
    let there = lines.written("process").and_then(toml::Value::as_table).cloned();
    let there = there.unwrap_or_default();
    for binary in lines.manifest.capabilities.process.keys() {
        let missing = lines.permissions.iter().find_map(|permission| match permission {
            Permission::Process {
                binary: name,
                inherit_env,
                ..
            } if name == binary => Some(*inherit_env),
            _ => None,
        });
        let written = there.get(binary).and_then(toml::Value::as_table);
        if missing.is_none() && written.is_none() {
            continue;
        }
        let new = lines.note(None);
        let grant = lines.plugin.grants.processes.get(binary);
        let header = format!("\n[plugin.{}.grants.process.{}]", lines.plugin.name, key(binary));
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

fn path_line(path: &Path) -> String {
    format!("path = {}\n", toml::Value::String(path.display().to_string()))
}
