//! What every instance of one plugin is made of.

use crate::capabilities::Context;
use crate::engine::GuestEngine;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minor;
use nexus_plugin_traits::PluginRecord;
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// `InstanceTemplate` is what is needed to start an instance.
#[derive(Clone)]
pub(crate) struct InstanceTemplate {
    pub(crate) engine: GuestEngine,
    pub(crate) pre: InstancePre<InstanceState>,
    /// `minor` is the one that the component speaks.
    pub(crate) minor: &'static Minor,
    pub(crate) context: Arc<Context>,
    pub(crate) record: Arc<dyn PluginRecord>,
}
