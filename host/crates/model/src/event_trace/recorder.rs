//! The hops of an event, and the stamps that are written at them while somebody traces.

use super::this_thread;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use utoipa::ToSchema;

/// `Hop` is a place that an event comes by on its way from the backend to a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// `received`: bytes of the backend's response reached the host.
    Received,
    /// `lifted`: the event left the sandbox of its plugin.
    Lifted,
    /// `taken`: the chat service has it.
    Taken,
    /// `committed`: it is written to the journal, and is not shown to anybody yet.
    Committed,
    /// `sent`: its frame was written to the browser's connection.
    Sent,
}

impl Hop {
    /// `ALL` are the hops in the order of the way.
    pub const ALL: [Self; 5] = [Self::Received, Self::Lifted, Self::Taken, Self::Committed, Self::Sent];

    /// `name` is the hop as the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Lifted => "lifted",
            Self::Taken => "taken",
            Self::Committed => "committed",
            Self::Sent => "sent",
        }
    }

    /// Notes that an event is here now, where somebody traces.
    #[inline]
    pub fn reached(self) {
        RECORDER.reached(self);
    }

    /// `before` is the hop that an event comes by before this one.
    pub(super) fn before(self) -> Option<Self> {
        Self::ALL.into_iter().take_while(|hop| *hop != self).last()
    }
}

/// `Stamp` is what was noted when an event came by a hop. It has nothing of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stamp {
    /// `hop` is where the event was.
    pub hop: Hop,
    /// `at_ns` is when, by the monotonic clock of the machine (`CLOCK_MONOTONIC`).
    pub at_ns: u64,
    /// `thread` is the thread that had the event: its number in the kernel, on Linux.
    pub thread: u64,
    /// `cpu_ns` is how long that thread has run since it began. Null: the system does not say it.
    #[schema(required)]
    pub cpu_ns: Option<u64>,
    /// `run_delay_ns` is how long that thread has waited for a core since it began. Null: the system does not say it.
    #[schema(required)]
    pub run_delay_ns: Option<u64>,
}

impl Stamp {
    fn now(hop: Hop) -> Self {
        // First: what the stamp itself takes is a part of the step after it.
        let at_ns = this_thread::monotonic_ns();
        let cpu_ns = this_thread::thread_cpu_ns();
        let (thread, run_delay_ns) = this_thread::number_and_run_delay();
        Self {
            hop,
            at_ns,
            thread,
            cpu_ns,
            run_delay_ns,
        }
    }
}

/// Begins a trace; it ends when what is returned is dropped. `None`: another one runs.
pub fn begin() -> Option<Recording<'static>> {
    RECORDER.begin()
}

static RECORDER: Recorder = Recorder::new();

pub(super) struct Recorder {
    on: AtomicBool,
    /// `stamps` are there while somebody traces.
    pub(super) stamps: Mutex<Option<Stamps>>,
}

/// `Stamps` is what one trace has written.
#[derive(Debug, Default)]
pub struct Stamps {
    /// `kept` are at most [`limits::EVENT_TRACE_STAMPS`], nearly in the order of their times.
    pub(super) kept: Vec<Stamp>,
    pub(super) dropped: u64,
}

impl Recorder {
    pub(super) const fn new() -> Self {
        Self {
            on: AtomicBool::new(false),
            stamps: Mutex::new(None),
        }
    }

    pub(super) fn begin(&self) -> Option<Recording<'_>> {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps.is_some() {
            return None;
        }
        // At once, so that no stamp waits for memory. What is not written takes none.
        *stamps = Some(Stamps {
            kept: Vec::with_capacity(limits::EVENT_TRACE_STAMPS),
            dropped: 0,
        });
        self.on.store(true, Ordering::Relaxed);
        Some(Recording(self))
    }

    #[inline]
    pub(super) fn reached(&self, hop: Hop) {
        if self.on.load(Ordering::Relaxed) {
            self.stamp(hop);
        }
    }

    #[cold]
    fn stamp(&self, hop: Hop) {
        self.write(Stamp::now(hop));
    }

    pub(super) fn write(&self, stamp: Stamp) {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        match stamps.as_mut() {
            Some(stamps) if stamps.kept.len() < limits::EVENT_TRACE_STAMPS => stamps.kept.push(stamp),
            Some(stamps) => stamps.dropped += 1,
            // It ended meanwhile.
            None => {}
        }
    }

    fn end(&self) -> Stamps {
        self.on.store(false, Ordering::Relaxed);
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.take().unwrap_or_default()
    }
}

/// `Recording` is a trace that runs.
pub struct Recording<'a>(&'a Recorder);

impl Recording<'_> {
    /// Ends the trace. Returns what it has.
    pub fn end(self) -> Stamps {
        let stamps = self.0.end();
        // Once: another trace may have begun.
        std::mem::forget(self);
        stamps
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
