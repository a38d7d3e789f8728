//! What a component says of itself, out of its manifest.

use crate::permission::Permission;
use crate::resolved::ComponentInfo;
use nexus_plugin_api::manifest::Manifest;

impl ComponentInfo {
    /// `of` takes it from a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            api: manifest.api.to_string(),
            permissions: Permission::requested(manifest)
                .iter()
                .map(|request| request.permission.to_string())
                .collect(),
        }
    }
}
