//! What the configuration knows of a capability that needs a grant.

use super::asked::Asked;
use crate::permission::Permission;
use crate::resolved::{Grants, Plugin};
use nexus_plugin_api::manifest::Manifest;
use std::path::PathBuf;

/// `Grantable` is one capability: what a manifest asks for, what is granted, what is missing, and the lines that grant it.
pub(super) struct Grantable {
    /// What a manifest asks for, the addresses as they are written in it.
    pub(super) requested: fn(&Manifest) -> Vec<Permission>,
    pub(super) granted: fn(&Grants) -> Vec<Permission>,
    /// What a plugin from a file asks for, is not granted, and was not refused in the file either. The second argument is
    /// its settings.
    pub(super) missing: fn(&Asked<'_>, &serde_json::Map<String, serde_json::Value>, &Grants) -> Vec<Permission>,
    /// Writes all that the plugin needs, what is there already among it.
    pub(super) lines: fn(&mut Lines<'_>),
}

/// `Lines` are the TOML lines that grant what is missing, while they are written.
pub(super) struct Lines<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) manifest: &'a Manifest,
    /// `[plugin.NAME]`, as it is in the file.
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
}

/// What stands behind a line that is new.
pub(super) fn note(new: bool, replaces: Option<&toml::Value>) -> String {
    match (new, replaces) {
        (false, _) => String::new(),
        (true, None) => "   # new".to_owned(),
        (true, Some(old)) => format!("   # instead of {}", nexus_plugin_api::text::line(&old.to_string())),
    }
}
