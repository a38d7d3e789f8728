//! What an instance of a kind of plugin exports, and work inside of one.

use crate::capabilities::Mask;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minor;
use futures::future::BoxFuture;
use nexus_model::plugin::Refusal;
use wasmtime::component::{Accessor, Instance};

/// `Exports` is a kind of plugin: what its instances export.
pub(crate) trait Exports: Send + Sync + Sized + 'static {
    /// `Facts` is what the plugin says about itself once, at its start.
    type Facts: Clone + Send + Sync + 'static;
    /// Finds the exports of an instance that speaks this minor.
    fn find(minor: &Minor, store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self>;
    /// `refused` is what of its settings the plugin says that it cannot use.
    fn refused(facts: &Self::Facts, mask: &Mask) -> Vec<Refusal>;
    /// `facts` is the first call.
    fn facts<'a>(&'a self, a: &'a Accessor<InstanceState>) -> BoxFuture<'a, wasmtime::Result<Self::Facts>>;
}

/// `Job` is work inside an instance. An `Err` is a trap: the store is lost.
pub(crate) type Job<E> =
    Box<dyn for<'a> FnOnce(&'a Accessor<InstanceState>, &'a E) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;
