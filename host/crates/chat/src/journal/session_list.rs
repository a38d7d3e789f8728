//! The list of sessions, in the order of their last activity. Held in memory: a few hundred short rows.

use super::session_row::Row;
use super::session_state::SessionState;
use super::tables;
use nexus_model::chat::{Event, Root, SessionId, SessionInfo, Turn};
use nexus_model::time::Millis;
use nexus_store::{Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// `Listed` is a session as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `info` describes the session.
    pub info: SessionInfo,
    /// `backend` is the chat plugin it is of.
    pub backend: String,
}

pub(super) struct List {
    rows: Mutex<HashMap<SessionId, Row>>,
    /// `removed` were deleted, and are not to come back by themselves.
    removed: Mutex<HashSet<SessionId>>,
    /// `roots` are those that are no sub-agent's, the most recently active first.
    roots: watch::Sender<Arc<Vec<Root>>>,
}

impl List {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows: HashMap<_, _> = tables::rows(store)
            .await?
            .into_iter()
            .map(|row| (row.id.clone(), row))
            .collect();
        let roots = watch::Sender::new(Arc::new(roots(&rows)));
        Ok(Self {
            rows: Mutex::new(rows),
            removed: Mutex::new(tables::removed(store).await?),
            roots,
        })
    }

    /// Tells whether an event can change a line.
    pub(super) fn concerns(event: &Event) -> bool {
        match event {
            Event::Session { .. }
            | Event::SessionRemoved
            | Event::Turn { .. }
            | Event::Request { .. }
            | Event::RequestClosed { .. }
            | Event::Message { .. } => true,
            Event::MessageRemoved { .. }
            | Event::Part { .. }
            | Event::Delta { .. }
            | Event::PartRemoved { .. }
            | Event::Todo { .. }
            | Event::Changes { .. }
            | Event::Note { .. }
            | Event::Error { .. } => false,
        }
    }

    /// `activity` is when the session was last active: as its backend says, or as this host saw a turn, a request or a
    /// message. Learning of an old session, or its name, is no activity.
    pub(super) fn activity(&self, session: &str, state: &SessionState, now: Millis) -> Millis {
        let updated = state.info.as_ref().map_or(0, |info| info.updated_at);
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let old = rows.get(session);
        let active = state.turn == Turn::Running && old.is_none_or(|row| row.turn != Turn::Running);
        let before = old.map_or(0, |row| row.activity);
        before.max(updated).max(if active { now } else { 0 })
    }

    pub(super) fn put(&self, mut row: Row) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shows = true;
        if let Some(old) = rows.get(&row.id) {
            row.backend.clone_from(&old.backend);
            shows = old.info != row.info || old.activity != row.activity;
        }
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&row.id);
        rows.insert(row.id.clone(), row);
        if shows {
            self.show(&rows);
        }
    }

    pub(super) fn is_removed(&self, session: &str) -> bool {
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(session)
    }

    pub(super) fn remove(&self, session: &str) {
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.to_owned());
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.remove(session).is_some() {
            self.show(&rows);
        }
    }

    fn show(&self, rows: &HashMap<SessionId, Row>) {
        let now = roots(rows);
        self.roots.send_if_modified(|shown| {
            let changed = **shown != now;
            if changed {
                *shown = Arc::new(now);
            }
            changed
        });
    }

    pub(super) fn roots(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.roots.subscribe()
    }

    pub(super) fn find(&self, session: &str) -> Option<Listed> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(session)?;
        Some(Listed {
            info: row.info.clone()?,
            backend: row.backend.clone(),
        })
    }

    pub(super) fn children(&self, session: &str) -> Vec<SessionId> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = |row: &&Row| row.info.as_ref().and_then(|info| info.parent.as_deref()) == Some(session);
        rows.values().filter(parent).map(|row| row.id.clone()).collect()
    }

    pub(super) fn unfinished(&self) -> Vec<SessionId> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let open = rows.values().filter(|row| row.is_unfinished());
        open.map(|row| row.id.clone()).collect()
    }

    pub(super) fn is_unfinished(&self, session: &str) -> bool {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(session).is_some_and(Row::is_unfinished)
    }

    pub(super) fn running(&self, backend: &str) -> usize {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let of = rows.values().filter(|row| row.backend == backend && row.turn_runs());
        of.count()
    }
}

fn roots(rows: &HashMap<SessionId, Row>) -> Vec<Root> {
    let listed = |row: &Row| {
        let info = row.info.clone().filter(|info| info.parent.is_none())?;
        let backend = row.backend.clone();
        Some((row.activity, Root { info, backend }))
    };
    let mut all: Vec<(Millis, Root)> = rows.values().filter_map(listed).collect();
    all.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.info.id.cmp(&right.info.id)));
    all.into_iter().map(|(_, root)| root).collect()
}
