//! What the pump, the switch and the callers have in common.

use super::local::Local;
use super::port::{JournalPort, Listed};
use super::status::{ChatError, ChatStatus, Phase};
use crate::model::chat::{SessionId, SessionInfo};
use crate::runtime::port::ChatBackend;
use crate::time::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{mpsc, watch};

/// The backend that is running.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) plugin: String,
    pub(super) backend: Arc<dyn ChatBackend>,
    /// Its connection is open: calls make sense.
    pub(super) open: bool,
    /// Sessions to be brought up to date.
    pub(super) wake: mpsc::UnboundedSender<SessionId>,
}

pub(super) struct Shared {
    pub(super) journal: Arc<dyn JournalPort>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Sender<ChatStatus>,
    pub(super) active: watch::Sender<Option<Active>>,
    /// Look for the backend's program now.
    pub(super) look: tokio::sync::Notify,
    sessions: watch::Receiver<Arc<Vec<Listed>>>,
    /// Prompts (session, client id) that the journal shows and the backend has not shown yet. Held while such a message
    /// is written, so that one that was just replaced is not written again.
    pub(super) local: tokio::sync::Mutex<Local>,
    gates: Mutex<HashMap<(SessionId, String), Weak<tokio::sync::Mutex<()>>>>,
}

impl Shared {
    pub(super) fn new(journal: Arc<dyn JournalPort>, clock: Arc<dyn Clock>, status: ChatStatus) -> Self {
        Self {
            sessions: journal.list(),
            journal,
            clock,
            status: watch::Sender::new(status),
            active: watch::Sender::new(None),
            look: tokio::sync::Notify::new(),
            local: tokio::sync::Mutex::default(),
            gates: Mutex::default(),
        }
    }

    /// So that the same prompt, sent twice at once, is asked for one after the other.
    pub(super) fn prompt_gate(&self, session: &str, client_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        let key = (session.to_owned(), client_id.to_owned());
        if let Some(gate) = gates.get(&key).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(key, Arc::downgrade(&gate));
        gate
    }

    pub(super) fn listed(&self, session: &str) -> Option<Listed> {
        self.sessions
            .borrow()
            .iter()
            .find(|listed| listed.info.id == session)
            .cloned()
    }

    /// The sub-agents of a session, and theirs.
    pub(super) fn descendants(&self, session: &str) -> Vec<SessionId> {
        let sessions = self.sessions.borrow();
        let mut found: Vec<SessionId> = vec![session.to_owned()];
        let mut at = 0;
        while let Some(parent) = found.get(at).cloned() {
            for listed in sessions
                .iter()
                .filter(|listed| listed.info.parent.as_ref() == Some(&parent))
            {
                if !found.contains(&listed.info.id) {
                    found.push(listed.info.id.clone());
                }
            }
            at += 1;
        }
        found.split_off(1)
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.status.send_if_modified(|status| {
            let changed = status.phase != phase;
            status.phase = phase;
            changed
        });
    }

    /// The open backend of a session, and the session as that backend knows it.
    pub(super) fn target(&self, session: &str) -> Result<(Arc<dyn ChatBackend>, SessionInfo), ChatError> {
        let Some(listed) = self.listed(session) else {
            return Err(ChatError::NotFound("There is no such conversation.".to_owned()));
        };
        Ok((self.backend(Some(&listed.backend))?, listed.info))
    }

    /// The open backend; `owner`: the plugin it has to be.
    pub(super) fn backend(&self, owner: Option<&str>) -> Result<Arc<dyn ChatBackend>, ChatError> {
        let active = self.active.borrow().clone();
        match (active, owner) {
            (Some(active), Some(owner)) if active.plugin != owner => Err(ChatError::Refused(format!(
                "This conversation belongs to {owner}, and {} is running now: it can be read, but not continued.",
                active.plugin
            ))),
            (Some(active), _) if active.open => Ok(active.backend),
            _ => Err(ChatError::Unavailable(self.why_not())),
        }
    }

    fn why_not(&self) -> String {
        let status = self.status.borrow();
        let title = &status.title;
        match &status.phase {
            Phase::Starting { what } => format!("{title} is not up yet: {what}"),
            Phase::Up => format!("{title} is not up yet."),
            Phase::Reconnecting { why } => format!("{title} is away and will be back: {why}"),
            Phase::Failed { why, hint } => {
                format!(
                    "{title} is not running: {why}{}",
                    hint.as_ref().map(|h| format!(" {h}")).unwrap_or_default()
                )
            }
        }
    }
}
