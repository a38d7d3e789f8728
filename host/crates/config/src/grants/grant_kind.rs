//! What the configuration knows of a capability that needs a grant.

use super::grant_context::GrantContext;
use super::lines::Lines;
use super::request::Request;
use crate::diagnostic::Diagnostic;
use crate::permission::Permission;
use crate::toml_reader::{Findings, Table};
use nexus_plugin_api::manifest::Manifest;

/// `GrantKind` is what is granted of one capability, with all that belongs to it: how the grant is written, what a manifest
/// asks for, how it is put into words, and the lines that grant it.
pub(crate) trait GrantKind: Sized {
    /// `Written` is what the operator wrote.
    type Written: Default;
    /// Reads what the operator wrote.
    fn read(tables: &mut PluginTables<'_, '_, '_>, findings: &mut Findings) -> Self::Written;
    /// `requested` are the permissions that a manifest asks for.
    fn requested(manifest: &Manifest) -> Vec<Request>;
    /// `resolve` is the manifest ∩ the operator.
    fn resolve(written: &Self::Written, asked: &GrantContext<'_>, notes: &mut GrantNotes<'_>) -> Self;
    /// `permissions` puts what is granted into words.
    fn permissions(&self) -> Vec<Permission>;
    /// Writes what [`Lines::permissions`] has of it, and what is in the file already.
    fn lines(&self, lines: &mut Lines<'_>);
}

/// `PluginTables` are the tables of one plugin in the file in which its grants are written.
pub(crate) struct PluginTables<'t, 'a, 'i> {
    /// `plugin` is `[plugin.NAME]` itself.
    pub(crate) plugin: &'t mut Table<'a, 'i>,
    pub(crate) grants: Option<Table<'a, 'i>>,
    pub(crate) limits: Option<Table<'a, 'i>>,
}

/// `GrantNotes` are what is found out while grants are resolved.
pub(crate) struct GrantNotes<'a> {
    pub(crate) findings: &'a mut Findings,
    /// `problems` are what this machine does not give. That is no mistake of the file.
    pub(crate) problems: &'a mut Vec<Diagnostic>,
    /// `missing` is what the plugin asks for, is not granted, and was not refused in the file either.
    pub(crate) missing: Vec<Permission>,
}
