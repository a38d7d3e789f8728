//! Runs plugin components: each in a sandbox, under limits and a supervisor, with what its operator granted and nothing
//! else. It offers them to the rest of the host as the traits of `nexus-plugin-traits`.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `capabilities` | what a plugin may call, one folder each, below one gate |
//! | `engine` | the compiler, its cache, the check of a component before it runs, and the limits of what runs |
//! | `instance` | one running instance: its actor, its supervisor, its restart budget |
//! | `worlds` | the three kinds of plugin: between the types of the contract and those of the host |
//! | `minors` | the minor versions of the contract, each with what turns its types into those of the newest |
//!
//! Each room uses only those above it, and beside them the leaves `truncate`, `plugin_stats` and `cpu_share`. [`Runtime`] puts
//! them together; the test below this page shows it at work.

#![warn(missing_docs)]

mod bindings;
mod capabilities;
mod component_source;
mod computing;
mod cpu_share;
mod engine;
mod instance;
#[cfg(test)]
mod isolation_tests;
mod minors;
mod plugin_stats;
mod runtime;
#[cfg(test)]
mod test_runtime;
mod truncate;
mod turn_time;
mod worlds;

pub use capabilities::{HostServices, find_binary};
pub use component_source::Components;
pub use engine::{CacheState, Inspection, LoadError, cache_state, digest, keep_few_arenas, manifest};
pub use runtime::{Loaded, Runtime, RuntimeOptions};

use minors::{NEWEST, SUPPORTED};
use semver::VersionReq;

/// Reads and checks a component completely, without compiling or running it.
///
/// # Errors
/// It is none, is damaged, has no manifest, or wants or offers what this host does not speak.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, LoadError> {
    engine::inspect(bytes, SUPPORTED)
}

/// Refuses everything that [`Runtime::load`] would refuse, and nothing of the plugin runs: it reads, compiles and links it.
/// `memory` is its limit; `None`: what it asks for.
///
/// # Errors
/// In words: what was found, what was expected, what to do.
pub fn check(bytes: &[u8], name: &str, memory: Option<u64>) -> Result<Inspection, LoadError> {
    engine::check(bytes, name, memory, SUPPORTED)
}

/// `supported_versions` are those of the contract, in words: `0.2.x`.
pub fn supported_versions() -> String {
    SUPPORTED.ranges()
}

/// `newest_minor` is the one that plugins are built for: `0.2`.
pub fn newest_minor() -> String {
    NEWEST.name()
}

/// `supports` tells whether a plugin that was written for these versions of the contract can be run.
pub fn supports(versions: &VersionReq) -> bool {
    SUPPORTED.supports(versions)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_config::resolved::Source;
    use nexus_model::plugin::Availability;

    #[tokio::test]
    async fn a_component_is_loaded_started_and_called() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.wasm");
        std::fs::write(&file, nexus_testkit::components::tunnel("", "(i32.const 1100)")).unwrap();
        let runtime = Runtime::new(test_runtime::options(folder.path())).unwrap();
        let loaded = runtime.load(&test_runtime::plugin(Source::File(file)), None).unwrap();
        let tunnel = runtime.tunnel(loaded, "demo.home".to_owned(), None).unwrap();
        tunnel.start();
        assert_eq!(tunnel.check_availability().await, Ok(Availability::ready("")));
    }
}
