//! The one way in which the tests of these crates wait for what has no event.

use std::time::{Duration, Instant};

/// Longer than anything takes on a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(60);

/// Waits until a condition holds. `what`: the condition, for who reads that it never did. The time is that of the machine, also
/// where the test has a clock that stands still.
///
/// # Panics
/// It does not hold within a minute.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < LONG,
            "after {} s it is still not so: {what}",
            LONG.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
