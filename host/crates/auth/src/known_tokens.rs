//! Which tokens of programs were right before: their digests, and nothing else of them.

use nexus_model::limits::BEARERS_KNOWN;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// `KnownTokens` are the digests of tokens that were right, the oldest first.
#[derive(Default)]
pub(super) struct KnownTokens(Mutex<VecDeque<[u8; 32]>>);

impl KnownTokens {
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(digest)
    }

    /// Tells whether it is new.
    pub(super) fn add(&self, digest: [u8; 32]) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&digest) {
            return false;
        }
        if known.len() >= BEARERS_KNOWN {
            known.pop_front();
        }
        known.push_back(digest);
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn forget(&self, digest: &[u8; 32]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other != digest);
    }
}
