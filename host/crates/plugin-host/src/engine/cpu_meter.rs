//! The CPU of one store: how much of it without a pause, and how much over time.
//!
//! CPU without a pause is counted in epoch ticks that find the guest running. At each tick the guest yields, so that other
//! tasks get their turn, and the count starts again when the store is polled without a guest having been cut short: that is,
//! when all guest code had returned to the host and something arrived. So an actor does not die of age, and a
//! guest that spins, also one that calls cheap host functions in its loop, does. (A call hook would start the
//! count again at each host call, and let exactly that guest live.)
//!
//! What a guest uses over time is [`CpuShare`]'s to say, measured by [`TurnTime`].

use super::wasmtime_engine::EpochClock;
use crate::cpu_share::CpuShare;
use crate::turn_time::{SHORT_TURN, TurnTime};
use nexus_config::resolved::Limits;
use nexus_model::limits;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use wasmtime::{Store, UpdateDeadline};

/// `OF_CPU` are the words in the text of a trap by which the limit of CPU without a pause is known, which an operator may raise.
pub(crate) const OF_CPU: &str = "of CPU without a pause";

/// `CpuMeter` is the CPU count of one store.
#[derive(Clone)]
pub(crate) struct CpuMeter {
    clock: EpochClock,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    ticks: AtomicU64,
    /// `cut`: a guest was cut short by a tick and will go on at the next poll.
    cut: AtomicBool,
}

impl CpuMeter {
    pub(super) fn new(clock: EpochClock) -> Self {
        Self {
            clock,
            meter: Arc::default(),
        }
    }

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
        self.meter.cut.store(true, Ordering::Relaxed);
        self.meter.ticks.fetch_add(1, Ordering::Relaxed) < most
    }

    fn polled(&self) {
        if !self.meter.cut.swap(false, Ordering::Relaxed) {
            self.meter.ticks.store(0, Ordering::Relaxed);
        }
    }

    /// Tells whether a tick was counted since the count last started.
    pub(crate) fn is_counting(&self) -> bool {
        self.meter.ticks.load(Ordering::Relaxed) > 0
    }

    /// Drives the store that this meter is installed in.
    pub(crate) fn drive<F>(&self, share: Arc<CpuShare>, future: F) -> Metered<F> {
        Metered {
            meter: self.clone(),
            share,
            owed: Duration::ZERO,
            due: true,
            pause: None,
            future: Box::pin(future),
        }
    }
}

/// `Metered` is what [`CpuMeter::drive`] returns.
pub(crate) struct Metered<F> {
    meter: CpuMeter,
    share: Arc<CpuShare>,
    /// `owed` is what was used and is not noted yet: not every turn is worth it.
    owed: Duration,
    /// `due`: it is to be noted, and asked whether there is a share left, before the next turn.
    due: bool,
    /// `pause` lasts until it may run again.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.pause.is_none() && std::mem::take(&mut this.due) {
            this.share.used(std::mem::take(&mut this.owed));
            this.pause = this.share.pause().map(|pause| Box::pin(tokio::time::sleep(pause)));
        }
        // What arrives meanwhile wakes the task too, and waits in the future.
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        this.meter.polled();
        let turn = this.meter.clock.turn();
        let begun = TurnTime::begin();
        let polled = this.future.as_mut().poll(cx);
        drop(turn);
        this.owed += begun.used();
        this.due = this.owed >= SHORT_TURN;
        polled
    }
}

impl<F> Drop for Metered<F> {
    fn drop(&mut self) {
        self.share.used(self.owed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wasmtime_engine::engine;
    use super::*;

    fn meter() -> CpuMeter {
        CpuMeter::new(engine().unwrap().clock)
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_used_its_share_of_cpu_waits_before_its_next_turn() {
        let share = Arc::new(CpuShare::new("demo", 50, Arc::default()));
        // Thirty seconds are in it, and a half comes back each second.
        share.used(Duration::from_secs(31));
        let (begun, meter) = (tokio::time::Instant::now(), meter());
        let turn = || meter.drive(Arc::clone(&share), async { tokio::time::Instant::now() });
        let at = turn().await - begun;
        assert!(at >= Duration::from_secs(2) && at < Duration::from_secs(3), "{at:?}");
        let rested = tokio::time::Instant::now() + Duration::from_secs(60);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(turn().await, rested, "after a rest it runs at once");
    }

    #[test]
    fn only_a_pause_gives_the_budget_back() {
        let meter = meter();
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
