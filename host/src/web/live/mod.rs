//! The live connection: what happens, as it happens, and what the user does about it.
//!
//! [`protocol`] is the words, [`pump`] the conversation (knows no socket, so that any transport can carry it),
//! [`socket`] the WebSocket around it.

pub mod protocol;
mod pump;
pub(super) mod socket;
pub(super) mod view;

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Live connections of the whole host, at most.
const MAX: usize = 256;
/// Of one message.
pub(super) const PROMPT_BYTES: usize = 512 * 1024;

/// Whether a prompt can be sent at all. `Err`: a sentence for the person.
pub(super) fn acceptable(client_id: &str, text: &str) -> Result<(), String> {
    let named = (1..=128).contains(&client_id.len())
        && client_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !named {
        return Err("client_id must be 1 to 128 of A-Z a-z 0-9 _ -".into());
    }
    if text.trim().is_empty() {
        return Err("There is no text in this message.".into());
    }
    if text.len() > PROMPT_BYTES {
        return Err(format!(
            "This message has {} KiB; at most {} can be sent.",
            text.len() / 1024,
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
        Self(Arc::new(Semaphore::new(MAX)))
    }
}

impl Connections {
    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
        MAX.saturating_sub(self.0.available_permits())
    }
}
