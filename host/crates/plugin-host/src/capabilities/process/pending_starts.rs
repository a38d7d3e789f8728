//! What is part of the limit of processes and not in the list of the host yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The processes of a plugin that are being started, and those that run to their end.
#[derive(Default)]
pub(crate) struct Starts {
    count: u64,
    pub(super) named: BTreeMap<u64, String>,
    pub(super) runs: BTreeSet<u64>,
}

impl Starts {
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

pub(super) fn lock(starts: &Mutex<Starts>) -> MutexGuard<'_, Starts> {
    starts.lock().unwrap_or_else(PoisonError::into_inner)
}
