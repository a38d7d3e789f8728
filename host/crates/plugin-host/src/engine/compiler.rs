//! Compiling a component, with an engine that is made for it and gone afterwards.
//!
//! Problem: the engine that runs plugins would hold a compiler from its start on, of which a start from the cache uses
//! nothing; and after a compilation it would keep what the compiler worked with, 12 MB after three plugins, for as long as
//! Nexus runs.
//!
//! Mechanism: the engine that runs has no compiler ([`super::wasmtime_engine`]). One with the same settings and a compiler
//! makes the code and is dropped with all that it used; the code is loaded as that of the cache is. What was freed goes back to
//! the machine ([`super::freed_memory`]).
//!
//! Cost: some 3 ms for each compilation, for its engine and for one more copy of the code.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Compiles the bytes of a component for an engine that has no compiler.
///
/// # Errors
/// It is no valid component, or the machine has no support for what the compiler needs.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    let mut config = engine.config().clone();
    config.enable_compiler(true);
    let compiler = Engine::new(&config)?;
    let code = compiler.precompile_component(bytes);
    drop(compiler);
    let code = code?;
    // SAFETY: `deserialize` trusts the bytes to be compiled code. They were made by the lines above, in this memory.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(engine, &code) };
    component
}
