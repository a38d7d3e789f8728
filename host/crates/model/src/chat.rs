//! A session as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

mod answer;
mod ext;
mod file_change;

pub use answer::Answer;
pub use ext::Ext;
pub use file_change::{ChangeKind, FileChange};

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `SessionId` is a session's id as the backend gave it.
pub type SessionId = String;
/// `MessageId` is a message's id as the backend gave it; that of a prompt which waits in the host is its client id.
pub type MessageId = String;
/// `PartId` is a part's id as the backend gave it, unique in its message.
pub type PartId = String;
/// `RequestId` is the id of a request of the agent, as the backend gave it.
pub type RequestId = String;

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
    /// `ext` has what the backend's plugin says of the session beside all that.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `Feature` is something that not every chat backend has: an optional interface of the contract. What a backend does not have
/// is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `sessions`: the backend holds several sessions. Without it Nexus makes them.
    Sessions,
    /// `history`: the backend keeps the messages. Without it Nexus alone does.
    History,
    /// `questions`: the agent asks questions.
    Questions,
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
            ext: Ext::default(),
        }
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
    Attachment {
        /// `mime` is the media type of the file.
        #[schema(examples("image/png"))]
        mime: String,
        /// `name` is the name of the file. Null: it has none.
        #[schema(required)]
        name: Option<String>,
        /// `size` is the size of the file in bytes. Absent: it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        size: Option<u64>,
    },
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

/// `AgentRequest` is an open request of the agent: a permission request (answered by `once`, `always` or `reject`),
/// questions (answered by `answers` or `reject`), or one of a kind that only the backend knows (answered by `other` or `reject`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentRequest {
    /// `id` is the id with which the request is answered.
    pub id: RequestId,
    /// `requested_by` is the id of the session that made the request. A request of a sub-agent is shown in the session
    /// that started the sub-agent.
    pub requested_by: SessionId,
    /// `permission` is true for a permission request and false for questions.
    pub permission: bool,
    /// `subject` is the tool that the agent wants to use, or the subject of the questions.
    #[schema(examples("bash"))]
    pub subject: String,
    /// `detail` is the command or the path. Characters that are invisible, change the order of the text or imitate
    /// others are replaced by visible marks.
    pub detail: String,
    /// `always` lists the patterns that the answer `always` allows from then on.
    pub always: Vec<String>,
    /// `details` has more facts about the request: the folder in which a command runs, the path to which a file is
    /// moved, the path to which a link leads. A text that ends with `not shown here⟩` is incomplete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// `changes` are what the permission would do to files.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        // 0.1 wrote one diff, as text.
        alias = "change",
        deserialize_with = "file_change::changes"
    )]
    pub changes: Vec<FileChange>,
    /// `questions` is absent for a permission request, and for a request of a kind that only the backend knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// `message` is the id of the message that the request belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// `part` is the id of the part with the tool call that waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub part: Option<PartId>,
    /// `created_at` is the time at which the agent made the request.
    pub created_at: Millis,
    /// `ext` has what the backend's plugin says of the request beside all that: all of it, for a request of a kind that
    /// only the backend knows.
    #[serde(default, skip_serializing_if = "Ext::is_empty")]
    pub ext: Ext,
}

/// `RequestDetail` is a fact about a request of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestDetail)]
#[serde(default)]
pub struct Detail {
    /// `name` is the name of the fact, such as `In the folder`.
    #[schema(required)]
    pub name: String,
    /// `text` is a path or another text of one line.
    #[schema(required)]
    pub text: String,
}

/// `Question` is a question of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Question {
    /// `header` is a short title.
    #[schema(required)]
    pub header: String,
    /// `text` is the question.
    #[schema(required)]
    pub text: String,
    /// `choices` are the answers that the agent offers.
    #[schema(required)]
    pub choices: Vec<Choice>,
    /// `multiple` is true if several choices may be selected.
    #[schema(required)]
    pub multiple: bool,
    /// `allow_custom` is true if the user may also answer with text of their own.
    // 0.1 wrote `own`.
    #[serde(alias = "own")]
    #[schema(required)]
    pub allow_custom: bool,
}

/// `Choice` is an answer that the agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Choice {
    /// `label` is the text of the answer, and the value that is sent back.
    #[schema(required)]
    pub label: String,
    /// `description` explains the answer. It may be empty.
    #[schema(required)]
    pub description: String,
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

/// `Event` is an event of one session. Nexus numbers, stores and sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// `session`: the session is new or has another title.
    Session {
        /// `info` is the session as it is now.
        info: SessionInfo,
    },
    /// `session_removed`: the session was deleted.
    SessionRemoved,
    /// `message`: the message is new or has changed.
    Message {
        /// `message` is the message as it is now, without its parts.
        message: Message,
    },
    /// `message_removed`: the message was removed.
    MessageRemoved {
        /// `message` is the id of the message.
        message: MessageId,
    },
    /// `part`: the part is new or has changed. It replaces the part of the same id.
    Part {
        /// `part` is the part as it is now.
        part: Part,
    },
    /// `delta`: text was appended to a part.
    Delta {
        /// `part` is the id of the part.
        part: PartId,
        /// `message` is the id of the message.
        message: MessageId,
        /// `revision` is the new revision of the part.
        revision: u64,
        /// `text` is the text that was appended.
        text: String,
    },
    /// `part_removed`: the part was removed.
    PartRemoved {
        /// `message` is the id of the message.
        message: MessageId,
        /// `part` is the id of the part.
        part: PartId,
    },
    /// `request`: the agent made a request and waits for the answer.
    Request {
        /// `request` is the request.
        request: AgentRequest,
    },
    /// `request_closed`: the agent does not wait for the answer any more.
    RequestClosed {
        /// `request` is the id of the request.
        request: RequestId,
    },
    /// `turn`: the turn began, changed or ended.
    Turn {
        /// `turn` is what the agent does now.
        turn: Turn,
    },
    /// `todo`: the agent changed its list of what is to be done.
    Todo {
        /// `items` are the whole list.
        items: Vec<TodoItem>,
    },
    /// `changes`: the agent has changed files.
    Changes {
        /// `files` are all that the session has changed, without their diffs.
        files: Vec<FileChange>,
    },
    /// `note`: the backend's plugin reported something that only it has a word for.
    Note {
        /// `ext` is all that it has reported of the session so.
        ext: Ext,
    },
    /// `error`: the backend reported an error.
    Error {
        /// `message` is the id of the message that the error belongs to. Null: it belongs to the session.
        #[schema(required)]
        message: Option<MessageId>,
        /// `text` is the error message that the backend reported.
        text: String,
    },
}

fn optional(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

impl Content {
    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        match self {
            Self::Text { text } | Self::Reasoning { text } => text.len(),
            Self::Tool(t) => {
                let texts = t.input.len() + optional(&t.title) + optional(&t.output) + optional(&t.error);
                texts + file_change::size(&t.changes) + t.ext.size()
            }
            Self::Attachment { name, .. } => optional(name),
            Self::Compacted => 0,
            Self::Other { name, value } => name.len() + ext::size(value),
        }
    }
}

impl Message {
    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        optional(&self.error) + optional(&self.model) + optional(&self.agent) + self.ext.size()
    }
}

impl AgentRequest {
    /// Checks that a request of this kind is answered so.
    ///
    /// # Errors
    /// What the request is answered with, in a sentence.
    pub fn takes(&self, answer: &Answer) -> Result<(), String> {
        let (fits, with) = if self.permission {
            (
                matches!(answer, Answer::Once | Answer::Always | Answer::Reject { .. }),
                "This is a permission request. To fix: answer it with `once`, `always` or `reject`.",
            )
        } else if !self.questions.is_empty() {
            (
                matches!(answer, Answer::Answers { .. } | Answer::Reject { .. }),
                "These are questions. To fix: answer them with `answers` or `reject`.",
            )
        } else {
            (
                matches!(answer, Answer::Other { .. } | Answer::Reject { .. }),
                "This is a request of a kind that only the backend knows. To fix: answer it with `other` or `reject`.",
            )
        };
        fits.then_some(()).ok_or_else(|| with.to_owned())
    }

    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        let choices = |q: &Question| {
            let each = q.choices.iter().map(|c| c.label.len() + c.description.len());
            each.sum::<usize>()
        };
        let questions = |q: &Question| q.header.len() + q.text.len() + choices(q);
        self.detail.len()
            + file_change::size(&self.changes)
            + self.ext.size()
            + self.details.iter().map(|d| d.name.len() + d.text.len()).sum::<usize>()
            + self.always.iter().map(String::len).sum::<usize>()
            + self.questions.iter().map(questions).sum::<usize>()
    }
}

impl Event {
    /// `size` is the number of bytes of text in it, nearly: what it costs to keep it waiting.
    pub fn size(&self) -> usize {
        match self {
            Self::Session { info } => info.title.len() + info.workspace.len() + info.ext.size(),
            Self::Message { message } => message.size(),
            Self::Part { part } => part.content.size(),
            Self::Delta { text, .. } | Self::Error { text, .. } => text.len(),
            Self::Request { request } => request.size(),
            Self::Turn {
                turn: Turn::Retrying { cause, .. },
            } => cause.len(),
            Self::Todo { items } => items.iter().map(TodoItem::size).sum(),
            Self::Changes { files: changed } => file_change::size(changed),
            Self::Note { ext } => ext.size(),
            Self::SessionRemoved
            | Self::MessageRemoved { .. }
            | Self::PartRemoved { .. }
            | Self::RequestClosed { .. }
            | Self::Turn { .. } => 0,
        }
    }
}

/// `SessionEvent` is an event and the session it belongs to, as it comes from a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    /// `session` is the id of the session.
    pub session: SessionId,
    /// `event` is what happened.
    pub event: Event,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_kind_of_its_request() {
        let request = |permission, questions: usize| AgentRequest {
            permission,
            questions: vec![Question::default(); questions],
            ..AgentRequest::default()
        };
        let answers = [
            Answer::Once,
            Answer::Always,
            Answer::Answers { answers: vec![] },
            Answer::Other {
                name: "acme.pin".to_owned(),
                value: serde_json::Value::Null,
            },
            Answer::Reject { message: None },
        ];
        for (request, fitting) in [
            (request(true, 0), [true, true, false, false, true]),
            (request(false, 1), [false, false, true, false, true]),
            (request(false, 0), [false, false, false, true, true]),
        ] {
            let found = answers.each_ref().map(|answer| request.takes(answer).is_ok());
            assert_eq!(found, fitting, "{request:?}");
        }
    }

    #[test]
    fn what_is_left_out_of_a_request_and_a_session_is_read_and_not_written() {
        let request = r#"{"type":"request","request":{"id":"a","requested_by":"s","permission":true,"subject":"bash","detail":"ls","always":[],"created_at":3}}"#;
        let Event::Request { request: read } = serde_json::from_str(request).unwrap() else {
            panic!("another event");
        };
        assert_eq!((read.changes.len(), read.questions.len()), (0, 0));
        assert_eq!(
            serde_json::to_string(&Event::Request { request: read }).unwrap(),
            request
        );
        let info = r#"{"id":"s","workspace":"/w","title":"t","created_at":1,"updated_at":2}"#;
        let read: SessionInfo = serde_json::from_str(info).unwrap();
        assert!(!read.archived);
        assert_eq!(serde_json::to_string(&read).unwrap(), info);
    }
}
