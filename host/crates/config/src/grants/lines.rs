//! The TOML lines that grant permissions.

use crate::permission::Permission;
use nexus_plugin_api::manifest::Manifest;
use std::path::PathBuf;

/// `Lines` are the TOML lines that grant permissions, while they are written.
pub(crate) struct Lines<'a> {
    /// `plugin` is the `NAME` of `[plugin.NAME]`.
    pub(super) plugin: &'a str,
    pub(super) manifest: &'a Manifest,
    /// What the lines grant.
    pub(super) permissions: &'a [Permission],
    /// `whole`: they are all that is missing, so that what may be left out is mentioned too.
    pub(super) whole: bool,
    /// `[plugin.NAME]`, as it is in the file; empty: only what is new is written.
    pub(super) table: toml::Table,
    /// Where a program of a name is.
    pub(super) find: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// The keys of `[plugin.NAME.grants]` itself.
    pub(super) own: String,
    /// The tables that follow it.
    pub(super) tables: String,
}

impl<'a> Lines<'a> {
    /// What of [`Self::permissions`] is of this capability.
    pub(super) fn of(&self, capability: &'static str) -> impl Iterator<Item = &'a Permission> + use<'a> {
        let permissions = self.permissions.iter();
        permissions.filter(move |permission| permission.capability == capability)
    }

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
            own => format!("[plugin.{}.grants]\n{own}", self.plugin),
        };
        format!("{own}{}", self.tables).trim_start().to_owned()
    }
}
