//! What the task of a tunnel, its listener and the public checks tell each other.

use crate::origin_listener::Relocation;
use crate::origin_secret::OriginSecret;
use nexus_plugin_traits::CancelReason;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// `OPENING` is what is being done while nothing else is known.
pub(super) const OPENING: &str = "opening the tunnel";

/// `Desired` is what the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Desired {
    pub(super) wanted: bool,
    /// `starts` grows when the operator says "now": that ends a pause and a failure, and tells the attempts of one
    /// command from those of the next.
    pub(super) starts: u64,
    /// `ending` is why it is not wanted, where that is so.
    pub(super) ending: CancelReason,
}

/// `TaskChannels` are what the listener, the public checks and the rest of the service tell each other about who comes
/// through.
pub(super) struct TaskChannels {
    pub(super) secret: OriginSecret,
    /// `moved` is where they are to go instead.
    pub(super) moved: watch::Receiver<Option<Relocation>>,
    /// `sockets` counts live sockets.
    pub(super) sockets: Arc<watch::Sender<usize>>,
    /// `repairs` gets why nobody gets through by the public address, where that is proved and the provider does not
    /// know it.
    pub(super) repairs: mpsc::Receiver<String>,
    pub(super) listener: Arc<Mutex<Option<ListenerAddress>>>,
}

/// `ListenerAddress` is the tunnel's own listener while it is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListenerAddress {
    pub(super) address: SocketAddr,
    /// `ephemeral`: a restart of the provider costs the public address.
    pub(super) ephemeral: bool,
}
