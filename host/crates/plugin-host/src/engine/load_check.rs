//! Whether a component could be run here, and what is said where it could not.

use super::compiler::compile;
use super::error::LoadError;
use super::inspection::{Inspection, inspect};
use super::instance_state::InstanceState;
use super::linker::{link, linker};
use super::minor::Minors;
use super::wasmtime_engine::engine;
use nexus_model::limits;
use wasmtime::Engine;
use wasmtime::component::Linker;

/// Does as [`fits`], with an engine and a linker of its own.
pub(crate) fn check(bytes: &[u8], name: &str, memory: Option<u64>, minors: Minors) -> Result<Inspection, LoadError> {
    let cannot =
        |e: &dyn std::fmt::Display| LoadError::Unsupported(format!("This machine cannot compile plugins: {e:#}."));
    let engine = engine().map_err(|e| cannot(&e))?;
    let linker = linker(&engine, minors).map_err(|e| cannot(&e))?;
    fits(&engine, &linker, bytes, name, memory, minors)
}

/// Refuses everything that [`crate::Runtime::load`] would refuse, and nothing of the plugin runs: it reads, compiles
/// and links it with this engine and linker. `memory` is its limit; `None`: what it asks for.
pub(crate) fn fits(
    engine: &Engine,
    linker: &Linker<InstanceState>,
    bytes: &[u8],
    name: &str,
    memory: Option<u64>,
    minors: Minors,
) -> Result<Inspection, LoadError> {
    let inspection = inspect(bytes, minors)?;
    let asked = inspection.manifest.limits.memory.unwrap_or(limits::PLUGIN_MEMORY);
    enough_memory(&inspection, name, memory.unwrap_or(asked))?;
    let component = compile(engine, bytes).map_err(|e| not_compiled(&e))?;
    link(linker, &component).map_err(|e| not_linked(&inspection, &e))?;
    Ok(inspection)
}

pub(crate) fn not_compiled(e: &wasmtime::Error) -> LoadError {
    LoadError::NotComponent(format!("The component does not compile: {e:#}. To fix: build it again"))
}

/// `not_linked` names something of WASI, for the contract was compared before.
pub(crate) fn not_linked(inspection: &Inspection, e: &wasmtime::Error) -> LoadError {
    LoadError::Api(format!(
        "The plugin {} imports a part of WASI that this host does not have: {}. Available are WASI 0.2 and 0.3 (all \
         sockets and files are denied). To fix: build it for wasm32-wasip2, or with tools for one of them",
        inspection.manifest.name,
        nexus_plugin_api::text::line(&format!("{e:#}"))
    ))
}

pub(crate) fn enough_memory(inspection: &Inspection, name: &str, limit: u64) -> Result<(), LoadError> {
    if inspection.memory <= limit {
        return Ok(());
    }
    let needed = inspection.memory.div_ceil(1 << 20);
    Err(LoadError::Unsupported(format!(
        "The plugin {} starts with {} bytes of memory, but its limit is {limit}. To fix: {}",
        inspection.manifest.name,
        inspection.memory,
        nexus_config::adding(&format!("[plugin.{name}.limits]\nmemory = \"{needed} MiB\""))
    )))
}
