//! Time and randomness, injected: every policy (lockout, expiry, backoff) is tested without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `Millis` counts milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

/// `millis` is a duration in whole milliseconds; what is too long for them is the most there is.
pub fn millis(duration: std::time::Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `Clock` is where "now" comes from.
pub trait Clock: Send + Sync + 'static {
    /// `now` is the time of the wall clock; it may jump when the machine's clock is set.
    fn now(&self) -> Millis;
}

/// `SystemClock` is the machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, millis)
    }
}

/// `ManualClock` stands still until it is told otherwise, for tests. Its clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Makes a clock that shows `now`.
    pub fn at(now: Millis) -> Self {
        Self(Arc::new(AtomicU64::new(now)))
    }
    /// Moves the clock on.
    pub fn advance(&self, by: std::time::Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}
