//! Time and randomness, injected: every policy (lockout, expiry, backoff) is tested without waiting.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// `Millis` counts milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

/// `millis` is a duration in whole milliseconds; what is too long for them is the most there is.
pub fn millis(duration: std::time::Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `Utc` is a moment as people and files write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(time::OffsetDateTime);

impl Utc {
    /// The machine's clock now.
    pub fn now() -> Self {
        Self(time::OffsetDateTime::now_utc())
    }

    /// `None`: after the year 9999.
    pub fn of_millis(at: Millis) -> Option<Self> {
        let nanos = i128::from(at) * 1_000_000;
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().map(Self)
    }

    /// The moment so much earlier; the beginning of time where there is none.
    #[must_use]
    pub fn before(self, by: std::time::Duration) -> Self {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// `seconds` since the Unix epoch; 0 for a clock before it.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.unix_timestamp()).unwrap_or(0)
    }

    /// `date` is `2026-07-30`.
    pub fn date(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    /// `clock` is `09:05:07`.
    pub fn clock(self) -> String {
        let (hour, minute, second) = self.0.to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    /// `whole_seconds` is `2026-07-30T09:05:07Z`.
    pub fn whole_seconds(self) -> String {
        format!("{}T{}Z", self.date(), self.clock())
    }

    /// `for_file_names` is `20260730T090507Z`.
    pub fn for_file_names(self) -> String {
        self.whole_seconds().replace(['-', ':'], "")
    }
}

/// `2026-07-30T09:05:07.000250Z`, as the lines of the log have it (RFC 3339): the order of such texts is that of the moments.
impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}.{:06}Z", self.date(), self.clock(), self.0.microsecond())
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moment_is_written_as_each_reader_needs_it() {
        let moment = Utc::of_millis(1_785_402_307_250).unwrap();
        assert_eq!(moment.to_string(), "2026-07-30T09:05:07.250000Z");
        assert_eq!(moment.whole_seconds(), "2026-07-30T09:05:07Z");
        assert_eq!(moment.for_file_names(), "20260730T090507Z");
        assert_eq!(
            (moment.date(), moment.clock()),
            ("2026-07-30".into(), "09:05:07".into())
        );
        assert_eq!(moment.seconds(), 1_785_402_307);
        assert_eq!(moment.before(Duration::from_secs(8)).clock(), "09:04:59");
        assert!(moment.before(Duration::MAX) < moment);
        assert_eq!(Utc::of_millis(Millis::MAX), None);
        assert_eq!(Utc::of_millis(0).unwrap().to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn the_order_of_the_texts_is_that_of_the_moments() {
        let texts = [0, 1, 999, 1_000, 1_500, 60_000].map(|at| Utc::of_millis(at).unwrap().to_string());
        assert!(texts.is_sorted());
    }
}
