//! The CPU that one turn of a plugin takes: that of its thread, and not wall time, which has in it what the system gives to
//! others meanwhile. On a machine that an agent keeps busy, a plugin would seem to use twice what it does.
//!
//! But to ask the system for it twice takes longer than the shortest turn. So a short turn counts as long as it took
//! ([`SHORT_TURN`]: nobody else can have had much of that), a long one as the thread's own time since that was asked for
//! last, at most [`READING_AGE`] before the turn began. Both are upper bounds, and close ones.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// `SHORT_TURN` is up to which length a turn is CPU in full, whoever else had a part of it.
pub(crate) const SHORT_TURN: Duration = Duration::from_micros(100);
/// `READING_AGE` is how old a reading of a thread's CPU time may be that a turn is measured from.
const READING_AGE: Duration = Duration::from_millis(1);

thread_local! {
    /// `READ` is the CPU time of this thread as it was read last, and when.
    static READ: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// `TurnTime` measures the CPU of one turn on this thread. One may lie within another.
pub(crate) struct TurnTime {
    at: Instant,
    /// `before` is the thread's CPU time shortly before the turn.
    before: Option<Duration>,
}

impl TurnTime {
    pub(crate) fn begin() -> Self {
        let at = Instant::now();
        let young = READ
            .get()
            .filter(|(read, _)| at.saturating_duration_since(*read) <= READING_AGE);
        let before = match young {
            Some((_, time)) => Some(time),
            None => read(at),
        };
        Self { at, before }
    }

    /// `used` is the CPU since the turn began.
    pub(crate) fn used(&self) -> Duration {
        let wall = self.at.elapsed();
        if wall < SHORT_TURN {
            return wall;
        }
        match (self.before, read(self.at + wall)) {
            (Some(before), Some(time)) => wall.min(time.saturating_sub(before)),
            _ => wall,
        }
    }
}

/// Reads the CPU time of this thread; `None`: the system does not say it.
fn read(now: Instant) -> Option<Duration> {
    let time = thread_time();
    READ.set(time.map(|time| (now, time)));
    time
}

#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)
        .try_into()
        .ok()
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_counts_what_its_thread_used_and_not_what_others_had_meanwhile() {
        let begun = Instant::now();
        let turn = TurnTime::begin();
        std::thread::sleep(50 * SHORT_TURN);
        assert!(turn.used() < begun.elapsed() / 2);

        let turn = TurnTime::begin();
        while begun.elapsed() < 500 * SHORT_TURN {}
        let used = turn.used();
        assert!(used > SHORT_TURN, "{used:?}");
    }

    #[test]
    fn of_two_turns_one_within_the_other_each_counts_what_it_used() {
        let outer = TurnTime::begin();
        while outer.used() < 50 * SHORT_TURN {}
        let inner = TurnTime::begin();
        while inner.used() < 50 * SHORT_TURN {}
        let both = outer.used();
        assert!(both + READING_AGE >= 100 * SHORT_TURN, "{both:?}");
    }
}
