//! A conversation as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A session's id as the backend gave it.
pub type SessionId = String;
pub type MessageId = String;
pub type PartId = String;
pub type AskId = String;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    pub id: SessionId,
    /// Absolute path of the project directory.
    pub workspace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
    pub title: String,
    pub created_at: Millis,
    pub updated_at: Millis,
}

/// A session of the list: no sub-agent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    #[serde(flatten)]
    pub info: SessionInfo,
    /// The chat plugin it is of. While another one runs it can be read, not continued.
    pub backend: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub role: Role,
    pub created_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The backend died while this message was being written; it can be continued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// A prompt that the backend was not given yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// What a prompt that the host keeps waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// The backend, which is asked to take it just now.
    Backend,
    /// The end of the turn that runs; it is sent then. It can be taken back.
    Turn,
    /// Its owner, who sends it or takes it back; why it was not sent.
    Owner { reason: String },
}

/// What went wrong in a session, and the message it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    Pending,
    Running,
    Completed,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub state: ToolState,
    /// JSON text, as the backend has it.
    pub input: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Millis>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    Text {
        text: String,
    },
    Reasoning {
        text: String,
    },
    Tool(Tool),
    Attachment {
        mime: String,
        name: Option<String>,
        url: String,
    },
    Other {
        name: String,
        value: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub id: PartId,
    pub message: MessageId,
    pub revision: u64,
    pub closed: bool,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    pub asked_by: SessionId,
    /// A permission; otherwise the page can only point to the backend's own client.
    pub permission: bool,
    pub subject: String,
    pub detail: String,
    pub always: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartId>,
    pub created_at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    Once,
    Always,
    Reject { message: Option<String> },
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Turn {
    #[default]
    Idle,
    Running,
    Retrying {
        attempt: u32,
        message: String,
        next_at: Option<Millis>,
    },
    /// The backend went away in the middle of the turn.
    Interrupted,
}

/// What can happen in one session; what the journal numbers, stores and sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Session {
        info: SessionInfo,
    },
    SessionRemoved,
    Message {
        message: Message,
    },
    MessageRemoved {
        message: MessageId,
    },
    Part {
        part: Part,
    },
    Delta {
        part: PartId,
        message: MessageId,
        revision: u64,
        text: String,
    },
    PartRemoved {
        message: MessageId,
        part: PartId,
    },
    Asked {
        ask: Ask,
    },
    AskClosed {
        ask: AskId,
    },
    Turn {
        turn: Turn,
    },
    Error {
        message: Option<MessageId>,
        text: String,
    },
}

impl Event {
    /// Bytes of text in it, nearly: what it costs to keep it waiting.
    pub fn size(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Session { info } => info.title.len() + info.workspace.len(),
            Self::Message { message } => optional(&message.error) + optional(&message.model),
            Self::Part { part } => match &part.content {
                Content::Text { text } | Content::Reasoning { text } => text.len(),
                Content::Tool(t) => t.input.len() + optional(&t.title) + optional(&t.output) + optional(&t.error),
                Content::Attachment { url, .. } => url.len(),
                Content::Other { value, .. } => value.len(),
            },
            Self::Delta { text, .. } | Self::Error { text, .. } => text.len(),
            Self::Asked { ask } => ask.detail.len() + ask.always.iter().map(String::len).sum::<usize>(),
            Self::Turn {
                turn: Turn::Retrying { message, .. },
            } => message.len(),
            Self::SessionRemoved
            | Self::MessageRemoved { .. }
            | Self::PartRemoved { .. }
            | Self::AskClosed { .. }
            | Self::Turn { .. } => 0,
        }
    }
}

/// An event and the session it belongs to, as it comes from a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    pub session: SessionId,
    pub event: Event,
}

/// A session as the backend has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub info: SessionInfo,
    /// The oldest first.
    pub messages: Vec<(Message, Vec<Part>)>,
    pub turn: Turn,
    pub asks: Vec<Ask>,
    pub before: Option<String>,
}

/// What holds when the connection to a backend opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    pub id: String,
    pub version: String,
    pub running: Vec<(SessionId, Turn)>,
    pub asks: Vec<(SessionId, Ask)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Duplicate,
    Unknown(String),
    Refused(String),
    ConsentNeeded { id: String, text: String },
}
