//! Prompts that wait for a turn to end.
//!
//! Problem: what becomes of a prompt that comes while a turn runs is every backend's own matter. opencode takes it, cannot
//! give it back, and forgets it where the turn is stopped: it stands there, unanswered and unmarked.
//!
//! Mechanism: the host keeps it, as a message of the journal that says what it waits for ([`nexus_model::chat::Waiting`]), so that everybody
//! sees it and it outlives the page. When the turn has ended, the first one is handed over; the next after the turn that
//! it begins. A stop, a turn that was interrupted, and a backend that refuses leave what waits to its owner, who sends it
//! or takes it back. The same record says that a prompt was handed over and its turn has not begun yet: what comes in that
//! moment waits as well, and a turn that never begins is said.
//!
//! Limits: [`limits::QUEUED_PROMPTS`] for each session. After a restart of the host nothing is sent by itself: what waited
//! is its owner's.
//!
//! Rejected: the backend's own queue, for the reasons above.

use nexus_model::chat::SessionId;
use nexus_model::limits;
use nexus_plugin_traits::Prompt;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Queue(Mutex<HashMap<SessionId, Line>>);

#[derive(Default)]
struct Line {
    prompts: VecDeque<Prompt>,
    /// `expected` is the token of a prompt that was handed over, and whose turn has not begun.
    expected: Option<u64>,
    handed: u64,
}

impl Queue {
    fn lines(&self) -> MutexGuard<'_, HashMap<SessionId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether something waits already, or a turn is about to begin.
    pub(crate) fn busy(&self, session: &str) -> bool {
        let lines = self.lines();
        lines
            .get(session)
            .is_some_and(|line| line.expected.is_some() || !line.prompts.is_empty())
    }

    pub(crate) fn holds(&self, session: &str, client_id: &str) -> bool {
        let lines = self.lines();
        let line = lines.get(session);
        line.is_some_and(|line| line.prompts.iter().any(|prompt| prompt.client_id == client_id))
    }

    /// Adds a prompt. False: too many wait.
    pub(crate) fn push(&self, session: &str, prompt: Prompt) -> bool {
        let mut lines = self.lines();
        let line = lines.entry(session.to_owned()).or_default();
        let room = line.prompts.len() < limits::QUEUED_PROMPTS;
        if room {
            line.prompts.push_back(prompt);
        }
        room
    }

    pub(crate) fn remove(&self, session: &str, client_id: &str) {
        self.change(session, |line| {
            line.prompts.retain(|prompt| prompt.client_id != client_id)
        });
    }

    /// Takes the first that waits, unless a turn is about to begin.
    pub(crate) fn next(&self, session: &str) -> Option<Prompt> {
        self.change(session, |line| match line.expected {
            Some(_) => None,
            None => line.prompts.pop_front(),
        })
        .flatten()
    }

    /// Notes that a prompt is handed over: its turn is expected. Returns the token of this expectation.
    pub(crate) fn expect(&self, session: &str) -> u64 {
        let mut lines = self.lines();
        let line = lines.entry(session.to_owned()).or_default();
        line.handed += 1;
        line.expected = Some(line.handed);
        line.handed
    }

    /// Notes that the turn began, or will not. True: it was still expected.
    pub(crate) fn turn_started(&self, session: &str, token: Option<u64>) -> bool {
        self.change(session, |line| {
            let turn_started = line.expected.is_some() && (token.is_none() || line.expected == token);
            if turn_started {
                line.expected = None;
            }
            turn_started
        })
        .unwrap_or(false)
    }

    fn change<T>(&self, session: &str, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let mut lines = self.lines();
        let line = lines.get_mut(session)?;
        let result = change(line);
        if line.prompts.is_empty() && line.expected.is_none() {
            lines.remove(session);
        }
        Some(result)
    }

    pub(crate) fn drain(&self, session: &str) -> Vec<Prompt> {
        self.change(session, |line| line.prompts.drain(..).collect())
            .unwrap_or_default()
    }
}
