//! Manifests, as the configuration wants them: out of the components themselves.

use crate::config::PluginSource;
use crate::config::resolved::Source;
use nexus_plugin_api::MANIFEST_SECTION;
use nexus_plugin_api::manifest::Manifest;
use wasmparser::{Parser, Payload};

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
    fn manifest(&self, name: &str, source: &Source) -> Result<Manifest, String> {
        match source {
            Source::Builtin => {
                let (_, bytes) = self
                    .builtin
                    .iter()
                    .find(|(builtin, _)| *builtin == name)
                    .ok_or_else(|| format!("no built-in plugin is called `{name}`"))?;
                read_manifest(bytes)
            }
            Source::File(path) => {
                let bytes = std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                read_manifest(&bytes).map_err(|why| format!("{}: {why}", path.display()))
            }
        }
    }

    fn builtins(&self) -> Vec<String> {
        self.builtin.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// The manifest in the component's own section; sections of modules and components within it do not count.
fn read_manifest(component: &[u8]) -> Result<Manifest, String> {
    if !Parser::is_component(component) {
        return Err(if Parser::is_core_wasm(component) {
            "this is a core module, not a component; build it for wasm32-wasip2, or with `nexus plugin build`"
                .to_owned()
        } else {
            "this is not a WASM component".to_owned()
        });
    }
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|e| format!("the component is damaged: {e}"))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => {
                let text = std::str::from_utf8(section.data()).map_err(|_| "its manifest is not UTF-8".to_owned())?;
                return Manifest::parse(text).map_err(|e| e.to_string());
            }
            _ => {}
        }
    }
    Err("the component carries no manifest; `nexus plugin build` puts plugin.toml into it".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection};

    const MANIFEST: &str =
        "name = \"x-y\"\nkind = \"chat\"\nversion = \"1.2.3\"\napi = \"0.1\"\ndescription = \"d\"\nlicence = \"MIT\"\n";

    fn section(data: &str) -> CustomSection<'_> {
        CustomSection {
            name: MANIFEST_SECTION.into(),
            data: data.as_bytes().into(),
        }
    }

    #[test]
    fn the_manifest_is_the_components_own() {
        let mut inner = Module::new();
        inner.section(&section("not this one"));
        let mut component = Component::new();
        component.section(&ModuleSection(&inner));
        let without = component.clone().finish();
        assert!(read_manifest(&without).unwrap_err().contains("carries no manifest"));
        component.section(&section(MANIFEST));
        let m = read_manifest(&component.finish()).unwrap();
        assert_eq!((m.name.as_str(), m.version.to_string().as_str()), ("x-y", "1.2.3"));
    }

    #[test]
    fn what_is_no_component_is_refused_in_words() {
        assert!(
            read_manifest(&Module::new().finish())
                .unwrap_err()
                .contains("core module")
        );
        assert!(read_manifest(b"\x7fELF").unwrap_err().contains("not a WASM component"));
        let mut component = Component::new();
        component.section(&section(MANIFEST));
        let bytes = component.finish();
        let cut = bytes.get(..bytes.len() - 4).unwrap();
        assert!(read_manifest(cut).unwrap_err().contains("damaged"));
    }
}
