//! Which secrets a plugin may read.

use super::grant_context::GrantContext;
use super::grant_kind::{GrantKind, GrantNotes, PluginTables};
use super::lines::Lines;
use super::request::Request;
use crate::permission::Permission;
use crate::secret::{self, Secret, SecretSource};
use crate::toml_reader::{Findings, Located};
use crate::toml_text::key;
use nexus_plugin_api::manifest::Manifest;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const CAPABILITY: &str = "secrets";

/// `SecretGrants` are by the secret's name in the manifest.
pub type SecretGrants = BTreeMap<String, Secret>;

impl Permission {
    /// `secret` is to read a secret of the operator, by its name in the manifest.
    pub fn secret(name: &str) -> Self {
        Self {
            capability: CAPABILITY,
            target: name.to_owned(),
            extended: false,
            text: format!("read the secret `{name}`"),
        }
    }
}

impl GrantKind for SecretGrants {
    type Written = Vec<(String, Located<SecretSource>)>;

    fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> Self::Written {
        secret::sources(tables.plugin, findings)
    }

    fn requested(manifest: &Manifest) -> Vec<Request> {
        let keys = manifest.config.iter().filter(|(_, key)| key.secret);
        keys.map(|(name, key)| Request {
            permission: Permission::secret(name),
            reason: key.description.clone(),
            optional: !key.required,
            env: Vec::new(),
        })
        .collect()
    }

    /// One that is required and not there is a mistake of the file; the others may be left out, so none is missing.
    fn resolve(written: &Self::Written, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self {
        let mut secrets = BTreeMap::new();
        for (name, source) in written {
            if !asked.manifest.secrets().any(|s| s == name) {
                let list = asked.manifest.secrets().collect::<Vec<_>>().join(", ");
                notes.findings.push(
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
            match secret::read(source, asked.absolute, asked.env) {
                Ok(secret) => {
                    secrets.insert(name.clone(), secret);
                }
                Err(problem) => notes.problems.push(*problem),
            }
        }
        for (name, key) in asked.manifest.config.iter().filter(|(_, k)| k.secret && k.required) {
            if !written.iter().any(|(written, _)| written == name) {
                let fix = format!(
                    "write:\n[plugin.{}.secrets]\n{name} = {{ file = \"path\" }}",
                    asked.name
                );
                let absent = asked.required(&format!("secrets.{name}"), key, fix);
                notes.findings.push(absent);
            }
        }
        secrets
    }

    fn permissions(&self) -> Vec<Permission> {
        self.keys().map(|name| Permission::secret(name)).collect()
    }

    fn lines(&self, lines: &mut Lines<'_>) {
        let entries: String = lines
            .of(CAPABILITY)
            .map(|permission| entry(&permission.target) + "\n")
            .collect();
        if !entries.is_empty() {
            let _ = write!(lines.tables, "\n[plugin.{}.secrets]\n{entries}", lines.plugin);
        }
        if lines.whole {
            remind(self, lines);
        }
    }
}

/// Reminds the operator of those that may be left out.
fn remind(granted: &SecretGrants, lines: &mut Lines<'_>) {
    let manifest = lines.manifest;
    let absent: Vec<&str> = manifest.secrets().filter(|name| !granted.contains_key(*name)).collect();
    if absent.is_empty() {
        return;
    }
    let (mark, there) = if lines.table.contains_key("secrets") {
        ("# ", "   (already there)")
    } else {
        ("", "")
    };
    let _ = writeln!(lines.tables, "\n{mark}[plugin.{}.secrets]{there}", lines.plugin);
    for name in absent {
        let _ = writeln!(lines.tables, "# {}, if the plugin should have it", entry(name));
    }
}

fn entry(name: &str) -> String {
    format!("{} = {{ env = \"VARIABLE\" }}   # or {{ file = \"/path\" }}", key(name))
}
