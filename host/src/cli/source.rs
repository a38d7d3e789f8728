//! Manifests, as the configuration wants them: out of the components themselves.

use crate::config::resolved::Source;
use crate::config::{Found, PluginSource, file};
use crate::limits;
use crate::runtime::component::{digest, manifest};

/// The components inside this binary, and those in files.
#[derive(Debug, Clone, Copy)]
pub struct Components {
    /// (name, bytes)
    builtin: &'static [(&'static str, &'static [u8])],
}

impl Components {
    pub fn new(builtin: &'static [(&'static str, &'static [u8])]) -> Self {
        Self { builtin }
    }

    /// What this binary ships.
    pub fn shipped() -> Self {
        Self::new(crate::builtin::all())
    }
}

impl PluginSource for Components {
    fn manifest(&self, name: &str, source: &Source) -> Result<Found, String> {
        match source {
            Source::Builtin => {
                let (_, bytes) = self
                    .builtin
                    .iter()
                    .find(|(builtin, _)| *builtin == name)
                    .ok_or_else(|| format!("there is no built-in plugin `{name}`"))?;
                let manifest = manifest(bytes).map_err(|why| why.to_string())?;
                Ok(Found { manifest, digest: None })
            }
            Source::File(path) => {
                let bytes = file::read(path, limits::COMPONENT_BYTES);
                let bytes = bytes.map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                let manifest = manifest(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
                let digest = Some(digest(&bytes));
                Ok(Found { manifest, digest })
            }
        }
    }

    fn builtins(&self) -> Vec<String> {
        self.builtin.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}
