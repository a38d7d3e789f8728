//! What makes a capability.

use super::context::Capabilities;
use super::gate::Gate;
use crate::bindings::caps::types::Error;
use nexus_config::Permission;
use wasmtime::component::Linker;

/// `Find` finds the capabilities in the store of an instance.
pub(crate) type Find<T> = fn(&mut T) -> &mut Capabilities;

/// `HostResult` is what a host function returns: `Err` ends the instance with a trap, and an `Error` within is an answer to
/// the plugin.
pub(crate) type HostResult<T> = wasmtime::Result<Result<T, Error>>;

/// `Capability` is one interface of the contract that the host implements. `T` is what lies in the store of an
/// instance.
pub(crate) struct Capability<T: 'static> {
    /// `interface` is its name in `nexus:plugin/NAME`.
    pub(crate) interface: &'static str,
    /// `link` links its functions. The second argument finds the capabilities in a store.
    pub(crate) link: fn(&mut Linker<T>, Find<T>) -> wasmtime::Result<()>,
    /// `limit` puts the limit of it into words, where it has one.
    pub(crate) limit: fn(&Gate) -> Option<String>,
    /// `located` is a granted permission with what this machine has for it.
    pub(crate) located: fn(&Gate, Permission) -> Permission,
}

impl<T> Capability<T> {
    /// `new` is a capability without a limit of its own, whose permissions are shown as they are granted.
    pub(crate) fn new(interface: &'static str, link: fn(&mut Linker<T>, Find<T>) -> wasmtime::Result<()>) -> Self {
        Self {
            interface,
            link,
            limit: |_| None,
            located: |_, permission| permission,
        }
    }
}
