//! How long something lasted, for decisions such as "it did not reconnect within five minutes".
//!
//! `clock.now` is the wall clock: it can be set, and it advances while the machine sleeps. `clock.elapsed` does neither, but it
//! advances while the process of Nexus is stopped (a signal, a debugger, a virtual machine that is paused). A connection that
//! was stopped had no chance to recover, so [`AwakeClock`] counts only a part of a long gap between two calls: call it often.

use super::caps::clock;

/// `AwakeClock` counts the milliseconds in which the machine and the process ran. A gap between two calls is limited to
/// `longest_gap`: the process was stopped.
#[derive(Debug, Clone)]
pub struct AwakeClock {
    longest_gap: u64,
    last_call: u64,
    elapsed: u64,
}

impl AwakeClock {
    /// Starts the clock. `longest_gap` is the longest time, in milliseconds, between two calls while the process runs.
    pub fn new(longest_gap: u64) -> Self {
        Self::from(clock::elapsed(), longest_gap)
    }

    /// `elapsed` is the time awake since the start of the clock, in milliseconds.
    pub fn elapsed(&mut self) -> u64 {
        self.at(clock::elapsed())
    }

    fn from(now: u64, longest_gap: u64) -> Self {
        Self {
            longest_gap,
            last_call: now,
            elapsed: 0,
        }
    }

    fn at(&mut self, now: u64) -> u64 {
        let gap = now.saturating_sub(self.last_call);
        self.last_call = now;
        self.elapsed = self.elapsed.saturating_add(gap.min(self.longest_gap));
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_in_which_nothing_ran_is_not_counted() {
        let mut clock = AwakeClock::from(1_000, 15_000);
        assert_eq!(clock.at(3_000), 2_000);
        assert_eq!(clock.at(3_603_000), 17_000);
        assert_eq!(clock.at(3_605_000), 19_000);
    }
}
