//! The jobs of an instance on their way in: a bounded queue that closes with it.
//!
//! A channel of tokio would wake the task of the instance at each job. Here whoever sends one takes a turn of the instance
//! itself, or leaves it to whoever has one ([`Turns`]).

use super::exports::{Exports, Job};
use super::turns::Turns;
use nexus_model::limits;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// `JobQueue` is the queue, as the instance has it.
pub(super) struct JobQueue<E> {
    /// `jobs` are those that wait; `None`: the instance has ended.
    jobs: Mutex<Option<VecDeque<Job<E>>>>,
    /// `places` are those that are left of [`limits::CALL_QUEUE`].
    places: Semaphore,
}

impl<E> JobQueue<E> {
    pub(super) fn new() -> Self {
        Self {
            jobs: Mutex::new(Some(VecDeque::new())),
            places: Semaphore::new(limits::CALL_QUEUE),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Option<VecDeque<Job<E>>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next job.
    pub(super) fn take(&self) -> Option<Job<E>> {
        let job = self.jobs().as_mut()?.pop_front()?;
        self.places.add_permits(1);
        Some(job)
    }

    fn close(&self) {
        self.places.close();
        // Dropped outside of the lock: each of them tells its caller.
        let left = self.jobs().take();
        drop(left);
    }
}

/// `ClosesAtEnd` closes the queue when it is dropped.
pub(super) struct ClosesAtEnd<E>(pub(super) Arc<JobQueue<E>>);

impl<E> Drop for ClosesAtEnd<E> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// `Jobs` is where the callers of an instance send their jobs.
pub(crate) struct Jobs<E: Exports> {
    pub(super) queue: Arc<JobQueue<E>>,
    pub(super) turns: Arc<Turns>,
}

/// `InstanceEnded`: it takes no jobs any more.
pub(super) struct InstanceEnded;

impl<E: Exports> Jobs<E> {
    /// Waits for a place, sends the job, and takes a turn of the instance, if it can be had.
    pub(super) async fn send(&self, job: Job<E>) -> Result<(), InstanceEnded> {
        let place = self.queue.places.acquire().await.map_err(|_| InstanceEnded)?;
        // It is given back by whoever takes the job.
        place.forget();
        match self.queue.jobs().as_mut() {
            Some(jobs) => jobs.push_back(job),
            None => return Err(InstanceEnded),
        }
        self.turns.take();
        Ok(())
    }
}
