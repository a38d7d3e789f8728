//! How many live connections there are, and may be.

use nexus_model::limits::LIVE_SOCKETS;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// `Connections` are the places for live connections.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Semaphore>);

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LIVE_SOCKETS)))
    }
}

impl Connections {
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// `open` is how many there are.
    pub(crate) fn open(&self) -> usize {
        LIVE_SOCKETS.saturating_sub(self.0.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_sockets_than_there_are_places_are_turned_away() {
        let connections = Connections::default();
        let mut open: Vec<_> = (0..LIVE_SOCKETS).map_while(|_| connections.enter()).collect();
        assert_eq!((open.len(), connections.open()), (LIVE_SOCKETS, LIVE_SOCKETS));
        assert!(connections.enter().is_none());
        open.pop();
        assert!(connections.enter().is_some(), "one that is closed makes room");
    }
}
