//! What plugins that live long have in common, whatever their kind.

use futures::future::BoxFuture;
use nexus_model::plugin::{self, PluginStatistics, PluginStatus};
use nexus_model::trouble::Trouble;
use std::sync::Arc;
use tokio::sync::watch;

/// `PluginRecord` says what a plugin at its place is and may do, and what was counted of it. It outlives the instances
/// that the plugin has there.
pub trait PluginRecord: Send + Sync + 'static {
    /// `owner` is the owner of its processes in the process table.
    fn owner(&self) -> &str;
    /// `statistics` are what was counted since the host started, over all its instances there.
    fn statistics(&self) -> PluginStatistics;
    /// `facts` are its version and what it may do. They say where the granted programs are now, so the disk is asked.
    fn facts(&self) -> plugin::Facts;
}

/// `Supervised` is what plugins that live long (chat backends and tunnel providers) have in common.
pub trait Supervised: Send + Sync + 'static {
    /// `status` is the state of the instance; changes are seen at once.
    fn status(&self) -> watch::Receiver<PluginStatus>;
    /// `measured` is what it is, and what was counted of it. `None`: what runs it does not count.
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        None
    }
    /// `broken` says why it could not be loaded or used, where that is so: a start tries again.
    fn broken(&self) -> Option<Trouble> {
        None
    }
    /// `refused` is what of its settings it cannot use, as it said at its last start.
    fn refused(&self) -> Vec<plugin::Refusal> {
        Vec::new()
    }
    /// Starts it with a full restart budget: after `Failed`, or after `Stopped`.
    fn start(&self);
    /// Ends the instance. Its processes are left to the host's process table.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// `CancelReason` says why the host cancels a long call, as WIT `types.cancel-reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// `Stop`: the owner or the operator stops the plugin.
    Stop,
    /// `Replace`: another instance goes on in its place.
    Replace,
    /// `HostEnds`: the host ends, and all processes with it.
    HostEnds,
}
