//! What a plugin asks for and is not granted, all at once, with the lines that grant it.
//!
//! Problem: a denial names one permission, at the moment it is missed; four of them are four restarts. Mechanism: the manifest
//! and the grants are compared before anything runs, and the whole of `[plugin.NAME.grants]` is written out as it would
//! have to be, what is there already among it: two tables of one name are no TOML, so that lines to add could not be
//! pasted. Limits: a permission of a built-in plugin that the operator took away is meant so and is not listed; a name that
//! leads to a private address is not looked up.

use crate::permission::Permission;
use crate::plugins::expand;
use crate::resolved::{HttpGrant, Plugin, Source};
use crate::toml_text::key;
use nexus_plugin_api::manifest::Manifest;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

/// `MissingPermissions` are what one plugin asks for and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPermissions {
    pub plugin: String,
    /// `run node`, `send requests to https://api.example.org`: see [`Permission`].
    pub permissions: Vec<String>,
    /// What to do with the lines.
    pub how: String,
    /// TOML.
    pub lines: String,
}

impl MissingPermissions {
    /// A sentence, for a reader who sees the lines too.
    pub fn sentence(&self) -> String {
        format!(
            "the plugin {} has missing permissions: {}",
            self.plugin,
            self.permissions.join(", ")
        )
    }

    /// `fix` is what to do, with the lines to paste.
    pub fn fix(&self) -> String {
        format!("{}\n{}", self.how, self.lines)
    }
}

/// `missing_permissions` compares a plugin's manifest with its grants in the configuration `text`; `None` where nothing is missing.
/// `find` knows where a program of a name is.
pub fn missing_permissions(
    plugin: &Plugin,
    manifest: &Manifest,
    text: &str,
    find: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<MissingPermissions> {
    if plugin.source == Source::Builtin {
        return None;
    }
    let written = written(text, &plugin.name);
    let mut missing = Vec::new();
    let name = &plugin.name;
    let mut table = format!("[plugin.{name}.grants]\n");
    http(plugin, manifest, &written, &mut missing, &mut table);
    store(plugin, manifest, &written, &mut missing, &mut table);
    let empty = table.ends_with("grants]\n");
    let mut lines = if empty { String::new() } else { table };
    processes(plugin, manifest, &written, find, &mut missing, &mut lines);
    if missing.is_empty() {
        return None;
    }
    secrets(plugin, manifest, &written, &mut lines);
    let how = if written.contains_key("grants") {
        format!(
            "in the configuration, replace [plugin.{name}.grants] and each [plugin.{name}.grants.process.…] with these \
             lines, which include the existing grants:"
        )
    } else {
        "add these lines to the configuration, if that is what you want:".to_owned()
    };
    Some(MissingPermissions {
        plugin: name.clone(),
        permissions: missing.iter().map(ToString::to_string).collect(),
        how,
        lines: lines.trim_start().to_owned(),
    })
}

/// The plugin's own table, as it is in the file.
fn written(text: &str, plugin: &str) -> toml::Table {
    let table = text.parse::<toml::Table>().ok();
    let of = |table: &toml::Table, key: &str| table.get(key).and_then(toml::Value::as_table).cloned();
    table
        .and_then(|table| of(&of(&table, "plugin")?, plugin))
        .unwrap_or_default()
}

fn grant<'a>(written: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    written.get("grants")?.as_table()?.get(key)
}

fn http(
    plugin: &Plugin,
    manifest: &Manifest,
    written: &toml::Table,
    missing: &mut Vec<Permission>,
    table: &mut String,
) {
    let there = grant(written, "http")
        .and_then(toml::Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut entries: Vec<String> = there.iter().map(ToString::to_string).collect();
    let mut changed = false;
    for request in &manifest.capabilities.http {
        let Some(url) = expand(&request.url, &plugin.config) else {
            continue;
        };
        let Ok(wanted) = HttpGrant::of_url(&url) else { continue };
        let private = is_private(&wanted.host);
        if plugin
            .grants
            .http
            .iter()
            .any(|grant| grant.same_server(&wanted) && (grant.private || !private))
        {
            continue;
        }
        let address = wanted.to_string();
        let quoted = toml::Value::String(address.clone());
        let entry = if private {
            format!("{{ url = {quoted}, private = true }}")
        } else {
            quoted.to_string()
        };
        if entries.contains(&entry) {
            continue;
        }
        missing.push(Permission::Http {
            server: address,
            private,
        });
        changed = true;
        // The one that is there has no `private`.
        let at = there.iter().position(|entry| {
            let url = entry.as_str().or_else(|| entry.get("url")?.as_str());
            url.and_then(|url| HttpGrant::parse(url).ok())
                .is_some_and(|grant| grant.same_server(&wanted))
        });
        match at.and_then(|at| entries.get_mut(at)) {
            Some(known) => *known = entry,
            None => entries.push(entry),
        }
    }
    if !entries.is_empty() {
        let _ = writeln!(
            table,
            "http = [{}]{}",
            entries.join(", "),
            note(changed, grant(written, "http"))
        );
    }
}

fn store(
    plugin: &Plugin,
    manifest: &Manifest,
    written: &toml::Table,
    missing: &mut Vec<Permission>,
    table: &mut String,
) {
    let there = grant(written, "store_quota");
    match &manifest.capabilities.store {
        Some(request) if plugin.grants.store_quota == 0 => {
            missing.push(Permission::Store {
                quota: Some(request.quota),
            });
            let _ = writeln!(table, "store_quota = {}{}", request.quota, note(true, there));
        }
        _ => {
            if let Some(there) = there {
                let _ = writeln!(table, "store_quota = {there}");
            }
        }
    }
}

fn processes(
    plugin: &Plugin,
    manifest: &Manifest,
    written: &toml::Table,
    find: &dyn Fn(&str) -> Option<PathBuf>,
    missing: &mut Vec<Permission>,
    lines: &mut String,
) {
    let there = grant(written, "process")
        .and_then(toml::Value::as_table)
        .cloned()
        .unwrap_or_default();
    for (binary, request) in &manifest.capabilities.process {
        let header = format!("\n[plugin.{}.grants.process.{}]", plugin.name, key(binary));
        let own = there.get(binary).and_then(toml::Value::as_table);
        match (plugin.grants.processes.get(binary), own) {
            (Some(granted), own) => {
                let mut own = own.cloned().unwrap_or_default();
                let _ = writeln!(lines, "{header}");
                // That it is false is meant.
                let environment = request.inherit_env && !granted.inherit_env && !own.contains_key("inherit_env");
                if environment {
                    missing.push(Permission::run(binary, true));
                    own.remove("inherit_env");
                }
                for (name, value) in &own {
                    let _ = writeln!(lines, "{} = {value}", key(name));
                }
                if environment {
                    let _ = writeln!(lines, "inherit_env = true{}", note(true, None));
                }
            }
            (None, _) => {
                missing.push(Permission::run(binary, request.inherit_env));
                let _ = writeln!(lines, "{header}{}", note(true, None));
                match find(binary) {
                    Some(path) => {
                        let path = toml::Value::String(path.display().to_string());
                        let _ = writeln!(lines, "path = {path}");
                    }
                    None => {
                        let _ = writeln!(
                            lines,
                            "# path = \"/absolute/path/of/{binary}\", which was not found here"
                        );
                    }
                }
                if request.inherit_env {
                    lines.push_str("inherit_env = true\n");
                }
            }
        }
    }
}

/// Those that may be left out are not missing; whoever writes the lines is reminded of them.
fn secrets(plugin: &Plugin, manifest: &Manifest, written: &toml::Table, lines: &mut String) {
    let mut absent = manifest
        .secrets()
        .filter(|name| !plugin.grants.secrets.contains_key(*name))
        .peekable();
    if absent.peek().is_none() {
        return;
    }
    let there = written.contains_key("secrets");
    let mark = if there { "# " } else { "" };
    let _ = writeln!(
        lines,
        "\n{mark}[plugin.{}.secrets]{}",
        plugin.name,
        if there { "   (already there)" } else { "" }
    );
    for name in absent {
        let _ = writeln!(
            lines,
            "# {name} = {{ env = \"VARIABLE\" }}   or {{ file = \"/path\" }}, if the plugin should have it"
        );
    }
}

fn note(new: bool, replaces: Option<&toml::Value>) -> String {
    match (new, replaces) {
        (false, _) => String::new(),
        (true, None) => "   # new".to_owned(),
        (true, Some(old)) => format!("   # instead of {}", nexus_plugin_api::text::line(&old.to_string())),
    }
}

fn is_private(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = bare == "localhost" || bare.ends_with(".localhost");
    local
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| !nexus_model::address::is_global(ip))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{Found, Machine, Overrides, PluginSource, resolve};

    const ASKS: &str = r#"
name = "chat-x"
kind = "chat"
version = "0.1.0"
api = "0.1"
description = "d"
license = "MIT"
[config.api]
type = "string"
default = "http://127.0.0.1:8000"
description = "where"
[config.token]
type = "string"
secret = true
description = "what it wants"
[capabilities.process.node]
reason = "r"
inherit_env = true
[capabilities.process."g++"]
reason = "r"
[[capabilities.http]]
url = "https://api.example.org"
reason = "r"
[[capabilities.http]]
url = "{config:api}"
reason = "r"
[capabilities.store]
quota = 4096
reason = "r"
"#;

    struct One;

    impl PluginSource for One {
        fn manifest(&self, name: &str, _: &Source) -> Result<Found, String> {
            let text = match name {
                "auth-y" => {
                    "name = \"auth-y\"\nkind = \"auth\"\nversion = \"0.1.0\"\napi = \"0.1\"\ndescription = \
                     \"d\"\nlicense = \"MIT\"\n"
                }
                _ => ASKS,
            };
            let manifest = Manifest::parse(text).map_err(|why| why.to_string())?;
            Ok(Found { manifest, digest: None })
        }
        fn builtins(&self) -> Vec<String> {
            Vec::new()
        }
    }

    fn missing(own: &str) -> Option<MissingPermissions> {
        let text = format!(
            "config_version = 1\n[auth]\nplugin = \"auth-y\"\n[plugin.auth-y]\nsource = \
             \"y.wasm\"\n[chat.main]\nplugin = \"chat-x\"\n[plugin.chat-x]\nsource = \"x.wasm\"\n{own}"
        );
        let machine = Machine {
            cwd: std::env::temp_dir(),
            data_home: Some("/data".into()),
            env: &|_| Some("secret".to_owned()),
            plugins: &One,
        };
        let mut findings = crate::toml_reader::Findings::default();
        let config = resolve::resolve_noting(&text, None, &Overrides::default(), &machine, &mut findings).unwrap();
        let others = crate::Report::new(None, text.clone(), findings.diagnostics).to_string();
        assert!(
            !others.contains("does not request") && !others.contains("has no key"),
            "{others}"
        );
        let manifest = Manifest::parse(ASKS).unwrap();
        let plugin = config.plugins.get("chat-x").unwrap();
        missing_permissions(plugin, &manifest, &text, &|name| {
            (name == "node").then(|| "/usr/bin/node".into())
        })
    }

    #[test]
    fn all_that_is_missing_is_one_block_that_grants_it() {
        let all = missing("").unwrap();
        assert_eq!(
            all.permissions,
            [
                "send requests to https://api.example.org",
                "send requests to http://127.0.0.1:8000, including private addresses",
                "store up to 4 KiB",
                "run g++",
                "run node with your environment"
            ]
        );
        assert_eq!(
            all.lines,
            "[plugin.chat-x.grants]\nhttp = [\"https://api.example.org\", { url = \"http://127.0.0.1:8000\", private \
             = true }]   # new\nstore_quota = 4096   # new\n\n[plugin.chat-x.grants.process.\"g++\"]   # new\n# path \
             = \"/absolute/path/of/g++\", which was not found here\n\n[plugin.chat-x.grants.process.node]   # \
             new\npath = \"/usr/bin/node\"\ninherit_env = true\n\n[plugin.chat-x.secrets]\n# token = { env = \
             \"VARIABLE\" }   or { file = \"/path\" }, if the plugin should have it\n"
        );
        assert_eq!(missing(&all.lines), None, "once pasted, nothing is missing");
    }

    #[test]
    fn what_is_there_already_stays_and_what_replaces_it_says_so() {
        let some = missing(
            "[plugin.chat-x.grants]\nhttp = [\"http://127.0.0.1:8000\"]\nstore_quota = \"1 KiB\"\n\
             [plugin.chat-x.grants.process.node]\npath = \"/opt/node\"\ninherit_env = false\n\
             [plugin.chat-x.secrets]\ntoken = { env = \"T\" }\n",
        )
        .unwrap();
        assert!(some.how.contains("replace [plugin.chat-x.grants]"), "{}", some.how);
        assert_eq!(
            some.lines,
            "[plugin.chat-x.grants]\nhttp = [{ url = \"http://127.0.0.1:8000\", private = true }, \
             \"https://api.example.org\"]   # instead of [\"http://127.0.0.1:8000\"]\nstore_quota = \"1 \
             KiB\"\n\n[plugin.chat-x.grants.process.\"g++\"]   # new\n# path = \"/absolute/path/of/g++\", which was \
             not found here\n\n[plugin.chat-x.grants.process.node]\ninherit_env = false\npath = \"/opt/node\"\n"
        );
        assert_eq!(missing(&some.lines), None);
    }
}
