//! The live connection: what happens, as it happens, and what the user does about it.
//!
//! [`protocol`] is the words, [`pump`] the conversation (knows no socket, so that any transport can carry it),
//! [`socket`] the WebSocket around it.

pub mod protocol;
mod pump;
pub(super) mod socket;
pub(super) mod view;

use nexus_model::chat::is_client_id;
use nexus_model::limits::{LIVE_SOCKETS, PROMPT_BYTES};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Whether a prompt can be sent at all. `Err`: a sentence for the person.
pub(super) fn acceptable(client_id: &str, text: &str) -> Result<(), String> {
    if !is_client_id(client_id) {
        return Err("client_id must be 1 to 128 characters of A-Z, a-z, 0-9, `_` and `-`".into());
    }
    if text.trim().is_empty() {
        return Err("This message has no text.".into());
    }
    if text.len() > PROMPT_BYTES {
        return Err(format!(
            "This message is longer than the limit of {} KiB.",
            PROMPT_BYTES / 1024
        ));
    }
    Ok(())
}

/// Counts the live connections.
#[derive(Debug, Clone)]
pub(super) struct Connections(Arc<Semaphore>);

impl Default for Connections {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LIVE_SOCKETS)))
    }
}

impl Connections {
    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
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
