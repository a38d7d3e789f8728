//! What the configuration knows of a capability that needs a grant.

use super::asked::Asked;
use super::request::Request;
use crate::permission::Permission;
use crate::resolved::{Grants, Plugin};
use nexus_plugin_api::manifest::Manifest;
use std::path::PathBuf;

/// `Grantable` is one capability: what a manifest asks for, what is granted, what is missing, and the lines that grant it.
pub(super) struct Grantable {
    pub(super) requested: fn(&Manifest) -> Vec<Request>,
    pub(super) granted: fn(&Grants) -> Vec<Permission>,
    /// What a plugin from a file asks for, is not granted, and was not refused in the file either. The second argument is
    /// its settings.
    pub(super) missing: fn(&Asked<'_>, &serde_json::Map<String, serde_json::Value>, &Grants) -> Vec<Permission>,
    /// Writes what [`Lines::permissions`] has of it, and what is in the file already.
    pub(super) lines: fn(&mut Lines<'_>),
}

/// `Lines` are the TOML lines that grant permissions, while they are written.
pub(super) struct Lines<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) manifest: &'a Manifest,
    /// What the lines grant.
    pub(super) permissions: &'a [Permission],
    /// `[plugin.NAME]`, as it is in the file; empty: only what is new is written.
    pub(super) table: toml::Table,
    /// Where a program of a name is.
    pub(super) find: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// The keys of `[plugin.NAME.grants]` itself.
    pub(super) own: String,
    /// The tables that follow it.
    pub(super) tables: String,
}

impl Lines<'_> {
    /// A key of `[plugin.NAME.grants]`, as it is in the file.
    pub(super) fn written(&self, key: &str) -> Option<&toml::Value> {
        self.table.get("grants")?.as_table()?.get(key)
    }

    /// What stands behind a line that is new. Where the file grants nothing yet, all lines are.
    pub(super) fn note(&self, replaces: Option<&toml::Value>) -> String {
        match replaces {
            Some(old) => format!("   # instead of {}", nexus_plugin_api::text::line(&old.to_string())),
            None if self.table.contains_key("grants") => "   # new".to_owned(),
            None => String::new(),
        }
    }

    /// The lines of all capabilities, as they are pasted.
    pub(super) fn finish(self) -> String {
        let own = match self.own.as_str() {
            "" => String::new(),
            own => format!("[plugin.{}.grants]\n{own}", self.plugin.name),
        };
        format!("{own}{}", self.tables).trim_start().to_owned()
    }
}
