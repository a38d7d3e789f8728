//! Waiting for what happens outside of a test: each wait has a deadline, and one that ends in vain says what was waited
//! for and what was seen last.
//!
//! The deadline is one for all and long: it costs time only where a test fails, and a machine with two busy cores must
//! not break a test. What has to be fast is measured by the test that says so.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The longest that anything is waited for.
pub const LONG: Duration = Duration::from_secs(240);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until `holds`.
///
/// # Panics
/// It does not hold in time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    seen(what, || (), |()| holds());
}

/// Looks again and again until `takes` what is seen, and returns that.
///
/// # Panics
/// It is not seen in time.
pub fn seen<T: Debug>(what: &str, mut look: impl FnMut() -> T, mut takes: impl FnMut(&T) -> bool) -> T {
    let end = Instant::now() + LONG;
    loop {
        let now = look();
        if takes(&now) {
            return now;
        }
        in_time(end, what, &now);
        std::thread::sleep(PAUSE);
    }
}

/// [`seen`] for a look that is itself waited for.
///
/// # Panics
/// It is not seen in time.
pub async fn seen_async<T: Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> T,
    mut takes: impl FnMut(&T) -> bool,
) -> T {
    let end = Instant::now() + LONG;
    loop {
        let now = look().await;
        if takes(&now) {
            return now;
        }
        in_time(end, what, &now);
        tokio::time::sleep(PAUSE).await;
    }
}

fn in_time(end: Instant, what: &str, seen: &impl Debug) {
    assert!(
        Instant::now() < end,
        "waited {} s in vain until {what}; seen last: {seen:#?}",
        LONG.as_secs()
    );
}

/// The result of `work`.
///
/// # Panics
/// It is not there in time.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG, work).await;
    done.unwrap_or_else(|_| panic!("waited {} s in vain until {what}", LONG.as_secs()))
}

/// Whether `holds` becomes true within `limit`: for what may not happen, and for a limit that is promised.
pub fn happens(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
