//! Which secrets a plugin may read.

use super::asked::Asked;
use super::grantable::{Grantable, Lines};
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::permission::Permission;
use crate::resolved::{Grants, Secret};
use crate::secret;
use crate::toml_reader::Findings;
use crate::toml_text::key;
use nexus_plugin_api::manifest::Manifest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

pub(super) const SECRETS: Grantable = Grantable {
    requested,
    granted,
    // One that is required and not there is a mistake of the file; the others may be left out.
    missing: |_, _, _| Vec::new(),
    lines,
};

fn requested(manifest: &Manifest) -> Vec<Request> {
    let keys = manifest.config.iter().filter(|(_, key)| key.secret);
    keys.map(|(name, key)| Request {
        permission: Permission::Secret { name: name.clone() },
        reason: key.description.clone(),
        env: Vec::new(),
    })
    .collect()
}

fn granted(grants: &Grants) -> Vec<Permission> {
    let names = grants.secrets.keys();
    names.map(|name| Permission::Secret { name: name.clone() }).collect()
}

pub(crate) fn secrets(
    asked: &Asked<'_>,
    absolute: &dyn Fn(&str) -> PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Diagnostic>,
    findings: &mut Findings,
) -> BTreeMap<String, Secret> {
    let mut secrets = BTreeMap::new();
    for (name, source) in &asked.table.secrets {
        if !asked.manifest.secrets().any(|s| s == name) {
            let list = asked.manifest.secrets().collect::<Vec<_>>().join(", ");
            findings.push(
                source
                    .problem(format!("the plugin `{}` has no secret `{name}`", asked.name))
                    .expected(if list.is_empty() {
                        "no secrets".to_owned()
                    } else {
                        format!("one of {list}")
                    })
                    .nearest(name, asked.manifest.secrets()),
            );
            continue;
        }
        match secret::read(source, absolute, env) {
            Ok(secret) => {
                secrets.insert(name.clone(), secret);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    for (name, key) in asked.manifest.config.iter().filter(|(_, k)| k.secret && k.required) {
        if !asked.table.secrets.iter().any(|(written, _)| written == name) {
            let fix = format!(
                "write:\n[plugin.{}.secrets]\n{name} = {{ file = \"path\" }}",
                asked.name
            );
            findings.push(asked.required(&format!("secrets.{name}"), key, fix));
        }
    }
    secrets
}

fn lines(lines: &mut Lines<'_>) {
    let names = lines.permissions.iter().filter_map(|permission| match permission {
        Permission::Secret { name } => Some(name),
        _ => None,
    });
    let entries: String = names.map(|name| entry(name) + "\n").collect();
    if !entries.is_empty() {
        let _ = write!(lines.tables, "\n[plugin.{}.secrets]\n{entries}", lines.plugin.name);
    }
}

/// Reminds the operator of those that may be left out.
pub(super) fn remind(lines: &mut Lines<'_>) {
    let absent: Vec<&str> = lines
        .manifest
        .secrets()
        .filter(|name| !lines.plugin.grants.secrets.contains_key(*name))
        .collect();
    if absent.is_empty() {
        return;
    }
    let (mark, there) = if lines.table.contains_key("secrets") {
        ("# ", "   (already there)")
    } else {
        ("", "")
    };
    let _ = writeln!(lines.tables, "\n{mark}[plugin.{}.secrets]{there}", lines.plugin.name);
    for name in absent {
        let _ = writeln!(lines.tables, "# {}, if the plugin should have it", entry(name));
    }
}

fn entry(name: &str) -> String {
    format!("{} = {{ env = \"VARIABLE\" }}   # or {{ file = \"/path\" }}", key(name))
}
