//! A bound on the work that strangers can cause: checking a password costs tens of milliseconds of CPU.

use super::AuthError;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Checks at once.
const AT_ONCE: usize = 2;
/// Checks at once and waiting.
const QUEUE: usize = 32;

pub(super) struct Hashing {
    work: Semaphore,
    places: Semaphore,
}

pub(super) struct Permit<'a> {
    _work: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self {
            work: Semaphore::new(AT_ONCE),
            places: Semaphore::new(QUEUE),
        }
    }

    /// # Errors
    /// [`AuthError::Busy`] at once where the queue is full.
    pub(super) async fn permit(&self) -> Result<Permit<'_>, AuthError> {
        let place = self.places.try_acquire().map_err(|_| AuthError::Busy)?;
        let work = self.work.acquire().await.map_err(|_| AuthError::Busy)?;
        Ok(Permit {
            _work: work,
            _place: place,
        })
    }
}
