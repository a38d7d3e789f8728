//! Stops a turn that would never end.
//!
//! When a model's stream ends cleanly but without a reason, opencode asks the model again at once, dozens of times in
//! a few seconds and for ever. Such answers finish with `unknown`; an agent at work calls tools in between.

use crate::wire;
use std::collections::BTreeMap;

/// `LIMIT` is how many answers in a row without a reason stop the turn, if they come within [`WINDOW`].
const LIMIT: usize = 8;
/// `WINDOW` is in milliseconds.
const WINDOW: u64 = 120_000;

#[derive(Debug, Default)]
pub struct Watchdog {
    sessions: BTreeMap<String, UnfinishedAnswers>,
}

#[derive(Debug, Default)]
struct UnfinishedAnswers {
    last: String,
    times: Vec<u64>,
    reported: bool,
}

impl Watchdog {
    /// `message` takes a changed message. `Some`: the turn must be stopped, with the reason for the user.
    pub fn message(&mut self, info: &wire::Message, now: u64) -> Option<String> {
        if info.role != "assistant" || info.time.completed.is_none() {
            return None;
        }
        if info.error.is_some() || !matches!(info.finish.as_deref(), None | Some("unknown")) {
            self.sessions.remove(&info.session);
            return None;
        }
        let unfinished = self.sessions.entry(info.session.clone()).or_default();
        if unfinished.last == info.id {
            return None;
        }
        unfinished.last.clone_from(&info.id);
        unfinished.times.retain(|t| now.saturating_sub(*t) < WINDOW);
        unfinished.times.push(now);
        if unfinished.reported || unfinished.times.len() < LIMIT {
            return None;
        }
        unfinished.reported = true;
        Some(format!(
            "The answer was stopped: the model ended it {LIMIT} times in a row without a reason, and opencode retried \
             each time. The model's server probably closes its streams too early. To fix: choose another model, or \
             check the server."
        ))
    }

    /// `tool` takes a tool call, which shows that the agent is working.
    pub fn tool(&mut self, session: &str) {
        self.sessions.remove(session);
    }

    pub fn idle(&mut self, session: &str) {
        self.sessions.remove(session);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(id: usize, finish: &str) -> wire::Message {
        let json = format!(
            r#"{{"id":"m{id}","sessionID":"s","role":"assistant","finish":"{finish}","time":{{"created":1,"completed":2}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn the_eighth_answer_without_a_reason_stops_the_turn_once() {
        let mut watchdog = Watchdog::default();
        let reports: Vec<usize> = (1..20)
            .filter(|i| watchdog.message(&answer(*i, "unknown"), 1000 + *i as u64).is_some())
            .collect();
        assert_eq!(reports, [LIMIT]);
    }

    #[test]
    fn repeats_of_one_message_tools_good_ends_and_slow_answers_do_not() {
        let mut watchdog = Watchdog::default();
        assert!((1..50).all(|_| watchdog.message(&answer(1, "unknown"), 1).is_none()));
        assert!((1..50).all(|i| watchdog.message(&answer(i, "unknown"), i as u64 * WINDOW).is_none()));
        assert!((1..50).all(|i| watchdog.message(&answer(i, "tool-calls"), 1).is_none()));
        let mut watchdog = Watchdog::default();
        for i in 1..50 {
            assert!(watchdog.message(&answer(i, "unknown"), 1).is_none());
            if i % 5 == 0 {
                watchdog.tool("s");
            }
        }
    }
}
