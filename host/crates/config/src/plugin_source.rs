//! Where the manifests of plugins come from.

use crate::resolved::Source;
use nexus_plugin_api::manifest::Manifest;

/// `LoadedManifest` is what a component says of itself.
#[derive(Debug, Clone)]
pub struct LoadedManifest {
    /// `manifest` is the one in the component.
    pub manifest: Manifest,
    /// `digest` is the SHA-256, in hexadecimal, of the bytes of a component in a file; `None` for a built-in one.
    pub digest: Option<String>,
}

/// `PluginSource` is where manifests come from.
pub trait PluginSource {
    /// Reads the manifest of the plugin `name`: of the component in the file, or of the built-in one of that name.
    ///
    /// # Errors
    /// A sentence for the operator: no such file, no component, no manifest.
    fn manifest(&self, name: &str, source: &Source) -> Result<LoadedManifest, String>;
    /// `builtins` are the names of the built-in plugins.
    fn builtins(&self) -> Vec<String>;
}
