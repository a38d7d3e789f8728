//! A message and its parts.

use super::choices::PromptOptions;
use super::ext::Ext;
use super::file_change::FileChange;
use super::files::Attachment;
use super::ids::{MessageId, PartId, SessionId};
use super::{ext, file_change};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Role` is the author of a message: `user` (a prompt), `assistant` (the agent) or `system` (the backend: a notice, or a
/// summary of earlier messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `User`: its text is a prompt.
    User,
    /// `Assistant`: the agent wrote it.
    Assistant,
    /// `System`: the backend wrote it.
    System,
}

/// `Usage` is what an answer of the model took, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// `input` were read, those of a cache not included.
    pub input: u64,
    /// `output` were written, reasoning not included.
    pub output: u64,
    /// `reasoning` were written before the answer.
    pub reasoning: u64,
    /// `cache_read` were read from the provider's cache.
    pub cache_read: u64,
    /// `cache_write` were written to the provider's cache.
    pub cache_write: u64,
    /// `cost` is in US dollars, as the backend states it. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cost: Option<f64>,
}

/// What a backend says of a cost is a number: `NaN` is none.
impl Eq for Usage {}

/// `Message` is a message without its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `id` is unique in its session.
    pub id: MessageId,
    /// `role` is the author of the message.
    pub role: Role,
    /// `created_at` is the time at which the message was created.
    pub created_at: Millis,
    /// `completed_at` is the time at which the message was completed. Absent: it is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed_at: Option<Millis>,
    /// `error` is the error message that the backend reported for this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// `model` is the model that wrote the message, as the backend names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// `agent` is the agent, or mode, that wrote the message, where the backend has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<String>,
    /// `usage` is what the answer took. Absent: it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
    /// `client_id` is the id with which the client sent the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<String>,
    /// `interrupted` is true if the backend stopped before the message was complete. The message can be continued.
    /// Absent: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// `waiting` says what a prompt waits for that the backend does not have yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub waiting: Option<Waiting>,
    /// `options` are what a prompt is sent with that only Nexus has.
    #[serde(default, skip_serializing_if = "PromptOptions::is_empty")]
    pub options: PromptOptions,
    /// `ext` has what the backend's plugin says of the message beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

impl Message {
    /// `new` is a message of which nothing else is known.
    pub fn new(id: MessageId, role: Role, created_at: Millis) -> Self {
        Self {
            id,
            role,
            created_at,
            completed_at: None,
            error: None,
            model: None,
            agent: None,
            usage: None,
            client_id: None,
            interrupted: false,
            waiting: None,
            options: PromptOptions::default(),
            ext: Ext::default(),
        }
    }
}

impl Message {
    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        optional(&self.error) + optional(&self.model) + optional(&self.agent) + self.ext.size()
    }
}

/// Tells whether a prompt may have this id: 1 to 128 of `A-Z a-z 0-9 _ -`.
pub fn is_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `Waiting` is what a prompt waits for that the backend does not have yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Waiting {
    /// `backend`: the prompt is being sent to the backend.
    Backend,
    /// `turn`: the prompt is sent when the running turn has ended. It can be taken back.
    Turn,
    /// `owner`: the prompt could not be sent. The user sends it again or takes it back.
    Owner {
        /// `cause` says why the prompt was not sent.
        cause: String,
        /// `fix` says how to fix it. Absent: no fix is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        fix: Option<String>,
    },
}

/// `ToolState` is the state of a tool call: `pending` (its input is not complete, or it waits for a permission),
/// `running`, `completed`, `failed` (the tool reported an error) or `rejected` (the user did not allow it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    /// `Pending`: its input is not complete, or it waits for a permission.
    #[default]
    Pending,
    /// `Running`: the tool works.
    Running,
    /// `Completed`: the tool has given its output.
    Completed,
    /// `Failed`: the tool has given an error.
    Failed,
    /// `Rejected`: the user did not allow it; `error` holds the user's text, if there was any.
    Rejected,
}

/// `Tool` is a tool call of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// `name` is the name of the tool, such as `bash` or `edit`.
    pub name: String,
    /// `title` is a short description of the call, as the backend gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    /// `state` is the state of the call.
    pub state: ToolState,
    /// `input` is the input of the tool as JSON text.
    pub input: String,
    /// `output` is the output of the tool as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output: Option<String>,
    /// `error` is the error message that the tool reported. In the state `rejected` it is the text that the user wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// `started_at` is the time at which the tool started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub started_at: Option<Millis>,
    /// `ended_at` is the time at which the tool ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ended_at: Option<Millis>,
    /// `changes` are what the call did to files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FileChange>,
    /// `attachments` are the files of its output, such as an image that it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// `child` is the id of the session of the sub-agent that the call started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub child: Option<SessionId>,
    /// `ext` has what the backend's plugin says of the call beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `Content` is the content of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// `text` is text of the message.
    Text {
        /// `text` is Markdown.
        text: String,
    },
    /// `reasoning` is the text that the model produced before its answer.
    Reasoning {
        /// `text` is Markdown.
        text: String,
    },
    /// `tool` is a tool call.
    Tool(Tool),
    /// `attachment` is a file.
    Attachment(Attachment),
    /// `compacted` marks that the model has only a summary of the messages before it.
    Compacted,
    /// `other` is content of a kind that only the backend knows.
    Other {
        /// `name` is the kind, as the backend names it.
        name: String,
        /// `value` is the content.
        value: serde_json::Value,
    },
}

impl Content {
    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        match self {
            Self::Text { text } | Self::Reasoning { text } => text.len(),
            Self::Tool(t) => {
                let texts = t.input.len() + optional(&t.title) + optional(&t.output) + optional(&t.error);
                let files = t.attachments.iter().map(Attachment::text_bytes).sum::<usize>();
                texts + files + file_change::size(&t.changes) + t.ext.size()
            }
            Self::Attachment(attachment) => attachment.text_bytes(),
            Self::Compacted => 0,
            Self::Other { name, value } => name.len() + ext::size(value),
        }
    }
}

fn optional(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

/// `Part` is a part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// `id` is unique in its message.
    pub id: PartId,
    /// `message` is the id of the message that the part belongs to.
    pub message: MessageId,
    /// `revision` increases with each change.
    pub revision: u64,
    /// `closed` is true if the part does not change any more.
    pub closed: bool,
    /// `content` is the content of the part as of this revision.
    pub content: Content,
}
