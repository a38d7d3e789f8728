//! How long something lasted, for decisions such as "it did not reconnect within five minutes".
//!
//! `clock.now` is the wall clock: it can be set, and it advances while the machine sleeps. The monotonic clock (WASI's, by
//! the standard library) cannot be set, but it advances while the process is stopped. A connection that slept had no chance
//! to recover, so [`AwakeClock`] counts only a part of a long gap between two calls: call it often.

use std::time::Instant;

/// `AwakeClock` counts the milliseconds in which the machine and the process ran. A gap between two calls is limited to
/// `longest_gap`: the machine slept, or the process was stopped.
#[derive(Debug, Clone)]
pub struct AwakeClock {
    longest_gap: u64,
    last_call: Instant,
    elapsed: u64,
}

impl AwakeClock {
    /// Starts the clock. `longest_gap` is the longest time, in milliseconds, between two calls while the machine runs.
    pub fn new(longest_gap: u64) -> Self {
        Self {
            longest_gap,
            last_call: Instant::now(),
            elapsed: 0,
        }
    }

    /// `elapsed` is the time awake since the start of the clock, in milliseconds.
    pub fn elapsed(&mut self) -> u64 {
        let now = Instant::now();
        let gap = now.saturating_duration_since(self.last_call).as_millis();
        self.last_call = now;
        self.add(u64::try_from(gap).unwrap_or(u64::MAX))
    }

    fn add(&mut self, gap: u64) -> u64 {
        self.elapsed = self.elapsed.saturating_add(gap.min(self.longest_gap));
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_sleep_is_not_counted() {
        let mut clock = AwakeClock::new(15_000);
        assert_eq!(clock.add(2_000), 2_000);
        assert_eq!(clock.add(3_600_000), 17_000);
        assert_eq!(clock.add(2_000), 19_000);
    }
}
