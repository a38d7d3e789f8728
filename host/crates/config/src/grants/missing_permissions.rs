//! What a plugin asks for and is not granted, all at once, with the lines that grant it.
//!
//! Problem: a denial names one permission, at the moment it is missed; four of them are four restarts. Mechanism: what
//! is missing is settled with the grants, before anything runs, and the whole of `[plugin.NAME.grants]` is written out as it
//! would have to be, what is there already among it: two tables of one name are no TOML, so that lines to add could not be
//! pasted. Limits: what the operator took away from a built-in plugin is meant so and is not listed; a name that leads to a
//! private address is not looked up.

use super::lines::Lines;
use crate::locations::THEN_APPLY;
use crate::permission::Permission;
use crate::resolved::Plugin;
use nexus_plugin_api::manifest::Manifest;
use std::path::PathBuf;

/// `MissingPermissions` are what one plugin asks for and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPermissions {
    /// `plugin` is the plugin's name.
    pub plugin: String,
    /// `permissions`: `run node`, `send requests to https://api.example.org`: see [`crate::Permission`].
    pub permissions: Vec<String>,
    /// `how` says what to do with the lines.
    pub how: String,
    /// `lines` are TOML.
    pub lines: String,
}

impl MissingPermissions {
    /// `sentence` is for a reader who sees the lines too.
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

/// `missing_permissions` writes the lines that grant what is missing; `None` where nothing is. `manifest`: the plugin's own;
/// `text`: the configuration; `find` knows where a program of a name is.
pub fn missing_permissions(
    plugin: &Plugin,
    manifest: &Manifest,
    text: &str,
    find: &dyn Fn(&str) -> Option<PathBuf>,
) -> Option<MissingPermissions> {
    if plugin.missing.is_empty() {
        return None;
    }
    let name = &plugin.name;
    let mut lines = Lines {
        plugin: name,
        manifest,
        permissions: &plugin.missing,
        whole: true,
        table: written(text, name),
        find,
        own: String::new(),
        tables: String::new(),
    };
    plugin.grants.lines(&mut lines);
    let how = if lines.table.contains_key("grants") {
        format!(
            "in the configuration, replace [plugin.{name}.grants] and each [plugin.{name}.grants.process.…] with these \
             lines, which include the existing grants, {THEN_APPLY}:"
        )
    } else {
        format!("if that is what you want, add these lines to the configuration, {THEN_APPLY}:")
    };
    Some(MissingPermissions {
        plugin: name.clone(),
        permissions: plugin.missing.iter().map(ToString::to_string).collect(),
        how,
        lines: lines.finish(),
    })
}

/// `lines_granting` are the lines that grant one permission, as [`missing_permissions`] writes them for all that are missing.
pub fn lines_granting(
    permission: &Permission,
    plugin: &Plugin,
    manifest: &Manifest,
    find: &dyn Fn(&str) -> Option<PathBuf>,
) -> String {
    let mut lines = Lines {
        plugin: &plugin.name,
        manifest,
        permissions: std::slice::from_ref(permission),
        whole: false,
        table: toml::Table::new(),
        find,
        own: String::new(),
        tables: String::new(),
    };
    plugin.grants.lines(&mut lines);
    lines.finish()
}

/// The plugin's own table, as it is in the file.
fn written(text: &str, plugin: &str) -> toml::Table {
    let table = text.parse::<toml::Table>().ok();
    let of = |table: &toml::Table, key: &str| table.get(key).and_then(toml::Value::as_table).cloned();
    table
        .and_then(|table| of(&of(&table, "plugin")?, plugin))
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::resolved::Source;
    use crate::{HostEnvironment, LoadedManifest, Overrides, PluginSource, resolve};

    const ASKS: &str = r#"
name = "chat-x"
kind = "chat"
version = "0.1.0"
api = "0.2"
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
        fn manifest(&self, name: &str, _: &Source) -> Result<LoadedManifest, String> {
            let text = match name {
                "auth-y" => {
                    "name = \"auth-y\"\nkind = \"auth\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \
                     \"d\"\nlicense = \"MIT\"\n"
                }
                _ => ASKS,
            };
            let manifest = Manifest::parse(text).map_err(|cause| cause.to_string())?;
            Ok(LoadedManifest { manifest, digest: None })
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
        let machine = HostEnvironment {
            cwd: std::env::temp_dir(),
            data_home: Some("/data".into()),
            env: &|_| Some("secret".to_owned()),
            plugins: &One,
        };
        let mut findings = crate::toml_reader::Findings::default();
        let current = nexus_plugin_api::renamed_keys::current(&text, &[]);
        let config = resolve::resolve_noting(&current, None, &Overrides::default(), &machine, &mut findings).unwrap();
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
                "run g++",
                "run node with your environment",
                "send requests to https://api.example.org",
                "send requests to http://127.0.0.1:8000, including private addresses",
                "store up to 4 KiB"
            ]
        );
        assert_eq!(
            all.lines,
            "[plugin.chat-x.grants]\nhttp = [\"https://api.example.org\", { url = \"http://127.0.0.1:8000\", private \
             = true }]\nstore_quota = 4096\n\n[plugin.chat-x.grants.process.\"g++\"]\n# path \
             = \"/absolute/path/of/g++\", which was not found here\n\n[plugin.chat-x.grants.process.node]\n\
             path = \"/usr/bin/node\"\ninherit_env = true\n\n[plugin.chat-x.secrets]\n# token = { env = \
             \"VARIABLE\" }   # or { file = \"/path\" }, if the plugin should have it\n"
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
        assert!(some.how.contains(THEN_APPLY), "{}", some.how);
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
