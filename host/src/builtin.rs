//! The components inside this binary. `nexus plugin build --builtin` writes them and the list of them.

use nexus_plugin_host::Components;

// A static: a constant is copied into every unit of code that names it, and these are megabytes.
static ALL: &[(&str, &[u8])] = include!("../builtin/components.in");

/// `all` has name and bytes of each, sorted by name.
pub fn all() -> &'static [(&'static str, &'static [u8])] {
    ALL
}

/// `components` are they, and the components in files: where the configuration finds manifests.
pub fn components() -> Components {
    Components::new(ALL)
}

/// `builtin` is the built-in component of that name.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    ALL.iter()
        .find(|(builtin, _)| *builtin == name)
        .map(|(_, bytes)| *bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use nexus_config::{HostEnvironment, Overrides, load};
    use nexus_plugin_host::inspect;
    use std::path::Path;

    #[test]
    fn each_component_inside_loads_and_is_the_one_of_its_name() {
        for (name, bytes) in all() {
            let found = inspect(bytes).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            assert_eq!(found.manifest.name.as_str(), *name);
        }
    }

    #[test]
    fn the_example_is_valid_with_the_components_that_ship() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nexus.toml");
        let plugins = components();
        let machine = HostEnvironment {
            cwd: std::env::temp_dir(),
            data_home: Some("/data-home".into()),
            env: &|_| None,
            plugins: &plugins,
        };
        let read = load(Some(&file), &Overrides::default(), &machine).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(read.tunnels["home"].plugin, "tunnel-bore");
    }
}
