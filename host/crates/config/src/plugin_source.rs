//! Where the manifests of plugins come from.

use crate::resolved::Source;
use nexus_plugin_api::manifest::Manifest;

/// What a component says of itself.
#[derive(Debug, Clone)]
pub struct Found {
    pub manifest: Manifest,
    /// Of one in a file: SHA-256 of its bytes, in hexadecimal.
    pub digest: Option<String>,
}

/// Where manifests come from.
pub trait PluginSource {
    /// The manifest of the plugin `name`: of the component in the file, or of the built-in one of that name.
    ///
    /// # Errors
    /// A sentence for the operator: no such file, no component, no manifest.
    fn manifest(&self, name: &str, source: &Source) -> Result<Found, String>;
    /// The names of the built-in plugins.
    fn builtins(&self) -> Vec<String>;
}
