//! What makes a capability.

use super::context::Capabilities;
use super::gate::Gate;
use crate::bindings::caps::types::Error;
use nexus_config::Permission;
use wasmtime::component::Linker;

/// Finds the capabilities in the store of an instance.
pub(crate) type Find<T> = fn(&mut T) -> &mut Capabilities;

/// What a host function returns: `Err` ends the instance with a trap, and an `Error` within is an answer to the plugin.
pub(crate) type HostResult<T> = wasmtime::Result<Result<T, Error>>;

/// One interface of the contract that the host implements. `T`: what lies in the store of an instance.
pub(crate) struct Capability<T: 'static> {
    /// Its name in `nexus:plugin/NAME`.
    pub(crate) interface: &'static str,
    /// Links its functions. The second argument finds the capabilities in a store.
    pub(crate) link: fn(&mut Linker<T>, Find<T>) -> wasmtime::Result<()>,
    /// Gives what of it the manifest asks for and the operator does not grant.
    pub(crate) missing: fn(&Gate) -> Vec<Permission>,
}
