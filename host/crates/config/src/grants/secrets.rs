//! Which secrets a plugin may read.

use super::asked::Asked;
use super::grantable::{Grantable, Lines};
use crate::diagnostic::Diagnostic;
use crate::permission::Permission;
use crate::resolved::{Grants, Secret};
use crate::secret;
use crate::toml_reader::Findings;
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

fn requested(manifest: &Manifest) -> Vec<Permission> {
    let names = manifest.secrets();
    names.map(|name| Permission::Secret { name: name.to_owned() }).collect()
}

fn granted(grants: &Grants) -> Vec<Permission> {
    let names = grants.secrets.keys();
    names.map(|name| Permission::Secret { name: name.clone() }).collect()
}

pub(crate) fn secrets(
    asked: &Asked<'_>,
    absolute: &dyn Fn(&str) -> PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
    unfit: &mut Vec<Diagnostic>,
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
            Err(problem) => unfit.push(*problem),
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

/// Whoever writes the lines is reminded of those that may be left out.
fn lines(lines: &mut Lines<'_>) {
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
        let _ = writeln!(
            lines.tables,
            "# {name} = {{ env = \"VARIABLE\" }}   or {{ file = \"/path\" }}, if the plugin should have it"
        );
    }
}
