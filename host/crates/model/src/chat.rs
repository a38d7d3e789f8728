//! A conversation as the host stores and shows it. JSON: `snake_case` names, variants tagged by `type`.

use crate::limits;
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
    /// Put away by its owner; it can still be read and continued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
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

/// Whether a prompt may have this id: 1 to 128 of `A-Z a-z 0-9 _ -`.
pub fn is_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
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
pub struct LastError {
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
    /// The owner did not allow it; `error` holds the owner's words, if there were any.
    Rejected,
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

/// The agent waits for its owner: a permission (answered by once, always or reject), or questions (by answers or reject).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ask {
    pub id: AskId,
    pub asked_by: SessionId,
    pub permission: bool,
    pub subject: String,
    pub detail: String,
    pub always: Vec<String>,
    /// What belongs to it beside its detail and its change: the folder a command runs in, where a file is moved to, where a
    /// path really leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// What an edit would do, as a unified diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Empty for a permission, and for what no page of this version can ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartId>,
    pub created_at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    pub name: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    pub header: String,
    pub text: String,
    pub choices: Vec<Choice>,
    /// Several of the choices may be taken.
    pub multiple: bool,
    /// Words of one's own may be given as well.
    pub own: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    pub label: String,
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    Once,
    Always,
    Reject {
        message: Option<String>,
    },
    /// To questions: for each of them the labels that were chosen, and words of one's own.
    Answers {
        answers: Vec<Vec<String>>,
    },
}

impl Answer {
    /// # Errors
    /// What is more than an answer may hold, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        let words = |text: &String| match text.len() {
            n if n <= limits::ANSWER_WORDS => Ok(()),
            n => Err(format!(
                "An answer of {n} bytes is too long: {} are possible. To fix: answer in fewer words, and send the rest as a message.",
                limits::ANSWER_WORDS
            )),
        };
        let few = |what: &str, n: usize, most: usize| match n {
            n if n <= most => Ok(()),
            n => Err(format!("These are {n} {what}, and at most {most} are possible.")),
        };
        match self {
            Self::Once | Self::Always => Ok(()),
            Self::Reject { message } => message.iter().try_for_each(words),
            Self::Answers { answers } => {
                few("answers", answers.len(), limits::ASK_QUESTIONS)?;
                answers.iter().try_for_each(|chosen| {
                    few("choices of one question", chosen.len(), limits::ASK_CHOICES + 1)?;
                    chosen.iter().try_for_each(words)
                })
            }
        }
    }
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

impl Ask {
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
            Self::Asked { ask } => ask.size(),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_of_0_1_0_holds_is_still_read() {
        let ask = r#"{"type":"asked","ask":{"id":"a","asked_by":"s","permission":true,"subject":"bash","detail":"ls","always":[],"created_at":3}}"#;
        let Event::Asked { ask: read } = serde_json::from_str(ask).unwrap() else {
            panic!("another event");
        };
        assert_eq!((read.change.as_ref(), read.questions.len()), (None, 0));
        assert_eq!(serde_json::to_string(&Event::Asked { ask: read }).unwrap(), ask);
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
            answers(vec![vec![]; limits::ASK_QUESTIONS + 1])
                .unwrap_err()
                .contains("answers")
        );
        let many = vec![String::new(); limits::ASK_CHOICES + 2];
        assert!(answers(vec![many]).unwrap_err().contains("choices"));
        let long = "x".repeat(limits::ANSWER_WORDS + 1);
        assert!(answers(vec![vec![long.clone()]]).unwrap_err().contains("too long"));
        assert!(Answer::Reject { message: Some(long) }.check().is_err());
    }
}
