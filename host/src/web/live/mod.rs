//! The live connection: what happens, as it happens, and what the user does about it.
//!
//! [`protocol`] is the words, [`pump`] the conversation (knows no socket, so that any transport can carry it),
//! [`socket`] the WebSocket around it.

pub mod protocol;
mod pump;
pub(super) mod socket;
mod view;

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Live connections of the whole host, at most.
const MAX: usize = 256;

/// Counts the live connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Semaphore>);

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX)))
    }
}

impl Connections {
    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}
