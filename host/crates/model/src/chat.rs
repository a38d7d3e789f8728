//! A conversation as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

use crate::limits;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, Object, Type};

/// A session's id as the backend gave it.
pub type SessionId = String;
pub type MessageId = String;
pub type PartId = String;
pub type RequestId = String;

/// A session: a conversation with the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    pub id: SessionId,
    /// `workspace` is the absolute path of the project directory.
    pub workspace: String,
    /// `parent` is the session whose sub-agent this one is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent: Option<SessionId>,
    pub title: String,
    /// `created_at` is in milliseconds since the Unix epoch.
    pub created_at: Millis,
    /// `updated_at` is in milliseconds since the Unix epoch.
    pub updated_at: Millis,
    /// `archived`: its owner put it away; it can still be read and continued. Absent: it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

/// A session of the list. Those of sub-agents are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedSession)]
pub struct Root {
    #[serde(flatten)]
    pub info: SessionInfo,
    /// `backend` is the name of the chat plugin it is of. While another one runs it can be read, not continued.
    pub backend: String,
}

/// Who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
}

/// A message without its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: MessageId,
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

/// Whether a prompt may have this id: 1 to 128 of `A-Z a-z 0-9 _ -`.
pub fn is_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// What a prompt that the host keeps waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// The backend, which is asked to take it just now.
    Backend,
    /// The end of the turn that runs; it is sent then. It can be taken back.
    Turn,
    /// Its owner, who sends it or takes it back.
    Owner {
        /// `reason` is why it was not sent.
        reason: String,
    },
}

/// What went wrong in a session, and the message it was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    pub text: String,
    /// `message` is the id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<MessageId>,
}

/// How far a tool call is. `rejected`: the owner did not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    Pending,
    Running,
    Completed,
    Failed,
    /// The owner did not allow it; `error` holds the owner's words, if there were any.
    Rejected,
}

/// A tool call of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    pub name: String,
    /// `title` is what it does, in the words of the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub title: Option<String>,
    pub state: ToolState,
    /// `input` is JSON text, as the backend has it.
    pub input: String,
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

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text of the message.
    Text {
        /// `text` is Markdown.
        text: String,
    },
    /// What the model thought before it answered.
    Reasoning {
        /// `text` is Markdown.
        text: String,
    },
    /// A tool call.
    Tool(Tool),
    /// A file.
    Attachment {
        /// `mime` is its media type.
        #[schema(examples("image/png"))]
        mime: String,
        #[schema(required)]
        name: Option<String>,
        /// `url` is where it is, as the backend has it.
        url: String,
    },
    /// What only the backend knows.
    Other {
        /// `name` is what the backend calls it.
        name: String,
        /// `value` is text, as the backend has it.
        value: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    pub id: PartId,
    /// `message` is the id of the message it is of.
    pub message: MessageId,
    /// `revision` grows with each change.
    pub revision: u64,
    /// `closed`: it does not change any more.
    pub closed: bool,
    pub content: Content,
}

/// A request of the agent, which waits for the answer: a permission request (answered by `once`, `always` or `reject`),
/// or questions (by `answers` or `reject`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AgentRequest {
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

/// What belongs to a request of the agent: a name and a text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestDetail)]
#[serde(default)]
pub struct Detail {
    #[schema(required)]
    pub name: String,
    #[schema(required)]
    pub text: String,
}

/// A question of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Question {
    /// `header` is a few words.
    #[schema(required)]
    pub header: String,
    #[schema(required)]
    pub text: String,
    #[schema(required)]
    pub choices: Vec<Choice>,
    /// `multiple`: several of the choices may be taken.
    #[schema(required)]
    pub multiple: bool,
    /// `own`: the owner may answer in words of their own as well.
    #[schema(required)]
    pub own: bool,
}

/// An answer that the agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Choice {
    #[schema(required)]
    pub label: String,
    #[schema(required)]
    pub description: String,
}

/// The answer to a request of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(examples(json!({"type": "reject", "message": "Use the staging database."})))]
pub enum Answer {
    /// Allow it this time.
    Once,
    /// Allow it, and what its `always` lists from then on.
    Always,
    /// Do not allow it, or do not answer the questions.
    Reject {
        /// `message` tells the agent why: at most 64 KiB.
        message: Option<String>,
    },
    /// The answers to questions.
    Answers {
        /// `answers` has for each question the labels that were chosen, and what the owner wrote.
        #[schema(schema_with = answers)]
        answers: Vec<Vec<String>>,
    },
}

/// The bounds of [`Answer::check`].
fn answers() -> Array {
    let text = Object::builder()
        .schema_type(Type::String)
        .max_length(Some(limits::ANSWER_WORDS));
    let chosen = Array::builder()
        .items(text)
        .max_items(Some(limits::REQUEST_CHOICES + 1));
    Array::builder()
        .items(chosen)
        .max_items(Some(limits::REQUEST_QUESTIONS))
        .description(Some(
            "`answers` has for each question the labels that were chosen, and what the owner wrote: at most 64 KiB each.",
        ))
        .build()
}

impl Answer {
    /// # Errors
    /// What is more than an answer may hold, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let words = |text: &String| match text.len() {
            n if n <= limits::ANSWER_WORDS => Ok(()),
            n => Err(format!(
                "The answer is too long: {n} bytes, the limit is {}. To fix: shorten the answer and send the rest as \
                 a message.",
                limits::ANSWER_WORDS
            )),
        };
        let few = |what: &str, n: usize, most: usize| match n {
            n if n <= most => Ok(()),
            n => Err(format!("There are {n} {what}, but at most {most} are allowed.")),
        };
        match self {
            Self::Once | Self::Always => Ok(()),
            Self::Reject { message } => message.iter().try_for_each(words),
            Self::Answers { answers } => {
                few("answers", answers.len(), limits::REQUEST_QUESTIONS)?;
                answers.iter().try_for_each(|chosen| {
                    few("choices of one question", chosen.len(), limits::REQUEST_CHOICES + 1)?;
                    chosen.iter().try_for_each(words)
                })
            }
        }
    }
}

/// What the agent does in a session.
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

/// What can happen in one session; what the journal numbers, stores and sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The session is new, or has another title.
    Session { info: SessionInfo },
    /// The session was deleted.
    SessionRemoved,
    /// The message is new, or changed.
    Message { message: Message },
    /// The message was removed.
    MessageRemoved {
        /// `message` is its id.
        message: MessageId,
    },
    /// The part is new, or changed: all of it.
    Part { part: Part },
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
    Request { request: AgentRequest },
    /// The agent does not wait for this answer any more.
    RequestClosed {
        /// `request` is its id.
        request: RequestId,
    },
    /// The turn began, changed or ended.
    Turn { turn: Turn },
    /// Something went wrong.
    Error {
        /// `message` is the id of the message that it is about.
        #[schema(required)]
        message: Option<MessageId>,
        text: String,
    },
}

fn optional(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

impl Content {
    /// Bytes of text in it, nearly.
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
    /// Bytes of text in it, nearly.
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
    /// Bytes of text in it, nearly: what it costs to keep it waiting.
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
    pub requests: Vec<AgentRequest>,
    pub before: Option<String>,
}

/// The state of a backend when the connection to it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendConnection {
    /// The connection id: another one when the backend may have forgotten something.
    pub id: String,
    pub version: String,
    pub running: Vec<(SessionId, Turn)>,
    pub requests: Vec<(SessionId, AgentRequest)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    Duplicate,
    Unknown(String),
    Refused(String),
    ConsentNeeded { id: String, text: String },
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

    #[test]
    fn an_answer_has_bounds() {
        let answers = |answers| Answer::Answers { answers }.check();
        assert_eq!(answers(vec![vec!["Blue".to_owned()], vec![]]), Ok(()));
        assert!(
            answers(vec![vec![]; limits::REQUEST_QUESTIONS + 1])
                .unwrap_err()
                .contains("answers")
        );
        let many = vec![String::new(); limits::REQUEST_CHOICES + 2];
        assert!(answers(vec![many]).unwrap_err().contains("choices"));
        let long = "x".repeat(limits::ANSWER_WORDS + 1);
        assert!(answers(vec![vec![long.clone()]]).unwrap_err().contains("too long"));
        assert!(Answer::Reject { message: Some(long) }.check().is_err());
    }
}
