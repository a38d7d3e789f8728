//! What a plugin may do: one folder for each interface of the contract, and below all of them the one [`Gate`].
//!
//! A folder holds what belongs to its capability and nothing else: `host.rs` translates (WIT types in, the gate's word, a
//! port, WIT types out) and makes its [`capability::Capability`] for the list in `registry.rs`; `state.rs` has what it keeps for
//! a plugin, for the list in `states.rs`; `permission.rs` decides, and `denial_tests.rs` holds what is refused and with which
//! words. A denial is a value that the plugin gets (with the TOML that would allow it), never a trap. What a plugin asks for
//! and does not have is settled with its grants, by [`nexus_config::grants`] alone; so are the words of a permission
//! ([`nexus_config::Permission`]) and the lines that grant it ([`nexus_config::lines_granting`]).
//!
//! Which files outside of these folders name a capability, and so what a new one takes, is listed in `ARCHITECTURE.md`, "A
//! capability is a folder".

mod capability;
mod clock;
mod config;
mod context;
mod gate;
#[cfg(test)]
mod gate_tests;
mod host_services;
mod http;
mod log;
#[cfg(test)]
mod missing_tests;
mod process;
mod registry;
mod secrets;
mod states;
mod store;
mod stream_producers;
#[cfg(test)]
mod test_gate;
mod transcript;

pub use host_services::HostServices;
pub use process::find_binary;

// An older minor of the contract implements its own bindings for it; there is none but that of the tests yet.
#[cfg(test)]
pub(crate) use context::Granted;
pub(crate) use context::{Capabilities, Context};
pub(crate) use gate::Gate;
pub(crate) use http::WasiRequests;
pub(crate) use log::LogSink;
pub(crate) use registry::{all, interfaces, limits, permissions};
pub(crate) use secrets::{GeneratedSecrets, Mask};
pub(crate) use states::States;
