//! What happens in a session.

use super::ext::Ext;
use super::file_change;
use super::file_change::FileChange;
use super::ids::{MessageId, PartId, RequestId, SessionId};
use super::message::{Message, Part};
use super::request::AgentRequest;
use super::session::{SessionInfo, TodoItem, Turn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
