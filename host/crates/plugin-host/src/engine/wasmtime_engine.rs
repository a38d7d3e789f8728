//! The one engine of the host, and the clock that lets its ticks pass while a guest runs.
//!
//! Between two ticks a guest keeps its thread, so ticks have to come for as long as one runs; while none does, a tick would
//! only wake a machine that may sleep. So each turn of an instance is counted ([`EpochClock::turn`]), and the thread of the
//! clock parks once there was none for [`limits::EPOCH_QUIET`] ticks. It does not park at the end of each turn: to wake it
//! again costs more than most turns.
//!
//! The pooling allocator was left out: it costs 3 ms at the start and its address space is refused on small machines, for
//! an advantage of 11 µs an instance.

use nexus_model::limits;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use wasmtime::{Config, Engine};

/// `GuestEngine` is the engine with its clock. It is cheap to clone.
#[derive(Clone)]
pub(crate) struct GuestEngine {
    engine: Engine,
    pub(super) clock: EpochClock,
}

impl Deref for GuestEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

/// `EpochClock` makes the ticks of one engine. It is cheap to clone.
#[derive(Clone)]
pub(super) struct EpochClock(Arc<Inner>);

struct Inner {
    turns: Arc<TurnCounts>,
    thread: Thread,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // It ends, now that nobody can begin a turn any more.
        self.thread.unpark();
    }
}

#[derive(Default)]
struct TurnCounts {
    /// `begun` and `ended` count the turns of all instances.
    begun: AtomicU64,
    ended: AtomicU64,
    parked: AtomicBool,
}

/// `Turn` is a turn of an instance, from when it is made until it is dropped.
pub(super) struct Turn<'a>(&'a TurnCounts);

impl EpochClock {
    /// Begins a turn: from now on ticks come.
    pub(super) fn turn(&self) -> Turn<'_> {
        let Inner { turns, thread } = &*self.0;
        turns.begun.fetch_add(1, Ordering::SeqCst);
        // The thread of the clock looks at the turns after it has noted that it parks: one of both sees the other.
        if turns.parked.load(Ordering::SeqCst) {
            thread.unpark();
        }
        Turn(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

impl TurnCounts {
    /// Waits for the next turn, if none runs now.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        if self.begun.load(Ordering::SeqCst) == self.ended.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// Makes the engine, and the thread that lets its ticks pass.
///
/// # Errors
/// The machine has no support for what the compiler needs.
pub(crate) fn engine() -> anyhow::Result<GuestEngine> {
    let mut config = Config::new();
    config.epoch_interruption(true).wasm_component_model_async(true);
    // See `super::compiler`.
    config.enable_compiler(false);
    // Traces show the names of functions, which stand elsewhere, and no debugger steps through plugins: a sixth of the
    // compiled code's size.
    config.generate_address_map(false).native_unwind_info(false);
    let engine = Engine::new(&config).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let weak = engine.weak();
    let turns = Arc::new(TurnCounts::default());
    let counted = Arc::clone(&turns);
    let thread = std::thread::Builder::new().name("epoch".into()).spawn(move || {
        let (mut quiet, mut seen) = (0, 0);
        loop {
            std::thread::sleep(limits::EPOCH_TICK);
            let engine = weak.upgrade().filter(|_| Arc::strong_count(&counted) > 1);
            let Some(engine) = engine else { return };
            engine.increment_epoch();
            let begun = counted.begun.load(Ordering::Relaxed);
            quiet = if begun == seen { quiet + 1 } else { 0 };
            seen = begun;
            if quiet >= limits::EPOCH_QUIET {
                quiet = 0;
                counted.park();
            }
        }
    })?;
    Ok(GuestEngine {
        engine,
        clock: EpochClock(Arc::new(Inner {
            turns,
            thread: thread.thread().clone(),
        })),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_testkit::wait;
    use std::sync::atomic::AtomicUsize;

    #[tokio::test]
    async fn ticks_come_while_a_turn_lasts_and_none_while_there_is_none() {
        let engine = engine().unwrap();
        // Ticks as a store sees them.
        let ticks = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&ticks);
        let mut store = wasmtime::Store::new(&engine, ());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            Ok(wasmtime::UpdateDeadline::Continue(1))
        });
        let text = r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))"#;
        let component = super::super::compile(&engine, &wat::parse_str(text).unwrap()).unwrap();
        let linker = wasmtime::component::Linker::new(&engine);
        let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let inner = Arc::clone(&engine.clock.0);
        let parked = async || inner.turns.parked.load(Ordering::SeqCst);
        for _ in 0..3 {
            wait::until_async("the clock is parked", parked).await;
            let turn = engine.clock.turn();
            let before = ticks.load(Ordering::Relaxed);
            // Longer than the clock waits before it parks: the turn has not ended.
            let more = async || {
                f.call_async(&mut store, ()).await.unwrap();
                ticks.load(Ordering::Relaxed) > before + 2 * limits::EPOCH_QUIET
            };
            wait::until_async("ticks come", more).await;
            drop(turn);
        }
    }
}
