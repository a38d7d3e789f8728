//! The row of a session in the database.

use super::session_state::SessionState;
use nexus_model::chat::{SessionInfo, Turn};
use nexus_model::time::Millis;

/// What of a session is in the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub id: String,
    pub backend: String,
    pub info: Option<SessionInfo>,
    pub turn: Turn,
    pub requests: u32,
    pub activity: Millis,
}

impl Row {
    pub(super) fn of(id: &str, backend: &str, state: &SessionState, activity: Millis) -> Self {
        Self {
            id: id.to_owned(),
            backend: backend.to_owned(),
            info: state.info.clone(),
            turn: state.turn.clone(),
            requests: u32::try_from(state.requests.len()).unwrap_or(u32::MAX),
            activity,
        }
    }

    pub(super) fn turn_runs(&self) -> bool {
        matches!(self.turn, Turn::Running | Turn::Retrying { .. })
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.turn_runs() || self.requests > 0
    }
}
