//! How the tests of Nexus wait: each wait has a deadline, and one that is not fulfilled says what was waited for and what was
//! seen last.
//!
//! The deadline is one for all and long: it costs time only where a test fails, and a machine with two busy cores must
//! not break a test. It is measured by the clock of the machine, also where a test has paused that of tokio. What has to be
//! fast is measured by the test that says so.
#![warn(missing_docs)]
#![allow(clippy::panic)]

use std::fmt::Debug;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// `LONG` is the longest time that anything is waited for.
pub const LONG: Duration = Duration::from_secs(240);

/// `PAUSE` is the time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// `until` waits until `holds`.
///
/// # Panics
/// It does not hold in time.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    seen(what, || (), |()| holds());
}

/// `until_async` does as [`until`], for a condition that is itself waited for.
///
/// # Panics
/// It does not hold in time.
pub async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    seen_async(what, async || holds().await, |held| *held).await;
}

/// `seen` looks again and again until `takes` what is seen, and returns that.
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
        assert!(Instant::now() < end, "{}", too_late(what, Some(&now)));
        std::thread::sleep(PAUSE);
    }
}

/// `seen_async` does as [`seen`], for a look that is itself waited for.
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
        assert!(Instant::now() < end, "{}", too_late(what, Some(&now)));
        tokio::time::sleep(PAUSE).await;
    }
}

/// `watched` waits until `takes` the value of a watch channel, and returns it. Each value that is sent meanwhile is looked at,
/// but for those that are overwritten at once.
///
/// # Panics
/// The value does not come in time, or the sender is gone.
pub async fn watched<T: Clone + Debug>(
    what: &str,
    values: &mut watch::Receiver<T>,
    takes: impl FnMut(&T) -> bool,
) -> T {
    let last = values.clone();
    let found = before(LONG, async { values.wait_for(takes).await.map(|value| value.clone()) });
    match found.await {
        Some(Ok(value)) => value,
        Some(Err(_)) => panic!(
            "the sender is gone before this has happened: {what}; last seen: {:#?}",
            *last.borrow()
        ),
        None => panic!("{}", too_late(what, Some(&*last.borrow()))),
    }
}

/// `within` returns the result of `work`.
///
/// # Panics
/// It is not there in time.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = before(LONG, work).await;
    done.unwrap_or_else(|| panic!("{}", too_late::<()>(what, None)))
}

/// `happens` says whether `holds` becomes true within `limit`: for what may not happen, and for a limit that is promised.
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

/// A thread keeps the deadline: timers of tokio stand still where its clock is paused, or expire at once.
async fn before<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (still_waits, ended) = mpsc::channel::<()>();
    let (expire, expired) = oneshot::channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = expire.send(());
        }
    });
    let result = tokio::select! {
        biased;
        result = work => Some(result),
        _ = expired => None,
    };
    drop(still_waits);
    result
}

fn too_late<T: Debug>(what: &str, last: Option<&T>) -> String {
    let seconds = LONG.as_secs();
    match last {
        Some(last) => format!("after {seconds} s this has not happened: {what}; last seen: {last:#?}"),
        None => format!("after {seconds} s this has not happened: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_neither_shortens_the_deadline_nor_removes_it() {
        let an_hour = tokio::time::sleep(Duration::from_secs(3600));
        assert!(
            before(LONG, an_hour).await.is_some(),
            "the paused clock advances by itself"
        );
        let never = std::future::pending::<()>();
        assert!(before(Duration::from_millis(20), never).await.is_none());
    }

    #[tokio::test]
    #[should_panic(expected = "the sender is gone before this has happened: it is 2; last seen: 1")]
    async fn a_value_that_never_comes_is_reported_with_the_last_one() {
        let (sender, mut values) = watch::channel(0);
        sender.send_replace(1);
        drop(sender);
        watched("it is 2", &mut values, |value| *value == 2).await;
    }
}
