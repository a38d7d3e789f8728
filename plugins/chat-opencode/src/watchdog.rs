//! Stops a turn that would never end.
//!
//! When a model's stream ends cleanly but without a reason, opencode asks the model again at once, dozens of times in
//! a few seconds and for ever. Such answers finish with `unknown`; an agent at work calls tools in between.

use crate::wire;
use std::collections::BTreeMap;

/// This many answers in a row without a reason …
const LIMIT: usize = 8;
/// … within this time, milliseconds, are no conversation.
const WINDOW: u64 = 120_000;

#[derive(Debug, Default)]
pub struct Watchdog {
    sessions: BTreeMap<String, Suspect>,
}

#[derive(Debug, Default)]
struct Suspect {
    last: String,
    times: Vec<u64>,
    barked: bool,
}

impl Watchdog {
    /// A message changed. `Some`: the turn must be stopped, in words for the user.
    pub fn message(&mut self, info: &wire::Message, now: u64) -> Option<String> {
        if info.role != "assistant" || info.time.completed.is_none() {
            return None;
        }
        if info.error.is_some() || !matches!(info.finish.as_deref(), None | Some("unknown")) {
            self.sessions.remove(&info.session);
            return None;
        }
        let suspect = self.sessions.entry(info.session.clone()).or_default();
        if suspect.last == info.id {
            return None;
        }
        suspect.last.clone_from(&info.id);
        suspect.times.retain(|t| now.saturating_sub(*t) < WINDOW);
        suspect.times.push(now);
        if suspect.barked || suspect.times.len() < LIMIT {
            return None;
        }
        suspect.barked = true;
        Some(format!(
            "The answer was stopped: the model ended it {LIMIT} times in a row without a reason, and opencode retried \
             each time. The model's server probably closes its streams too early. To fix: choose another model, or \
             check the server."
        ))
    }

    /// A tool call: the agent is at work.
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
        let mut dog = Watchdog::default();
        let barks: Vec<usize> = (1..20)
            .filter(|i| dog.message(&answer(*i, "unknown"), 1000 + *i as u64).is_some())
            .collect();
        assert_eq!(barks, [LIMIT]);
    }

    #[test]
    fn repeats_of_one_message_tools_good_ends_and_slow_answers_do_not() {
        let mut dog = Watchdog::default();
        assert!((1..50).all(|_| dog.message(&answer(1, "unknown"), 1).is_none()));
        assert!((1..50).all(|i| dog.message(&answer(i, "unknown"), i as u64 * WINDOW).is_none()));
        assert!((1..50).all(|i| dog.message(&answer(i, "tool-calls"), 1).is_none()));
        let mut dog = Watchdog::default();
        for i in 1..50 {
            assert!(dog.message(&answer(i, "unknown"), 1).is_none());
            if i % 5 == 0 {
                dog.tool("s");
            }
        }
    }
}
