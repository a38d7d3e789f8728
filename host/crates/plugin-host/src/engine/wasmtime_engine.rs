//! The one engine of the host, and the thread that makes its time pass.
//!
//! The pooling allocator was left out: it costs 3 ms at the start and its address space is refused on small machines, for
//! an advantage of 11 µs an instance.

use nexus_model::limits;
use wasmtime::{Config, Engine};

/// Makes the engine, and the thread that lets its ticks pass.
///
/// # Errors
/// The machine has no support for what the compiler needs.
pub(crate) fn engine() -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_component_model_async(true);
    // See `super::compiler`.
    config.enable_compiler(false);
    // Traces show the names of functions, which stand elsewhere, and no debugger steps through plugins: a sixth of the
    // compiled code's size.
    config.generate_address_map(false).native_unwind_info(false);
    let engine = Engine::new(&config).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let weak = engine.weak();
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        loop {
            std::thread::sleep(limits::EPOCH_TICK);
            match weak.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })?;
    Ok(engine)
}
