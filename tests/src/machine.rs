//! How long something takes, told apart from how long this machine keeps everybody waiting.
//!
//! The tests share a few cores with compilers, browsers and each other, so a limit in seconds alone says as much about
//! the machine as about Nexus. [`Stopwatch`] therefore watches the machine in the same span of time: how many threads
//! wanted a core, and how late a thread woke that does nothing but sleep. A limit is stretched by both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The pause between two looks at the machine.
const PAUSE: Duration = Duration::from_millis(10);
/// Between a request and its answer this many threads are woken one after the other, each of them as late as the one
/// that only sleeps.
const WAKES: u32 = 10;

#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<Busy>>,
}

impl Default for Stopwatch {
    fn default() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        Self {
            begun: Instant::now(),
            watcher: Some(std::thread::spawn(move || watch(&until))),
            stop,
        }
    }
}

impl Stopwatch {
    pub fn start() -> Self {
        Self::default()
    }

    pub fn stop(mut self) -> Lap {
        let took = self.begun.elapsed();
        self.stop.store(true, Ordering::SeqCst);
        let busy = self.watcher.take().expect("it is taken once").join().unwrap();
        Lap { took, busy }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// A span of time, and how busy the machine was in it.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    pub took: Duration,
    busy: Busy,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    /// Threads that could run, for each core; 1 where there are fewer.
    per_core: f64,
    /// The latest that the sleeping thread woke.
    late: Duration,
}

impl Lap {
    /// The limit for an idle machine, as it is for this one.
    pub fn stretched(&self, limit: Duration) -> Duration {
        limit.mul_f64(self.busy.per_core) + self.busy.late * WAKES
    }

    /// # Panics
    /// It took longer than `limit`, even on so busy a machine.
    pub fn assert_within(&self, what: &str, limit: Duration) {
        self.assert_one_within(what, self.took, limit);
    }

    /// The same of one of the things that happened meanwhile.
    ///
    /// # Panics
    /// It took longer than `limit`, even on so busy a machine.
    pub fn assert_one_within(&self, what: &str, took: Duration, limit: Duration) {
        assert!(
            took < self.stretched(limit),
            "{what} took {took:?}; the limit of {limit:?} is {:?} on a machine with {:.1} threads for each core, on which \
             a thread that sleeps woke {:?} late",
            self.stretched(limit),
            self.busy.per_core,
            self.busy.late
        );
    }
}

fn watch(stop: &AtomicBool) -> Busy {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut looks, mut runnable, mut late) = (0_u32, 0_u32, Duration::ZERO);
    while looks == 0 || !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        std::thread::sleep(PAUSE);
        late = late.max(begun.elapsed().saturating_sub(PAUSE));
        // This thread is one of them.
        runnable += running().saturating_sub(1);
        looks += 1;
    }
    Busy {
        per_core: (f64::from(runnable) / f64::from(looks) / cores as f64).max(1.0),
        late,
    }
}

/// Threads of the whole machine that run or could run.
fn running() -> u32 {
    let text = std::fs::read_to_string("/proc/stat").expect("these tests need Linux's /proc");
    let line = text.lines().find_map(|line| line.strip_prefix("procs_running "));
    line.and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_what_hangs_and_not_for_what_the_machine_delays() {
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(50));
        let lap = watch.stop();
        assert!(lap.took >= Duration::from_millis(50));
        assert!(lap.stretched(Duration::from_secs(1)) >= Duration::from_secs(1));
        let busy = Lap {
            took: Duration::from_secs(3),
            busy: Busy {
                per_core: 2.0,
                late: Duration::from_millis(100),
            },
        };
        assert_eq!(busy.stretched(Duration::from_secs(1)), Duration::from_secs(3));
        busy.assert_within("it", Duration::from_millis(1001));
        assert!(std::panic::catch_unwind(|| busy.assert_within("it", Duration::from_millis(900))).is_err());
    }
}
