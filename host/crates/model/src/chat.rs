//! A conversation as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

mod answer;

pub use answer::Answer;

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

/// `SessionInfo` describes a session: a conversation with the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// `id` is the one that the backend gave it.
    pub id: SessionId,
    /// `workspace` is the absolute path of the project directory.
    pub workspace: String,
    /// `parent` is the session whose sub-agent this one is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent: Option<SessionId>,
    /// `title` is what the agent or the owner calls it; it may be empty.
    pub title: String,
    /// `created_at` is in milliseconds since the Unix epoch.
    pub created_at: Millis,
    /// `updated_at` is in milliseconds since the Unix epoch.
    pub updated_at: Millis,
    /// `archived`: its owner put it away; it can still be read and continued. Absent: it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

/// A listed session is a root session: those of sub-agents are not in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedSession)]
pub struct Root {
    /// `info` describes it.
    #[serde(flatten)]
    pub info: SessionInfo,
    /// `backend` is the name of the chat plugin it is of. While another one runs it can be read, not continued.
    pub backend: String,
}

/// `Role` says who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `User`: its text is a prompt.
    User,
    /// `Assistant`: the agent wrote it.
    Assistant,
}

/// `Message` is a message without its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `id` is unique in its session.
    pub id: MessageId,
    /// `role` says who wrote it.
    pub role: Role,
    /// `created_at` is in milliseconds since the Unix epoch.
    pub created_at: Millis,
    /// `completed_at` is in milliseconds since the Unix epoch. Absent: it is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub completed_at: Option<Millis>,
    /// `error` is what went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// `model` is the one that wrote it, as the backend names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<String>,
    /// `client_id` is the one that the prompt was sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<String>,
    /// `interrupted`: the backend ended while it wrote this message, which can be continued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// `waiting` says what a prompt waits for that the backend was not given yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub waiting: Option<Waiting>,
}

/// Tells whether a prompt may have this id: 1 to 128 of `A-Z a-z 0-9 _ -`.
pub fn is_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `Waiting` is what a prompt that the host keeps waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// It waits for the backend, which is asked to take it just now.
    Backend,
    /// It waits for the end of the turn that runs, and is sent then. It can be taken back.
    Turn,
    /// It waits for its owner, who sends it or takes it back.
    Owner {
        /// `reason` is why it was not sent.
        reason: String,
    },
}

/// `LastError` is what went wrong in a session, and the message it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// `text` is what the backend said.
    pub text: String,
    /// `message` is the id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<MessageId>,
}

/// `ToolState` is how far a tool call is. `rejected`: the owner did not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    /// `Pending`: its input is not complete, or it waits for a permission.
    Pending,
    /// `Running`: the tool works.
    Running,
    /// `Completed`: the tool has given its output.
    Completed,
    /// `Failed`: the tool has given an error.
    Failed,
    /// `Rejected`: the owner did not allow it; `error` holds the owner's words, if there were any.
    Rejected,
}

/// `Tool` is a tool call of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// `name` is the tool: `bash`, `edit`.
    pub name: String,
    /// `title` is what it does, in the words of the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    /// `state` is how far the call is.
    pub state: ToolState,
    /// `input` is JSON text, as the backend has it.
    pub input: String,
    /// `output` is what the tool gave, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub output: Option<String>,
    /// `error` is why it failed. Of one that was rejected: what the owner wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// `started_at` is in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub started_at: Option<Millis>,
    /// `ended_at` is in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ended_at: Option<Millis>,
}

/// `Content` is what a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// It is text of the message.
    Text {
        /// `text` is Markdown.
        text: String,
    },
    /// It is what the model thought before it answered.
    Reasoning {
        /// `text` is Markdown.
        text: String,
    },
    /// It is a tool call.
    Tool(Tool),
    /// It is a file.
    Attachment {
        /// `mime` is its media type.
        #[schema(examples("image/png"))]
        mime: String,
        /// `name` is that of the file. Null: it has none.
        #[schema(required)]
        name: Option<String>,
        /// `url` is where it is, as the backend has it.
        url: String,
    },
    /// It is what only the backend knows.
    Other {
        /// `name` is what the backend calls it.
        name: String,
        /// `value` is text, as the backend has it.
        value: String,
    },
}

/// `Part` is a part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// `id` is unique in its message.
    pub id: PartId,
    /// `message` is the id of the message it is of.
    pub message: MessageId,
    /// `revision` grows with each change.
    pub revision: u64,
    /// `closed`: it does not change any more.
    pub closed: bool,
    /// `content` is what it holds now.
    pub content: Content,
}

/// `AgentRequest` is a request of the agent, which waits for the answer: a permission request (answered by `once`,
/// `always` or `reject`), or questions (by `answers` or `reject`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentRequest {
    /// `id` is what an answer names.
    pub id: RequestId,
    /// `requested_by` is the session that made the request: a sub-agent's is not the one in which it is shown.
    pub requested_by: SessionId,
    /// `permission`: it is a permission request, and not questions.
    pub permission: bool,
    /// `subject` is the tool, or what it is about.
    #[schema(examples("bash"))]
    pub subject: String,
    /// `detail` is the command or the path. Characters that hide, reorder or imitate are shown as marks.
    pub detail: String,
    /// `always` is what the answer `always` would allow from then on.
    pub always: Vec<String>,
    /// `details` are what belongs to it beside its detail and its change: the folder a command runs in, where a file is
    /// moved to, where a path really leads. A text that ends in `not shown here⟩` says that something was not seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// `change` is what an edit would do, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub change: Option<String>,
    /// `questions` are empty for a permission, and for what no page of this version can ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// `message` is the id of the message that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
    /// `part` is the id of the tool call that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub part: Option<PartId>,
    /// `created_at` is in milliseconds since the Unix epoch.
    pub created_at: Millis,
}

/// A detail is what belongs to a request of the agent: a name and a text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestDetail)]
#[serde(default)]
pub struct Detail {
    /// `name` says what the text is: `In the folder`.
    #[schema(required)]
    pub name: String,
    /// `text` is a path, or another text of one line.
    #[schema(required)]
    pub text: String,
}

/// `Question` is a question of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Question {
    /// `header` is a few words.
    #[schema(required)]
    pub header: String,
    /// `text` is the question itself.
    #[schema(required)]
    pub text: String,
    /// `choices` are the answers that the agent offers.
    #[schema(required)]
    pub choices: Vec<Choice>,
    /// `multiple`: several of the choices may be taken.
    #[schema(required)]
    pub multiple: bool,
    /// `own`: the owner may answer in words of their own as well.
    #[schema(required)]
    pub own: bool,
}

/// `Choice` is an answer that the agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Choice {
    /// `label` is the answer; it is what is sent back.
    #[schema(required)]
    pub label: String,
    /// `description` says what it means; it may be empty.
    #[schema(required)]
    pub description: String,
}

/// `Turn` is what the agent does in a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Turn {
    /// It waits for a prompt.
    #[default]
    Idle,
    /// It works.
    Running,
    /// The model did not answer, and is asked again.
    Retrying {
        /// `attempt` counts from 1.
        attempt: u32,
        /// `message` is why the model did not answer.
        message: String,
        /// `next_at` is when it is asked again, in milliseconds since the Unix epoch.
        #[schema(required)]
        next_at: Option<Millis>,
    },
    /// The backend went away in the middle of the turn.
    Interrupted,
}

/// `Event` is what can happen in one session; it is what the journal numbers, stores and sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The session is new, or has another title.
    Session {
        /// `info` is the session as it is now.
        info: SessionInfo,
    },
    /// The session was deleted.
    SessionRemoved,
    /// The message is new, or changed.
    Message {
        /// `message` is the message as it is now, without its parts.
        message: Message,
    },
    /// The message was removed.
    MessageRemoved {
        /// `message` is its id.
        message: MessageId,
    },
    /// The part is new, or changed: all of it.
    Part {
        /// `part` is the part as it is now.
        part: Part,
    },
    /// Text was appended to a part.
    Delta {
        /// `part` is the id of the part.
        part: PartId,
        /// `message` is the id of its message.
        message: MessageId,
        /// `revision` is the one of the part from now on.
        revision: u64,
        /// `text` is what was appended.
        text: String,
    },
    /// The part was removed.
    PartRemoved {
        /// `message` is the id of its message.
        message: MessageId,
        /// `part` is its id.
        part: PartId,
    },
    /// The agent waits for an answer.
    Request {
        /// `request` is what the agent asks for.
        request: AgentRequest,
    },
    /// The agent does not wait for this answer any more.
    RequestClosed {
        /// `request` is its id.
        request: RequestId,
    },
    /// The turn began, changed or ended.
    Turn {
        /// `turn` is what the agent does from now on.
        turn: Turn,
    },
    /// Something went wrong.
    Error {
        /// `message` is the id of the message that it is about.
        #[schema(required)]
        message: Option<MessageId>,
        /// `text` is what the backend said.
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
            Self::Tool(t) => t.input.len() + optional(&t.title) + optional(&t.output) + optional(&t.error),
            Self::Attachment { url, .. } => url.len(),
            Self::Other { value, .. } => value.len(),
        }
    }
}

impl AgentRequest {
    /// `size` is the number of bytes of text in it, nearly.
    pub fn size(&self) -> usize {
        let choices = |q: &Question| {
            let each = q.choices.iter().map(|c| c.label.len() + c.description.len());
            each.sum::<usize>()
        };
        let questions = |q: &Question| q.header.len() + q.text.len() + choices(q);
        self.detail.len()
            + optional(&self.change)
            + self.details.iter().map(|d| d.name.len() + d.text.len()).sum::<usize>()
            + self.always.iter().map(String::len).sum::<usize>()
            + self.questions.iter().map(questions).sum::<usize>()
    }
}

impl Event {
    /// `size` is the number of bytes of text in it, nearly: what it costs to keep it waiting.
    pub fn size(&self) -> usize {
        match self {
            Self::Session { info } => info.title.len() + info.workspace.len(),
            Self::Message { message } => optional(&message.error) + optional(&message.model),
            Self::Part { part } => part.content.size(),
            Self::Delta { text, .. } | Self::Error { text, .. } => text.len(),
            Self::Request { request } => request.size(),
            Self::Turn {
                turn: Turn::Retrying { message, .. },
            } => message.len(),
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
    fn what_is_left_out_of_a_request_and_a_session_is_read_and_not_written() {
        let request = r#"{"type":"request","request":{"id":"a","requested_by":"s","permission":true,"subject":"bash","detail":"ls","always":[],"created_at":3}}"#;
        let Event::Request { request: read } = serde_json::from_str(request).unwrap() else {
            panic!("another event");
        };
        assert_eq!((read.change.as_ref(), read.questions.len()), (None, 0));
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
