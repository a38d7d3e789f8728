//! Who computes: whether a plugin had a long turn of late.
//!
//! A turn cannot be moved to another thread once it has begun. So where the next one is taken is decided by those before it,
//! and remembered for [`limits::COMPUTES_FOR`]: a plugin that computes for a while in each second would else have its first
//! turn of each, and all who wait for one, on the thread that serves everybody. It is the plugin's and outlives its instances:
//! one that is restarted because it never returns would else begin there each time.

use nexus_model::limits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// `Computing` remembers the last long turn of a plugin.
#[derive(Debug)]
pub(crate) struct Computing {
    made: Instant,
    /// `until` is in milliseconds from `made`; 0: no long turn is remembered. Nothing else follows from it, so its order is relaxed.
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
        if cpu >= limits::LONG_TURN {
            self.until
                .store(self.age(limits::COMPUTES_FOR).max(1), Ordering::Relaxed);
        }
    }

    /// Tells whether it had a long turn of late.
    pub(crate) fn lately(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        let lately = self.age(Duration::ZERO) < until;
        if !lately {
            // Another turn may have been long meanwhile: what is lost by that is one turn.
            self.until.store(0, Ordering::Relaxed);
        }
        lately
    }

    fn age(&self, later: Duration) -> u64 {
        u64::try_from((self.made.elapsed() + later).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_testkit::wait;

    #[test]
    fn a_long_turn_is_remembered_for_a_while() {
        let plugin = Computing::default();
        plugin.took(limits::LONG_TURN / 2);
        assert!(!plugin.lately(), "a short one is not");
        let begun = Instant::now();
        plugin.took(limits::LONG_TURN);
        assert!(plugin.lately() || begun.elapsed() >= limits::COMPUTES_FOR);
        wait::until("it is forgotten", || !plugin.lately());
        assert!(begun.elapsed() + Duration::from_millis(1) >= limits::COMPUTES_FOR);
        plugin.took(2 * limits::LONG_TURN);
        assert!(plugin.lately(), "and the next one is remembered");
    }
}
