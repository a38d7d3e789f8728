//! What the task of a tunnel, its listener and the public checks tell each other.

use crate::origin_listener::Leaving;
use crate::origin_secret::OriginSecret;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// What is being done while nothing else is known.
pub(super) const OPENING: &str = "opening the tunnel";

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Desired {
    pub(super) wanted: bool,
    /// Grows when the operator says "now": ends a pause and a failure, and tells the attempts of one order from those of
    /// the next.
    pub(super) starts: u64,
}

/// What the listener, the public checks and the rest of the service tell each other about who comes through.
pub(super) struct TaskChannels {
    pub(super) secret: OriginSecret,
    /// Where they are to go instead.
    pub(super) moved: watch::Receiver<Option<Leaving>>,
    /// Live sockets.
    pub(super) sockets: Arc<watch::Sender<usize>>,
    /// Why nobody gets through by the public address, where that is proved and the provider does not know it.
    pub(super) repairs: mpsc::Receiver<String>,
    pub(super) listener: Arc<Mutex<Option<ListenerAddress>>>,
}

/// The tunnel's own listener while it is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListenerAddress {
    pub(super) address: SocketAddr,
    /// A restart of the provider costs the public address.
    pub(super) ephemeral: bool,
}
