//! A session, its turn, and what its agent has set itself to do.

use super::ext::Ext;
use super::ids::{MessageId, SessionId};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `SessionInfo` describes a session: one thread of messages with the agent. The pages call it a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// `id` is assigned by the backend.
    pub id: SessionId,
    /// `workspace` is the absolute path of the project folder.
    pub workspace: String,
    /// `parent` is the id of the session that started this one, if this is the session of a sub-agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent: Option<SessionId>,
    /// `title` is set by the agent or the user. It may be empty.
    pub title: String,
    /// `created_at` is the time at which the session was created.
    pub created_at: Millis,
    /// `updated_at` is the time of the last change.
    pub updated_at: Millis,
    /// `archived` is true if the user archived the session. It can still be read and continued. Absent: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// `reverted` is the id of the message from which on everything is taken back. Those messages are not shown; they can be
    /// restored until the next prompt. Absent: nothing is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reverted: Option<MessageId>,
    /// `ext` has what the backend's plugin says of the session beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `ListedSession` is a session in the list. The list has no sessions of sub-agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedSession)]
pub struct Root {
    /// The session; its keys are in the same object.
    #[serde(flatten)]
    pub info: SessionInfo,
    /// `backend` is the name of the chat plugin that the session belongs to. While another backend is active, the
    /// session can be read but not continued.
    pub backend: String,
}

/// `Turn` is what the agent does in a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Turn {
    /// `idle`: no turn is running, and the agent waits for a prompt.
    #[default]
    Idle,
    /// `running`: the agent is working.
    Running,
    /// `retrying`: the model did not answer, and the agent asks it again.
    Retrying {
        /// `attempt` is the number of the next attempt, counted from 1.
        attempt: u32,
        /// `cause` says why the model did not answer.
        cause: String,
        /// `next_at` is the time of the next attempt. Null: it is not known.
        #[schema(required)]
        next_at: Option<Millis>,
    },
    /// `interrupted`: the backend stopped during the turn.
    Interrupted,
}

/// `TodoState` says how far an item of the agent's list is: `pending`, `in_progress`, `completed` or `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// `Pending`: nothing was done for it yet.
    Pending,
    /// `InProgress`: the agent is at it.
    InProgress,
    /// `Completed`: it is done.
    Completed,
    /// `Cancelled`: it will not be done.
    Cancelled,
}

/// `TodoItem` is something that the agent has set itself to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TodoItem {
    /// `text` says what is to be done.
    pub text: String,
    /// `state` says how far it is.
    pub state: TodoState,
}

impl TodoItem {
    /// `size` is about what it costs to hold, in bytes.
    pub fn size(&self) -> usize {
        const EACH: usize = 64;
        EACH + self.text.len()
    }
}
