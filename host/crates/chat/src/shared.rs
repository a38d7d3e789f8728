//! What the pump, the switch and the callers have in common.

use super::Parts;
use super::local::Local;
use super::port::{JournalPort, Listed};
use super::queue::Queue;
use super::status::{ChatError, ChatStatus, Phase};
use super::switch::Backend;
use nexus_model::activity::{Activity, Tone};
use nexus_model::chat::{SessionId, SessionInfo};
use nexus_model::limits;
use nexus_model::time::Clock;
use nexus_plugin_traits::ChatBackend;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// One prompt at a time goes through it.
type Gate = tokio::sync::Mutex<()>;

/// The backend that is running.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) plugin: String,
    pub(super) backend: Arc<dyn ChatBackend>,
    /// Its connection is open: calls make sense.
    pub(super) open: bool,
    /// What somebody looks at, to be brought up to date.
    pub(super) wake: mpsc::UnboundedSender<Wake>,
}

pub(super) enum Wake {
    /// The sender is dropped when the session was read.
    Session(SessionId, oneshot::Sender<()>),
    List,
}

/// Titles that people chose a short while ago.
type Renamed = HashMap<SessionId, (String, Instant)>;

pub(super) struct Shared {
    pub(super) journal: Arc<dyn JournalPort>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Sender<ChatStatus>,
    pub(super) active: watch::Sender<Option<Active>>,
    /// The backend that is wanted; another one once it was swapped.
    primary: Mutex<Backend>,
    /// The backend is about to change: prompts wait.
    pub(super) held: watch::Sender<bool>,
    activity: Arc<dyn Activity>,
    /// Look for the backend's program now.
    pub(super) look: tokio::sync::Notify,
    /// Prompts (session, client id) that the journal shows and the backend has not shown yet. Held while such a message
    /// is written, so that one that was just replaced is not written again.
    pub(super) local: tokio::sync::Mutex<Local>,
    pub(super) queue: Queue,
    renamed: Mutex<Renamed>,
    /// Sessions that were created, by the request that asked for it.
    pub(super) created: tokio::sync::Mutex<VecDeque<(String, SessionInfo)>>,
    gates: Mutex<HashMap<(SessionId, String), Weak<Gate>>>,
}

impl Shared {
    pub(super) fn new(primary: Backend, parts: Parts, status: ChatStatus) -> Self {
        let Parts {
            journal,
            clock,
            activity,
            ..
        } = parts;
        Self {
            primary: Mutex::new(primary),
            held: watch::Sender::new(false),
            activity,
            journal,
            clock,
            status: watch::Sender::new(status),
            active: watch::Sender::new(None),
            look: tokio::sync::Notify::new(),
            local: tokio::sync::Mutex::default(),
            queue: Queue::default(),
            renamed: Mutex::default(),
            created: tokio::sync::Mutex::default(),
            gates: Mutex::default(),
        }
    }

    /// So that the same prompt, sent twice at once, is asked for one after the other.
    pub(super) fn prompt_gate(&self, session: &str, client_id: &str) -> Arc<Gate> {
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

    /// A person named it.
    pub(super) fn named(&self, session: &str, title: &str) {
        let mut renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.retain(|_, (_, at)| at.elapsed() < limits::RENAME_KEPT);
        renamed.insert(session.to_owned(), (title.to_owned(), Instant::now()));
    }

    /// The title that a person chose, where the backend comes with another one that was made meanwhile.
    pub(super) fn chosen_title(&self, info: &SessionInfo) -> Option<String> {
        let renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner);
        let (title, at) = renamed.get(&info.id)?;
        (at.elapsed() < limits::RENAME_KEPT && *title != info.title).then(|| title.clone())
    }

    pub(super) fn primary(&self) -> Backend {
        self.primary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one that is connected: the primary, or the example that stands in for it.
    pub(super) fn shown(&self) -> Backend {
        let active = self.active.borrow().clone();
        active.map_or_else(
            || self.primary(),
            |active| Backend {
                plugin: active.plugin,
                backend: active.backend,
            },
        )
    }

    pub(super) fn set_primary(&self, next: Backend) {
        *self.primary.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    pub(super) fn note(&self, tone: Tone, text: &str) {
        tracing::info!(plugin = self.primary().plugin, "{text}");
        self.activity.note("chat", tone, text);
    }

    pub(super) fn listed(&self, session: &str) -> Option<Listed> {
        self.journal.find(session)
    }

    /// The sub-agents of a session, and theirs.
    pub(super) fn descendants(&self, session: &str) -> Vec<SessionId> {
        let mut found: Vec<SessionId> = vec![session.to_owned()];
        let mut at = 0;
        while let Some(parent) = found.get(at) {
            for child in self.journal.children(parent) {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
            at += 1;
        }
        found.split_off(1)
    }

    pub(super) fn phase(&self, phase: Phase) {
        let mut happened = None;
        self.status.send_if_modified(|status| {
            let changed = status.phase != phase;
            let same = std::mem::discriminant(&status.phase) == std::mem::discriminant(&phase);
            happened = Some((status.title.clone(), phase.clone())).filter(|_| changed && !same);
            status.phase = phase;
            changed
        });
        match happened {
            Some((title, Phase::Reconnecting { why })) => self.note(Tone::Busy, &format!("{title} is away: {why}")),
            Some((title, Phase::Up)) => self.note(Tone::Good, &format!("{title} is up")),
            Some((title, Phase::Failed { why, .. })) => self.note(Tone::Bad, &format!("{title} does not run: {why}")),
            _ => {}
        }
    }

    /// The open backend of a session, and the session as that backend knows it.
    pub(super) fn target(&self, session: &str) -> Result<(Arc<dyn ChatBackend>, SessionInfo), ChatError> {
        let Some(listed) = self.listed(session) else {
            return Err(ChatError::NotFound("There is no such conversation.".to_owned()));
        };
        Ok((self.backend(Some(&listed.backend))?.1, listed.info))
    }

    /// The open backend and its plugin; `owner`: the plugin it has to be.
    pub(super) fn backend(&self, owner: Option<&str>) -> Result<(String, Arc<dyn ChatBackend>), ChatError> {
        let active = self.active.borrow().clone();
        match (active, owner) {
            (Some(active), Some(owner)) if active.plugin != owner => Err(ChatError::Refused(format!(
                "This conversation belongs to {owner}, and {} is running now: it can be read, but not continued.",
                active.plugin
            ))),
            (Some(active), _) if active.open => Ok((active.plugin, active.backend)),
            _ => Err(ChatError::Unavailable(self.why_not())),
        }
    }

    fn why_not(&self) -> String {
        let status = self.status.borrow();
        let title = &status.title;
        match &status.phase {
            Phase::Starting { what } => format!("{title} is not up yet: {what}"),
            Phase::Up => format!("{title} is not up yet."),
            Phase::Stopped => format!("{title} was stopped, and can be started on the status page."),
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
