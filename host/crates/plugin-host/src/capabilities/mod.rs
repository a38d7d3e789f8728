//! What a plugin may do: one folder for each interface of the contract, and below all of them the one [`Gate`].
//!
//! A folder holds what belongs to its capability and nothing else: `host.rs` translates (WIT types in, the gate's word, a
//! port, WIT types out) and names it for the list in `registry.rs`; `permission.rs` decides, and `denial_tests.rs` holds what
//! is refused and with which words. A denial is a value that the plugin gets (with the TOML that would allow it), never a
//! trap. The words of a permission are [`nexus_config::Permission`]'s alone.
//!
//! A new capability is a folder here, a line in `registry.rs`, and what its grant looks like in `nexus-config`.

mod capability;
mod clock;
mod config;
mod context;
mod gate;
#[cfg(test)]
mod gate_tests;
mod http;
mod log;
mod process;
mod registry;
mod secrets;
mod store;
mod stream_producers;
#[cfg(test)]
mod test_gate;

pub use process::find_binary;

pub(crate) use context::{Capabilities, Context, Ports};
pub(crate) use gate::Gate;
pub(crate) use log::LogSink;
pub(crate) use registry::{all, interfaces, missing};
pub(crate) use secrets::{GeneratedSecrets, Mask};
