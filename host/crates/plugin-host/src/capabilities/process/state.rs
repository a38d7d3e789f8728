//! The processes of a plugin: the table of the host, how fast it starts them, and what is part of the limit of processes and
//! not in the table yet.

use crate::capabilities::host_services::HostServices;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_process::Processes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `ProcessState` is what there is of the processes of a plugin.
pub(in crate::capabilities) struct ProcessState {
    pub(in crate::capabilities) processes: Arc<dyn Processes>,
    /// `started` bounds the processes that it starts, over time.
    pub(super) started: TokenBucket,
    pending: Mutex<PendingStarts>,
}

impl ProcessState {
    pub(in crate::capabilities) fn new(services: &HostServices) -> Self {
        Self {
            processes: Arc::clone(&services.processes),
            started: TokenBucket::new(f64::from(limits::PROCESS_STARTS), limits::PROCESS_STARTS_WINDOW),
            pending: Mutex::default(),
        }
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, PendingStarts> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `PendingStarts` are the processes of a plugin that are being started, and those that run to their end.
#[derive(Default)]
pub(super) struct PendingStarts {
    count: u64,
    pub(super) named: BTreeMap<u64, String>,
    pub(super) runs: BTreeSet<u64>,
}

impl PendingStarts {
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}
