//! How long something lasted, for decisions like "it did not come back in five minutes".
//!
//! `clock.now` is the wall clock: somebody sets it, and it goes on while the machine sleeps. The monotonic clock (WASI's, by
//! the standard library) is not set, but a stopped process wakes up with hours in it. What slept had no chance to recover, so
//! a gap between two questions counts for little: ask often.

use std::time::Instant;

/// `Awake` counts milliseconds awake. Time that nobody asked in, beyond `longest` at once, is left out.
#[derive(Debug, Clone)]
pub struct Awake {
    longest: u64,
    last: Instant,
    passed: u64,
}

impl Awake {
    /// Begins to count. `longest` is the longest time, in milliseconds, between two questions while it works.
    pub fn new(longest: u64) -> Self {
        Self {
            longest,
            last: Instant::now(),
            passed: 0,
        }
    }

    /// `now` is the time awake since it was made, in milliseconds.
    pub fn now(&mut self) -> u64 {
        let now = Instant::now();
        let gap = now.saturating_duration_since(self.last).as_millis();
        self.last = now;
        self.add(u64::try_from(gap).unwrap_or(u64::MAX))
    }

    fn add(&mut self, gap: u64) -> u64 {
        self.passed = self.passed.saturating_add(gap.min(self.longest));
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_sleep_is_no_hour() {
        let mut awake = Awake::new(15_000);
        assert_eq!(awake.add(2_000), 2_000);
        assert_eq!(awake.add(3_600_000), 17_000);
        assert_eq!(awake.add(2_000), 19_000);
    }
}
