//! The list of sessions, in the order of their last activity. Held in memory: a few hundred short rows.

use super::disk::{self, Row};
use super::state::SessionState;
use nexus_model::chat::{Event, SessionId, SessionInfo, Turn};
use nexus_model::time::Millis;
use nexus_store::{Store, StoreError};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub info: SessionInfo,
    /// The chat plugin it is of.
    pub backend: String,
    pub turn: Turn,
    /// How many asks wait for an answer.
    pub asks: u32,
    pub activity: Millis,
}

pub(super) struct List {
    rows: Mutex<HashMap<SessionId, Row>>,
    /// Deleted, and not to come back by themselves.
    removed: Mutex<HashSet<SessionId>>,
    shown: watch::Sender<Arc<Vec<Listed>>>,
}

impl List {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows: HashMap<_, _> = disk::rows(store)
            .await?
            .into_iter()
            .map(|row| (row.id.clone(), row))
            .collect();
        let shown = watch::Sender::new(Arc::new(sorted(&rows)));
        Ok(Self {
            rows: Mutex::new(rows),
            removed: Mutex::new(disk::removed(store).await?),
            shown,
        })
    }

    /// Whether an event can change a line.
    pub(super) fn concerns(event: &Event) -> bool {
        match event {
            Event::Session { .. }
            | Event::SessionRemoved
            | Event::Turn { .. }
            | Event::Asked { .. }
            | Event::AskClosed { .. }
            | Event::Message { .. } => true,
            Event::MessageRemoved { .. }
            | Event::Part { .. }
            | Event::Delta { .. }
            | Event::PartRemoved { .. }
            | Event::Error { .. } => false,
        }
    }

    /// When the session was last active: as its backend says, or as this host saw a turn, an ask or a message.
    /// Learning of an old session, or its name, is no activity.
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
        if let Some(old) = rows.get(&row.id) {
            row.backend.clone_from(&old.backend);
            if *old == row {
                return;
            }
        }
        self.removed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&row.id);
        rows.insert(row.id.clone(), row);
        self.shown.send_replace(Arc::new(sorted(&rows)));
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
            self.shown.send_replace(Arc::new(sorted(&rows)));
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        self.shown.subscribe()
    }

    pub(super) fn unfinished(&self) -> Vec<SessionId> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |row: &&Row| matches!(row.turn, Turn::Running | Turn::Retrying { .. }) || row.asks > 0;
        rows.values().filter(open).map(|row| row.id.clone()).collect()
    }
}

fn sorted(rows: &HashMap<SessionId, Row>) -> Vec<Listed> {
    let mut list: Vec<Listed> = rows
        .values()
        .filter_map(|row| {
            Some(Listed {
                info: row.info.clone()?,
                backend: row.backend.clone(),
                turn: row.turn.clone(),
                asks: row.asks,
                activity: row.activity,
            })
        })
        .collect();
    list.sort_by(|a, b| b.activity.cmp(&a.activity).then_with(|| a.info.id.cmp(&b.info.id)));
    list
}
