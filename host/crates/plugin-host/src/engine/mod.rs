//! The compiler and what surrounds it: reading and checking a component before anything of it runs, compiled code on disk,
//! the linker, and the store of an instance with its limits.

mod code_cache;
mod compilations;
mod compiler;
mod contract_check;
pub(crate) mod cpu_meter;
mod denied_wasi;
mod error;
pub(crate) mod event_queue;
mod freed_memory;
pub(crate) mod guest_calls;
pub(crate) mod guest_limits;
mod guest_stdio;
mod inspection;
pub(crate) mod instance_state;
mod interface_name;
mod linker;
mod load_check;
pub(crate) mod minor;
pub(crate) mod stream_bridge;
mod wasmtime_engine;

pub use code_cache::{CacheState, cache_state};
pub use error::LoadError;
pub use freed_memory::keep_few_arenas;
pub use inspection::{Inspection, digest, manifest};

pub(crate) use code_cache::CodeCache;
pub(crate) use compilations::Compilations;
pub(crate) use compiler::compile;
pub(crate) use contract_check::{CONTRACT, optional};
pub(crate) use freed_memory::give_back;
pub(crate) use inspection::{check_types, inspect, read};
pub(crate) use linker::{link, linker};
pub(crate) use load_check::{check, enough_memory, fits, not_compiled, not_linked};
pub(crate) use wasmtime_engine::{GuestEngine, engine};
