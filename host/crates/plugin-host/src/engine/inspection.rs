//! Reads a component before anything of it runs: what it says about itself, what it wants, what it offers; and refuses
//! in words what this host cannot run.
//!
//! The names of imports and exports are read with wasmparser and not with wasmtime's `component_type()`, which needs
//! the component compiled: a refusal should not cost a compilation. Whether their *types* are those of the contract is in
//! [`super::contract_check`].

use super::contract_check as fit;
use super::denied_wasi::{CLI, FILESYSTEM, SOCKETS};
use super::error::LoadError;
use super::interface_name::{Interface, interface};
use super::minor::{Minor, Minors, PACKAGE};
use nexus_config::grants::HttpGrant;
use nexus_model::digest::{hex, sha256};
use nexus_model::limits;
use nexus_model::plugin::Kind;
use nexus_plugin_api::MANIFEST_SECTION;
use nexus_plugin_api::manifest::Manifest;
use semver::Version;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

/// An inspection says what a component says, wants and offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// `manifest` is the one in the component.
    pub manifest: Manifest,
    /// `kind` is what its manifest says it serves; its exports are those of this kind.
    pub kind: Kind,
    /// `minor` is the version of the contract that it speaks.
    pub(crate) minor: &'static Minor,
    /// `digest` is the SHA-256 of its bytes in hexadecimal.
    pub digest: String,
    /// `imports` are sorted, each as `nexus:plugin/http@0.2.0`.
    pub imports: Vec<String>,
    /// `exports` are as `imports`.
    pub exports: Vec<String>,
    /// `size` is in bytes.
    pub size: u64,
    /// `memory` is in bytes: what its modules have from the beginning.
    pub memory: u64,
}

impl Inspection {
    /// `contract` is the minor version of the contract that it speaks: `0.2`.
    pub fn contract(&self) -> String {
        self.minor.name()
    }

    /// Tells whether it exports `nexus:plugin/NAME`.
    pub fn offers(&self, name: &str) -> bool {
        let mut exports = self.exports.iter().filter_map(|e| interface(e));
        exports.any(|i| i.name == name && self.minor.has(&i))
    }

    /// `optional_interfaces` are those that a plugin of its kind may have, and whether it has them.
    pub fn optional_interfaces(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let optional = (self.minor.optional)(self.manifest.kind).iter();
        optional.map(|name| (*name, self.offers(name)))
    }

    /// Tells whether it, or its language's standard library, would open sockets.
    pub fn wants_sockets(&self) -> bool {
        let mut imports = self.imports.iter().filter_map(|import| interface(import));
        imports.any(|i| i.package == SOCKETS)
    }
}

/// Reads and checks a component completely, without compiling or running it.
///
/// # Errors
/// It is none, is damaged, has no manifest, or wants or offers what this host does not speak.
pub(crate) fn inspect(bytes: &[u8], minors: Minors) -> Result<Inspection, LoadError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    validator.validate_all(bytes).map_err(|e| damaged(&e))?;
    let inspection = read(bytes, &sha256(&[bytes]), minors)?;
    check_types(bytes, &inspection)?;
    Ok(inspection)
}

/// Reads what the component says, wants and offers, by name: neither its types ([`check_types`]) nor its code, which the
/// compiler validates. A component in the code cache has passed both. `digest` is its own.
pub(crate) fn read(bytes: &[u8], digest: &[u8; 32], minors: Minors) -> Result<Inspection, LoadError> {
    let mut outline = outline(bytes)?;
    let manifest = outline.manifest()?;
    outline.imports.sort();
    outline.exports.sort();
    check_api(&manifest, minors)?;
    check_imports(&outline.imports, minors)?;
    let minor = check_exports(&manifest, &outline.exports, minors)?;
    check_minor(&manifest, minor, &outline, minors)?;
    Ok(Inspection {
        kind: manifest.kind.into(),
        minor,
        manifest,
        digest: hex(digest),
        imports: outline.imports,
        exports: outline.exports,
        size: bytes.len() as u64,
        memory: outline.memory,
    })
}

/// Compares the types of a component that was [`read`] with those of the contract.
pub(crate) fn check_types(bytes: &[u8], read: &Inspection) -> Result<(), LoadError> {
    let types = fit::types(bytes).map_err(|e| damaged(&e))?;
    fit::check(read.minor, read.manifest.kind, &types, &read.imports, &read.exports)
}

/// `digest` is the SHA-256 of the bytes, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex(&sha256(&[bytes]))
}

/// Reads only what the component says about itself: the configuration needs it of plugins that this host may be unable
/// to run.
///
/// # Errors
/// It is no component, is damaged, or has no manifest.
pub fn manifest(bytes: &[u8]) -> Result<Manifest, LoadError> {
    outline(bytes)?.manifest()
}

fn damaged(cause: &dyn std::fmt::Display) -> LoadError {
    let cause = cause.to_string();
    // The rest are bytes.
    let cause = cause.lines().next().unwrap_or_default();
    let cause = cause.split(" - expected=").next().unwrap_or_default();
    // That the first bytes are others says nothing more.
    let cause = if cause.contains("magic header") {
        String::new()
    } else {
        format!(" ({cause})")
    };
    LoadError::NotComponent(format!(
        "The component is not a WebAssembly component, or it is damaged{cause}. To fix: build it with \
         `nexus plugin build`"
    ))
}

#[derive(Default)]
struct Outline<'a> {
    manifest: Option<&'a [u8]>,
    /// `manifests` counts them. More than one: whoever reads the first and whoever reads the last would see two
    /// plugins.
    manifests: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    memory: u64,
}

impl Outline<'_> {
    fn manifest(&self) -> Result<Manifest, LoadError> {
        let text = self.manifest.ok_or_else(|| {
            LoadError::Manifest("The component has no manifest. To fix: build it with `nexus plugin build`".into())
        })?;
        if self.manifests > 1 {
            return Err(LoadError::Manifest(format!(
                "The component has {} manifests, but the custom section `{MANIFEST_SECTION}` must exist only once. To \
                 fix: build it with `nexus plugin build`",
                self.manifests
            )));
        }
        let text = std::str::from_utf8(text).map_err(|e| {
            LoadError::Manifest(format!(
                "The component has a manifest that is not UTF-8 ({e}). To fix: build it with `nexus plugin build`"
            ))
        })?;
        let invalid = |cause: &dyn std::fmt::Display| {
            LoadError::Manifest(format!(
                "The component has a manifest that is not valid: {cause}. To fix: correct plugin.toml and build the \
                 component again"
            ))
        };
        let manifest = Manifest::parse(text).map_err(|e| invalid(&e))?;
        // Where a key of the configuration is in it, the configuration's reader checks the whole.
        for request in manifest.capabilities.http.iter().filter(|r| !r.url.contains('{')) {
            HttpGrant::of_url(&request.url)
                .map_err(|cause| invalid(&format!("capabilities.http, url = \"{}\": {cause}", request.url)))?;
        }
        Ok(manifest)
    }
}

/// `name` is an import's or an export's. The format allows letters of ASCII and some signs only; until that is checked,
/// it is text.
fn name(text: &str) -> Result<String, LoadError> {
    let plain = |c: char| c.is_ascii_graphic();
    if text.len() > limits::IMPORT_NAME || !text.chars().all(plain) {
        return Err(damaged(&"an import or an export has no valid name"));
    }
    Ok(text.to_owned())
}

/// `outline` is that of the outermost component only.
fn outline(bytes: &[u8]) -> Result<Outline<'_>, LoadError> {
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| damaged(&e))? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(LoadError::NotComponent(
                    "The component is a core WebAssembly module, not a component. To fix: build it with `nexus plugin \
                     build`"
                        .into(),
                ));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(|e| damaged(&e))?;
                    let page = 1_u64
                        .checked_shl(memory.page_size_log2.unwrap_or(16))
                        .unwrap_or(u64::MAX);
                    outline.memory = outline.memory.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => {
                outline.manifest = Some(section.data());
                outline.manifests += 1;
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(name(import.map_err(|e| damaged(&e))?.name.name)?);
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(name(export.map_err(|e| damaged(&e))?.name.name)?);
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

/// Whatever the component has, what its author says of it is refused first, where no minor fits.
fn check_api(manifest: &Manifest, minors: Minors) -> Result<(), LoadError> {
    if minors.supports(&manifest.api) {
        return Ok(());
    }
    Err(LoadError::Api(format!(
        "The plugin {} was written for nexus:plugin {}, but this host supports {}. To fix: use a version of the plugin for \
         {2}, or another version of Nexus",
        manifest.name,
        manifest.api,
        minors.ranges()
    )))
}

/// A component speaks one minor, and its manifest says that it does.
fn check_minor(
    manifest: &Manifest,
    minor: &'static Minor,
    outline: &Outline<'_>,
    minors: Minors,
) -> Result<(), LoadError> {
    let mut names = outline.exports.iter().chain(&outline.imports);
    let other = names.find(|name| interface(name).is_some_and(|i| i.package == PACKAGE && !minor.has(&i)));
    if let Some(other) = other {
        return Err(LoadError::Api(format!(
            "The component mixes two versions of the contract: it exports {} of {}, and has {other}. To fix: build all of it \
             against one version of nexus:plugin; this host supports {}",
            manifest.kind.interface(),
            minor.name(),
            minors.ranges()
        )));
    }
    if manifest.api.matches(&minor.version) {
        return Ok(());
    }
    Err(LoadError::Api(format!(
        "The plugin {} says that it was written for nexus:plugin {}, but its component has {}. To fix: write api = \"{2}\" in \
         plugin.toml, and build it again",
        manifest.name,
        manifest.api,
        minor.name()
    )))
}

/// `OF_WASI` says what this host has of WASI.
const OF_WASI: &str = "WASI 0.2 and 0.3";

const WASI: [&str; 7] = [CLI, "wasi:clocks", HTTP, "wasi:io", "wasi:random", FILESYSTEM, SOCKETS];
const HTTP: &str = "wasi:http";
/// `REQUESTS` are what a plugin may import of [`HTTP`]: what sends requests, and nothing that takes some.
const REQUESTS: [&str; 3] = ["types", "outgoing-handler", "client"];

/// Tells whether this host speaks a version of WASI. What came before a release had other types.
fn is_of_wasi(version: &Version) -> bool {
    matches!((version.major, version.minor), (0, 2 | 3)) && version.pre.is_empty()
}

fn check_imports(imports: &[String], minors: Minors) -> Result<(), LoadError> {
    for import in imports {
        let refuse = |cause: String| Err(LoadError::Api(format!("The component imports {import}: {cause}")));
        let Some(i) = interface(import) else {
            return refuse(format!(
                "only interfaces of nexus:plugin and {OF_WASI} are available. To fix: remove the import"
            ));
        };
        let found = i.version.as_ref().map_or("no version".to_owned(), Version::to_string);
        match i.package {
            PACKAGE => {
                let Some(minor) = minors.of_interface(&i) else {
                    return refuse(format!(
                        "its version is {found}, but this host supports {}. To fix: build the plugin for that version, or use \
                         another version of Nexus",
                        minors.ranges()
                    ));
                };
                if !(minor.interfaces)().contains(&i.name) {
                    return refuse(format!(
                        "this host has no `{}`. To fix: use a newer Nexus, or remove the import",
                        i.name
                    ));
                }
            }
            HTTP if !REQUESTS.contains(&i.name) => {
                return refuse(
                    "a plugin sends requests, and takes none: the page and the tunnels are the host's. To fix: remove the \
                     import"
                        .into(),
                );
            }
            package if WASI.contains(&package) && i.version.as_ref().is_some_and(is_of_wasi) => {}
            package if WASI.contains(&package) => {
                return refuse(format!(
                    "its version is {found}, but this host supports {OF_WASI}. To fix: build the plugin with tools for one \
                     of them, as for wasm32-wasip2"
                ));
            }
            _ => {
                return refuse(format!(
                    "this host does not have it. Available are nexus:plugin {} ({}) and {OF_WASI}.",
                    minors.ranges(),
                    offered(minors).join(", ")
                ));
            }
        }
    }
    Ok(())
}

/// `offered` are the interfaces of the newest minor.
fn offered(minors: Minors) -> Vec<&'static str> {
    minors
        .iter()
        .next()
        .map(|minor| (minor.interfaces)())
        .unwrap_or_default()
}

/// `check_exports` is the minor in which it exports the interface of its kind.
fn check_exports(manifest: &Manifest, exports: &[String], minors: Minors) -> Result<&'static Minor, LoadError> {
    let wanted = manifest.kind.interface();
    let all = || exports.iter().filter_map(|e| interface(e).map(|i| (e, i)));
    let named = |i: &Interface<'_>| format!("{}/{}", i.package, i.name) == wanted;
    if let Some(minor) = all()
        .filter(|(_, i)| named(i))
        .find_map(|(_, i)| minors.of_interface(&i))
    {
        return Ok(minor);
    }
    let (name, kind, supported) = (&manifest.name, manifest.kind, minors.ranges());
    let exported = format!("`nexus_plugin_api::export_{kind}!(Plugin);`");
    Err(LoadError::Api(match all().find(|(_, i)| named(i)) {
        Some((export, _)) => format!(
            "The plugin {name} exports {export}, but this host supports {wanted} {supported}. To fix: use a version of the \
             plugin for that, or another version of Nexus",
        ),
        None if exports.is_empty() => format!(
            "The plugin {name} is a {kind} plugin, but exports nothing. To fix: export {wanted}; in Rust, write {exported} in its \
             src/lib.rs"
        ),
        None => format!(
            "The plugin {name} says it is a {kind} plugin, but exports {} and not {wanted} {supported}. To fix: correct `kind` in \
             plugin.toml, or export the interface; in Rust: {exported}",
            exports.join(", ")
        ),
    }))
}

#[cfg(test)]
#[path = "inspection_tests.rs"]
mod tests;
