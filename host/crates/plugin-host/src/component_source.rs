//! Manifests, as the configuration wants them: out of the components themselves.

use crate::engine::{digest, manifest};
use nexus_config::resolved::Source;
use nexus_config::{LoadedManifest, PluginSource};
use nexus_files::bounded;
use nexus_model::limits;

/// `Components` are those inside this binary, and those in files.
#[derive(Debug, Clone, Copy)]
pub struct Components {
    /// `builtin` has name and bytes of each.
    builtin: &'static [(&'static str, &'static [u8])],
}

impl Components {
    /// Takes the built-in components, each with its name; components in files are read when they are asked for.
    pub fn new(builtin: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { builtin }
    }
}

impl PluginSource for Components {
    fn manifest(&self, name: &str, source: &Source) -> Result<LoadedManifest, String> {
        match source {
            Source::Builtin => {
                let (_, bytes) = self
                    .builtin
                    .iter()
                    .find(|(builtin, _)| *builtin == name)
                    .ok_or_else(|| format!("there is no built-in plugin `{name}`"))?;
                let manifest = manifest(bytes).map_err(|cause| cause.to_string())?;
                Ok(LoadedManifest { manifest, digest: None })
            }
            Source::File(path) => {
                let bytes = bounded::read(path, limits::COMPONENT_BYTES);
                let bytes = bytes.map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                let manifest =
                    manifest(&bytes).map_err(|cause| cause.about(&path.display().to_string()).to_string())?;
                let digest = Some(digest(&bytes));
                Ok(LoadedManifest { manifest, digest })
            }
        }
    }

    fn builtins(&self) -> Vec<String> {
        self.builtin.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}
