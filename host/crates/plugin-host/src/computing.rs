//! Who computes: whether a plugin had long turns of late.
//!
//! A turn cannot be moved to another thread once it has begun. So where the next one is taken is decided by those before it:
//! each long turn is remembered for [`limits::COMPUTES_TIMES`] as long as it took, one after the other. So a plugin that uses
//! a small part of a core or more in long turns has none on the thread that serves everybody, also where it rests between them; and
//! one that reads a long history now and then is back there soon. It is the plugin's and outlives its instances: one that
//! is restarted because it never returns would else begin there each time.

use nexus_model::limits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `Computing` remembers the long turns of a plugin.
#[derive(Debug)]
pub(crate) struct Computing {
    made: Instant,
    /// `until` is in microseconds from `made`; 0: no long turn is remembered. Nothing else follows from it, so its order is relaxed.
    until: AtomicU64,
}

impl Default for Computing {
    fn default() -> Self {
        Self {
            made: Instant::now(),
            until: AtomicU64::new(0),
        }
    }
}

impl Computing {
    /// Notes a turn that took this much CPU.
    pub(crate) fn took(&self, cpu: Duration) {
        if cpu < limits::LONG_TURN {
            return;
        }
        let now = self.made.elapsed();
        let until = now.max(Duration::from_micros(self.until.load(Ordering::Relaxed)));
        let until = (until + cpu * limits::COMPUTES_TIMES).min(now + limits::CPU_WINDOW);
        // Turns are taken one at a time, and another thread forgets at most.
        self.until.store(micros(until), Ordering::Relaxed);
    }

    /// Tells whether it had a long turn of late.
    pub(crate) fn lately(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        let lately = micros(self.made.elapsed()) < until;
        if !lately {
            // A long turn that is noted just now is lost with that, if it is another one's: then the next one is remembered.
            self.until.store(0, Ordering::Relaxed);
        }
        lately
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_testkit::wait;

    #[test]
    fn a_long_turn_is_remembered_for_many_times_its_length() {
        let plugin = Computing::default();
        plugin.took(limits::LONG_TURN / 2);
        assert!(!plugin.lately(), "a short one is not");
        let (begun, kept) = (Instant::now(), limits::LONG_TURN * limits::COMPUTES_TIMES);
        plugin.took(limits::LONG_TURN);
        assert!(plugin.lately() || begun.elapsed() >= kept);
        wait::until("it is forgotten", || !plugin.lately());
        assert!(begun.elapsed() + Duration::from_millis(1) >= kept);
    }

    #[test]
    fn many_long_turns_are_remembered_for_longer_and_not_for_ever() {
        let plugin = Computing::default();
        for _ in 0..1_000_000 {
            plugin.took(2 * limits::LONG_TURN);
        }
        let left = Duration::from_micros(plugin.until.load(Ordering::Relaxed)).saturating_sub(plugin.made.elapsed());
        assert!(left <= limits::CPU_WINDOW && left > limits::CPU_WINDOW / 2, "{left:?}");
    }
}
