//! What one plugin did, counted where it happens. Atomics alone: nothing here may slow an event down or hold one up.
//!
//! They belong to the plugin at its place (the owner of its processes) and not to an instance, so that they go on over
//! restarts, and over a swap away and back.

use nexus_model::plugin::PluginStatistics;
use nexus_model::time::{Millis, millis};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// `Counters` count what [`Statistics`] shows; each of them is explained there.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    crashes: AtomicU64,
    events: AtomicU64,
    memory_peak_bytes: AtomicU64,
    cpu_nanoseconds: AtomicU64,
    paused_ms: AtomicU64,
    denied: AtomicU64,
    log_dropped: AtomicU64,
}

/// `ORDER` is relaxed: nobody draws a conclusion from the order of two of them.
const ORDER: Ordering = Ordering::Relaxed;

impl Counters {
    pub(crate) fn call(&self) {
        self.calls.fetch_add(1, ORDER);
    }
    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, ORDER);
    }
    pub(crate) fn trap(&self) {
        self.crashes.fetch_add(1, ORDER);
    }
    pub(crate) fn events(&self, count: usize) {
        self.events.fetch_add(count as u64, ORDER);
    }
    pub(crate) fn denied(&self) {
        self.denied.fetch_add(1, ORDER);
    }
    pub(crate) fn log_dropped(&self) {
        self.log_dropped.fetch_add(1, ORDER);
    }
    /// Notes that an instance has this many bytes now.
    pub(crate) fn memory(&self, bytes: usize) {
        self.memory_peak_bytes.fetch_max(bytes as u64, ORDER);
    }
    pub(crate) fn cpu(&self, used: Duration) {
        // 2^64 ns are 584 years.
        self.cpu_nanoseconds
            .fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), ORDER);
    }

    /// Notes that it was made to wait for its share of CPU.
    pub(crate) fn paused(&self, pause: Duration) {
        self.paused_ms.fetch_add(millis(pause), ORDER);
    }

    pub(crate) fn statistics(&self, at: Millis) -> PluginStatistics {
        PluginStatistics {
            at,
            calls: self.calls.load(ORDER),
            errors: self.errors.load(ORDER),
            crashes: self.crashes.load(ORDER),
            events: self.events.load(ORDER),
            memory_peak_bytes: self.memory_peak_bytes.load(ORDER),
            cpu_ms: self.cpu_nanoseconds.load(ORDER) / 1_000_000,
            cpu_paused_ms: self.paused_ms.load(ORDER),
            denied: self.denied.load(ORDER),
            log_dropped: self.log_dropped.load(ORDER),
        }
    }
}
