//! Manifests, as the configuration wants them: out of the components themselves.

use nexus_config::resolved::Source;
use nexus_config::{Found, PluginSource, file};
use nexus_model::limits;
use nexus_plugin_host::runtime::component::{digest, manifest};

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
                    .ok_or_else(|| format!("no built-in plugin is called `{name}`"))?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_config::{Machine, Overrides, load};
    use nexus_plugin_host::runtime::inspect;
    use std::path::Path;

    #[test]
    fn each_component_inside_loads_and_is_the_one_of_its_name() {
        for (name, bytes) in crate::builtin::all() {
            let found = inspect(bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert_eq!(found.manifest.name.as_str(), *name);
        }
    }

    #[test]
    fn the_example_is_valid_with_the_components_that_ship() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nexus.toml");
        let plugins = Components::shipped();
        let machine = Machine {
            cwd: std::env::temp_dir(),
            data_home: Some("/data-home".into()),
            env: &|_| None,
            plugins: &plugins,
        };
        let read = load(Some(&file), &Overrides::default(), &machine).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(read.tunnels["home"].plugin, "tunnel-bore");
    }
}
