//! `[plugin.NAME.config]`: what the operator sets, checked against the schema in the plugin's manifest.

use crate::grants::{GrantContext, described};
use crate::toml_reader::{CORRECT, Findings, Located};
use nexus_plugin_api::manifest::ConfigKey;

/// `settings` are checked, with the defaults filled in. A secret is none of them.
pub(super) fn settings(
    written: &[(Located<String>, Located<toml::Value>)],
    asked: &GrantContext<'_>,
    findings: &mut Findings,
) -> serde_json::Map<String, serde_json::Value> {
    let schema = &asked.manifest.config;
    let readable = || schema.iter().filter(|(_, k)| !k.secret).map(|(name, _)| name.as_str());
    let mut values = serde_json::Map::new();
    for (at, value) in written {
        let name = &at.value;
        let found = || shown(&value.value);
        match schema.get(name) {
            None => {
                let list = readable().collect::<Vec<_>>().join(", ");
                let mut d = at
                    .problem(format!("the plugin `{}` has no key `{name}`", asked.name))
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
                        asked.name
                    )),
            ),
            Some(key) if !key.kind.admits(&value.value) => findings.push(
                value
                    .problem(format!("`{}` has an invalid value", value.key))
                    .found(found())
                    .expected(described(key))
                    .fix(
                        match value.value.as_str().and_then(|text| text.parse::<toml::Value>().ok()) {
                            Some(bare) if key.kind.admits(&bare) => "remove the quotation marks",
                            _ => CORRECT,
                        },
                    ),
            ),
            Some(key) if !one_of(key, &value.value) => findings.push(
                value
                    .problem(format!("`{}` has an invalid value", value.key))
                    .found(found())
                    .expected(format!("one of {}", key.one_of.join(", ")))
                    .nearest(
                        value.value.as_str().unwrap_or(""),
                        key.one_of.iter().map(String::as_str),
                    )
                    .fix(CORRECT),
            ),
            Some(_) => {
                values.insert(name.clone(), json(&value.value));
            }
        }
    }
    for (name, key) in schema.iter().filter(|(_, k)| !k.secret) {
        if written.iter().any(|(written, _)| written.value == *name) {
            continue;
        }
        match &key.default {
            Some(default) => {
                values.insert(name.clone(), json(default));
            }
            None if key.required => {
                let fix = format!("write:\n[plugin.{}.config]\n{name} = …", asked.name);
                findings.push(asked.required(&format!("config.{name}"), key, fix));
            }
            None => {}
        }
    }
    values
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
