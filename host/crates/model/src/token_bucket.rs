//! What a plugin may use of something over time: CPU, bytes written, processes started, lines logged.
//!
//! A bucket: it holds what may be used at once, and fills again at an even rate. Of a window of a minute with a share of a
//! half, thirty seconds may be used in one go, and from then on half of each second. (A count that starts again at each full
//! minute was left out: twice the amount goes through around its edge, and what is refused waits for up to a minute.)

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// `TokenBucket` is what one plugin may use of one thing. It is shared between threads.
#[derive(Debug)]
pub struct TokenBucket {
    most: f64,
    per_second: f64,
    state: Mutex<Filled>,
}

#[derive(Debug)]
struct Filled {
    left: f64,
    at: Instant,
}

impl TokenBucket {
    /// Allows `most` within each `window`, and all of it at once after a rest.
    pub fn new(most: f64, window: Duration) -> Self {
        Self {
            most,
            per_second: most / window.as_secs_f64(),
            state: Mutex::new(Filled {
                left: most,
                at: Instant::now(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, Filled> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let filled = now.saturating_duration_since(state.at).as_secs_f64() * self.per_second;
        state.left = (state.left + filled).min(self.most);
        state.at = now;
        state
    }

    /// Takes what was used already. It may be more than there was: then it has to be waited for.
    pub fn used(&self, amount: f64) {
        self.state().left -= amount;
    }

    /// Takes what was used already, as [`TokenBucket::used`], and answers how long it takes until nothing is owed; `None`: nothing is.
    pub fn charge(&self, amount: f64) -> Option<Duration> {
        let mut state = self.state();
        state.left -= amount;
        let owed = -state.left;
        drop(state);
        self.until(owed)
    }

    /// `wait` is how long it takes until `amount` is there; `None`: it is there.
    pub fn wait(&self, amount: f64) -> Option<Duration> {
        let missing = amount - self.state().left;
        self.until(missing)
    }

    /// `until` is how long it takes until what is missing has come; `None`: nothing is.
    fn until(&self, missing: f64) -> Option<Duration> {
        (missing > 0.0).then(|| Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(Duration::MAX))
    }

    /// Takes `amount`, if all of it is there.
    ///
    /// # Errors
    /// How long until it is.
    pub fn take(&self, amount: f64) -> Result<(), Duration> {
        let mut state = self.state();
        if let Some(wait) = self.until(amount - state.left) {
            return Err(wait);
        }
        state.left -= amount;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn all_of_it_at_once_and_then_at_an_even_rate() {
        let allowance = TokenBucket::new(60.0, MINUTE);
        assert_eq!(allowance.take(60.0), Ok(()));
        assert_eq!(
            allowance.take(2.0),
            Err(Duration::from_secs(2)),
            "nothing is taken by that"
        );
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(allowance.take(2.0), Ok(()));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(
            allowance.take(61.0),
            Err(Duration::from_secs(1)),
            "a rest gives no more than all of it"
        );
        assert_eq!(allowance.take(60.0), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_beyond_is_waited_for() {
        let allowance = TokenBucket::new(30.0, MINUTE);
        allowance.used(40.0);
        assert_eq!(allowance.wait(0.0), Some(Duration::from_secs(20)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(allowance.wait(0.0), None);
    }
}
