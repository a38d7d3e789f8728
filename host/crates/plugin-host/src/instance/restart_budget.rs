//! How often a plugin that crashes is started again, and after which pause.

use nexus_model::{backoff, limits};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// `RestartBudget` counts the crashes of the last [`limits::RESTART_WINDOW`]; older ones are forgiven.
#[derive(Debug, Default)]
pub(crate) struct RestartBudget {
    crashes: VecDeque<Instant>,
}

impl RestartBudget {
    /// Counts a crash. Returns the pause before the next start, or `None` if the plugin reached its restart limit.
    pub(crate) fn crashed(&mut self, now: Instant) -> Option<Duration> {
        while self
            .crashes
            .front()
            .is_some_and(|at| now.duration_since(*at) >= limits::RESTART_WINDOW)
        {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        let crashes = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        (crashes <= limits::RESTART_BUDGET).then(|| pause(crashes))
    }
}

/// `pause` is the one before a plugin is started again. `attempt` starts at 1.
pub(crate) fn pause(attempt: u32) -> Duration {
    backoff::pause(limits::RESTART_FIRST, limits::RESTART_MAX, attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends_and_heals() {
        let mut budget = RestartBudget::default();
        let start = Instant::now();
        for n in 1..=limits::RESTART_BUDGET {
            assert_eq!(budget.crashed(start), Some(pause(n)));
        }
        assert_eq!(budget.crashed(start), None);
        assert_eq!(budget.crashed(start + limits::RESTART_WINDOW), Some(pause(1)));
    }
}
