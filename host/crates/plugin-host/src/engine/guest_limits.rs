//! What one store may use: memory, tables and instances, and CPU.
//!
//! CPU is counted in epoch ticks that find the guest running. At each tick the guest yields, so that other tasks get
//! their turn, and the count starts again when the store's task is polled without a guest having been cut short: that is,
//! when all guest code had returned to the host and something arrived. So an actor does not die of age, and a
//! guest that spins, also one that calls cheap host functions in its loop, does. (A call hook would start the
//! count again at each host call, and let exactly that guest live.) What a guest uses over time is
//! [`CpuShare`]'s to say.

use crate::cpu_share::CpuShare;
use crate::plugin_stats::Counters;
use nexus_config::resolved::Limits;
use nexus_model::limits;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

/// `OF_MEMORY` and [`OF_CPU`] are the words in the text of a trap by which the two limits are known that an operator
/// may raise.
pub(crate) const OF_MEMORY: &str = "bytes of memory";
pub(crate) const OF_CPU: &str = "of CPU without a pause";

/// `handles` is how many handles a store may hold at once: ends of streams and futures, calls, waitable sets,
/// resources. A guest makes them by itself, and each takes some hundred bytes of the host. Each call or stream of the
/// host that `limits.streams` admits needs a few; a guest that joins many small tasks of its own needs more.
pub(crate) fn handles(limits: &Limits) -> usize {
    (limits.streams as usize).saturating_mul(8).saturating_add(4096)
}

/// `resources` is how many resources of WASI a store may hold at once: streams, what they are waited for with, headers and
/// bodies of requests, of which one may hold some ten thousand bytes of the host. A request with its response takes a dozen.
pub(crate) fn resources(limits: &Limits) -> usize {
    (limits.streams as usize).saturating_mul(16).saturating_add(256)
}

/// `handed_over` is how many bytes a guest may hand over in one go. What is more than its memory can only be the same
/// bytes again and again: a list of a million strings may be one string. (The engine's own limit, 128 MiB, holds for
/// every store alike.)
pub(crate) fn handed_over(limits: &Limits) -> usize {
    usize::try_from(limits.memory)
        .unwrap_or(usize::MAX)
        .min(limits::PLUGIN_HANDED_OVER)
}

/// `Limiter` counts over all memories and tables of a store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    used: usize,
    elements: usize,
    last_growth: usize,
    counters: Arc<Counters>,
    /// `refused` is what was refused last, for the cause of the trap that follows.
    pub(crate) refused: Option<String>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, counters: Arc<Counters>) -> Self {
        let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        Self {
            memory,
            used: 0,
            elements: 0,
            last_growth: 0,
            counters,
            refused: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(growth);
        if wanted > self.memory {
            self.refused = Some(format!(
                "it requested {wanted} {OF_MEMORY}, but its limit is {}",
                self.memory
            ));
            return Ok(false);
        }
        self.used = wanted;
        self.last_growth = growth;
        self.counters.memory(wanted);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last_growth));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.elements.saturating_add(desired.saturating_sub(current));
        if wanted > limits::PLUGIN_TABLE_ELEMENTS {
            self.refused = Some(format!(
                "it requested {wanted} table elements, but the limit is {}",
                limits::PLUGIN_TABLE_ELEMENTS
            ));
            return Ok(false);
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::PLUGIN_INSTANCES
    }
    fn tables(&self) -> usize {
        limits::PLUGIN_TABLES
    }
    fn memories(&self) -> usize {
        limits::PLUGIN_MEMORIES
    }
}

/// `CpuMeter` is the CPU count of one store.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuMeter(Arc<Meter>);

#[derive(Debug, Default)]
struct Meter {
    ticks: AtomicU64,
    /// `cut`: a guest was cut short by a tick and will go on at the next poll.
    cut: AtomicBool,
}

impl CpuMeter {
    /// Makes the store yield at each tick and trap when `limits.cpu` is used up.
    pub(crate) fn install<T: 'static>(&self, store: &mut Store<T>, limits: &Limits) {
        let budget = limits.cpu;
        let most = u64::try_from(budget.as_millis() / limits::EPOCH_TICK.as_millis().max(1))
            .unwrap_or(u64::MAX)
            .max(1);
        let meter = self.clone();
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if meter.tick(most) {
                // Tokio's own yield wakes the task only after tokio has looked at the others and at its sockets. With the
                // engine's (`Yield`) the store's inner queue saw the wake at once, and went on within the same poll.
                return Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())));
            }
            Err(wasmtime::format_err!(
                "it used more than {} ms {OF_CPU}, its limit",
                budget.as_millis()
            ))
        });
    }

    /// Counts a tick, and tells whether the guest may go on.
    fn tick(&self, most: u64) -> bool {
        self.0.cut.store(true, Ordering::Relaxed);
        self.0.ticks.fetch_add(1, Ordering::Relaxed) < most
    }

    fn polled(&self) {
        if !self.0.cut.swap(false, Ordering::Relaxed) {
            self.0.ticks.store(0, Ordering::Relaxed);
        }
    }

    /// Drives the store that this meter is installed in.
    pub(crate) fn drive<F>(&self, share: Arc<CpuShare>, future: F) -> Metered<F> {
        Metered {
            meter: self.clone(),
            share,
            pause: None,
            future: Box::pin(future),
        }
    }
}

/// `Metered` is what [`CpuMeter::drive`] returns.
pub(crate) struct Metered<F> {
    meter: CpuMeter,
    share: Arc<CpuShare>,
    /// `pause` lasts until it may run again.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.pause.is_none() {
            self.pause = self.share.pause().map(|pause| Box::pin(tokio::time::sleep(pause)));
        }
        // What arrives meanwhile wakes the task too, and waits in the future.
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.meter.polled();
        let begun = ThreadTime::now();
        let polled = self.future.as_mut().poll(cx);
        self.share.used(begun.elapsed());
        polled
    }
}

/// `ThreadTime` is CPU time of this thread. Wall time would be cheaper by half a microsecond a poll, but has in it what
/// the system gives to others meanwhile: on a machine that an agent keeps busy, a plugin would seem to use twice what
/// it does. Where there is no such clock it is wall time all the same: an upper bound.
struct ThreadTime(Reading);

#[cfg(unix)]
type Reading = rustix::time::Timespec;
#[cfg(not(unix))]
type Reading = std::time::Instant;

impl ThreadTime {
    #[cfg(unix)]
    fn now() -> Self {
        Self(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime))
    }

    #[cfg(unix)]
    fn elapsed(&self) -> std::time::Duration {
        let passed = Self::now().0.checked_sub(self.0);
        // It does not go back.
        passed.and_then(|passed| passed.try_into().ok()).unwrap_or_default()
    }

    #[cfg(not(unix))]
    fn now() -> Self {
        Self(std::time::Instant::now())
    }

    #[cfg(not(unix))]
    fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits(memory: u64) -> Limits {
        Limits {
            memory,
            cpu: Duration::from_secs(1),
            cpu_share: 100,
            call: Duration::from_secs(1),
            streams: 1,
            processes: 1,
            log_lines: 1,
        }
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = Limiter::new(&limits(100), Arc::default());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(!limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.refused.take().unwrap().contains("120 bytes"));
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("no")).unwrap();
        assert!(limiter.memory_growing(0, 40, None).unwrap());
    }

    #[test]
    fn tables_instances_and_memories_have_an_end() {
        let mut limiter = Limiter::new(&limits(100), Arc::default());
        assert!(
            limiter
                .table_growing(0, limits::PLUGIN_TABLE_ELEMENTS - 1, None)
                .unwrap()
        );
        assert!(limiter.table_growing(0, 1, None).unwrap());
        assert!(!limiter.table_growing(0, 1, None).unwrap(), "over all tables");
        // Each of them in a module of its own, so many times.
        let made = |what: &str, count: usize| {
            let engine = wasmtime::Engine::default();
            let many = "(core instance (instantiate $m))".repeat(count);
            let text = format!("(component (core module $m {what}) {many})");
            let component = wasmtime::component::Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            let mut store = Store::new(&engine, Limiter::new(&limits(1 << 30), Arc::default()));
            store.limiter(|limiter| limiter);
            let linker = wasmtime::component::Linker::new(&engine);
            linker
                .instantiate(&mut store, &component)
                .map(|_| ())
                .map_err(|e| format!("{e:#}"))
        };
        for (what, most) in [
            ("", limits::PLUGIN_INSTANCES),
            ("(table 1 funcref)", limits::PLUGIN_TABLES),
            ("(memory 1)", limits::PLUGIN_MEMORIES),
        ] {
            assert_eq!(made(what, most), Ok(()), "{what}");
            let refused = made(what, most + 1).unwrap_err();
            assert!(
                refused.contains(&format!("count too high at {}", most + 1)),
                "{refused}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_used_its_share_of_cpu_waits_before_its_next_turn() {
        let share = Arc::new(CpuShare::new("demo", 50, Arc::default()));
        // Thirty seconds are in it, and a half comes back each second.
        share.used(Duration::from_secs(31));
        let (begun, meter) = (tokio::time::Instant::now(), CpuMeter::default());
        let turn = || meter.drive(Arc::clone(&share), async { tokio::time::Instant::now() });
        let at = turn().await - begun;
        assert!(at >= Duration::from_secs(2) && at < Duration::from_secs(3), "{at:?}");
        let rested = tokio::time::Instant::now() + Duration::from_secs(60);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(turn().await, rested, "after a rest it runs at once");
    }

    #[test]
    fn only_a_pause_gives_the_budget_back() {
        let meter = CpuMeter::default();
        for _ in 0..3 {
            meter.polled();
            assert!(meter.tick(3));
        }
        meter.polled();
        assert!(!meter.tick(3), "cut at every poll: never paused");

        meter.polled(); // goes on after the cut, returns to the host
        meter.polled(); // something arrived
        assert!(meter.tick(3));
    }
}
