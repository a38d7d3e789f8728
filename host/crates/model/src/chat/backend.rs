//! What a backend reports as a whole: a session, a connection, what became of a prompt.

use super::ids::{MessageId, SessionId};
use super::message::{Message, Part};
use super::request::AgentRequest;
use super::session::{SessionInfo, Turn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `LastError` is the last error in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// `text` is the error message that the backend reported.
    pub text: String,
    /// `message` is the id of the message that the error belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<MessageId>,
}

/// `Snapshot` is a session as the backend has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// `info` describes the session.
    pub info: SessionInfo,
    /// `messages` have the oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    /// `turn` is what the agent does in it.
    pub turn: Turn,
    /// `requests` wait for an answer.
    pub requests: Vec<AgentRequest>,
    /// `before` is what a backend has to be given for the messages before these; `None`: there are none.
    pub before: Option<String>,
}

/// `BackendConnection` is the state of a backend when the connection to it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConnection {
    /// `id` names the connection: it is another one when the backend may have forgotten something.
    pub id: String,
    /// `version` is that of the backend's program.
    pub version: String,
    /// `running` are the sessions that are not idle.
    pub running: Vec<(SessionId, Turn)>,
    /// `requests` wait for an answer, each with the session in which it is shown.
    pub requests: Vec<(SessionId, AgentRequest)>,
}

/// `Admission` is what a backend says to a prompt, long before the agent's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// `Admitted`: the backend has the prompt; the agent's answer comes as events.
    Admitted,
    /// `Duplicate`: the backend had a prompt with this client id already, and nothing was sent.
    Duplicate,
    /// `Unknown`: whether the backend has the prompt could not be found out. It is sent again with the same client id.
    Unknown(String),
    /// `Refused`: the backend does not take it; sending it again gives the same answer. The text is the backend's.
    Refused(String),
    /// `ConsentNeeded`: the owner must agree first; then the prompt is sent again with the consent's id.
    ConsentNeeded {
        /// `id` names the consent.
        id: String,
        /// `text` says what will happen if the owner agrees.
        text: String,
    },
}
