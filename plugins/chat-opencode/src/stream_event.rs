//! A line of opencode's event stream, read into the type of its kind.
//!
//! A line is read twice: first for its kind alone, then as what that kind has. So nothing is made of what is passed over (opencode
//! says much twice, once as `sync`), and the text of a delta, of which an answer has thousands, is copied once. (A tree of
//! [`serde_json::Value`] for all, of which each kind took its fields, cost several times as much for a delta.)

use crate::wire::{ErrorInfo, Message, Part, Permission, Question, Session, Status, Todo, parse_each};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;

/// `Envelope` is a line of `GET /global/event`.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `directory` is the folder that it is from. Empty: of none.
    pub directory: String,
    pub event: Event,
}

/// `Event` is what such a line says, as far as it is used.
#[derive(Debug, Clone)]
pub enum Event {
    SessionCreated(Box<Session>),
    SessionUpdated(Box<Session>),
    SessionDeleted(String),
    Status {
        session: String,
        status: Status,
    },
    Idle(String),
    Error {
        session: Option<String>,
        error: ErrorInfo,
    },
    Message(Box<Message>),
    MessageRemoved {
        session: String,
        message: String,
    },
    Part(Box<Part>),
    Delta(Delta),
    PartRemoved {
        session: String,
        message: String,
        part: String,
    },
    Permission(Box<Permission>),
    Question(Box<Question>),
    RequestClosed {
        session: String,
        request: String,
    },
    Todo {
        session: String,
        items: Vec<Todo>,
    },
    /// `Other` is of a kind that is not used.
    Other,
}

/// `Delta` is what is added to a field of a part.
#[derive(Debug, Clone, Deserialize)]
pub struct Delta {
    #[serde(rename = "partID")]
    pub part: String,
    pub field: String,
    #[serde(rename = "delta")]
    pub text: String,
}

impl Envelope {
    /// Reads a line. One of a kind that is not used is [`Event::Other`].
    ///
    /// # Errors
    /// Why it cannot be read, without what it holds: it is no JSON, has no kind, or its properties are not what its kind has.
    pub fn read(line: &str) -> Result<Self, String> {
        let head: Line<Kind<'_>> =
            serde_json::from_str(line).map_err(|_| "It is no JSON object, or has no kind.".to_owned())?;
        let kind = &head.payload.kind;
        let mut event = Event::read(kind, line)
            .ok_or_else(|| format!("The properties of {kind:?} are not as they were expected."))?;
        let directory = head.directory.unwrap_or_default();
        if let Event::Permission(permission) = &mut event {
            permission.directory.clone_from(&directory);
        }
        Ok(Self { event, directory })
    }
}

impl Event {
    fn read(kind: &str, line: &str) -> Option<Self> {
        Some(match kind {
            "message.part.delta" => Self::Delta(properties(line)?),
            "message.part.updated" => Self::Part(properties::<OfPart>(line)?.part),
            "message.part.removed" => {
                let PartRef { session, message, part } = properties(line)?;
                Self::PartRemoved { session, message, part }
            }
            "message.updated" => Self::Message(properties::<Info<_>>(line)?.info),
            "message.removed" => {
                let MessageRef { session, message } = properties(line)?;
                Self::MessageRemoved { session, message }
            }
            "session.created" => Self::SessionCreated(properties::<Info<_>>(line)?.info),
            "session.updated" => Self::SessionUpdated(properties::<Info<_>>(line)?.info),
            "session.deleted" => {
                let of_session = properties::<OfSession>(line).map(|deleted| deleted.session);
                Self::SessionDeleted(of_session.or_else(|| Some(properties::<Info<Session>>(line)?.info.id))?)
            }
            "session.status" => {
                let StatusOf { session, status } = properties(line)?;
                Self::Status { session, status }
            }
            "session.idle" => Self::Idle(properties::<OfSession>(line)?.session),
            "session.error" => {
                let ErrorOf { session, error } = properties(line)?;
                // What cannot be read was an error all the same.
                let error = serde_json::from_value(error).unwrap_or_default();
                Self::Error { session, error }
            }
            "permission.asked" => Self::Permission(properties(line)?),
            "question.asked" => Self::Question(properties(line)?),
            "permission.replied" | "question.replied" | "question.rejected" => {
                let of: RequestRef = properties(line)?;
                Self::RequestClosed {
                    session: of.session,
                    request: of.request.or(of.permission)?,
                }
            }
            "todo.updated" => {
                let Todos { session, todos } = properties(line)?;
                let items = parse_each(todos).0;
                Self::Todo { session, items }
            }
            _ => Self::Other,
        })
    }
}

fn properties<P: DeserializeOwned>(line: &str) -> Option<P> {
    let line: Line<Properties<P>> = serde_json::from_str(line).ok()?;
    Some(line.payload.properties)
}

#[derive(Deserialize)]
struct Line<P> {
    #[serde(default)]
    directory: Option<String>,
    payload: P,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Properties<P> {
    properties: P,
}

#[derive(Deserialize)]
struct Info<T> {
    info: Box<T>,
}

#[derive(Deserialize)]
struct OfPart {
    part: Box<Part>,
}

#[derive(Deserialize)]
struct OfSession {
    #[serde(rename = "sessionID")]
    session: String,
}

#[derive(Deserialize)]
struct MessageRef {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(rename = "messageID")]
    message: String,
}

#[derive(Deserialize)]
struct PartRef {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(rename = "messageID")]
    message: String,
    #[serde(rename = "partID")]
    part: String,
}

#[derive(Deserialize)]
struct StatusOf {
    #[serde(rename = "sessionID")]
    session: String,
    status: Status,
}

#[derive(Deserialize)]
struct ErrorOf {
    #[serde(default, rename = "sessionID")]
    session: Option<String>,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct RequestRef {
    #[serde(rename = "sessionID")]
    session: String,
    #[serde(default, rename = "requestID")]
    request: Option<String>,
    /// `permission` is the same in older versions.
    #[serde(default, rename = "permissionID")]
    permission: Option<String>,
}

#[derive(Deserialize)]
struct Todos {
    #[serde(rename = "sessionID")]
    session: String,
    todos: Vec<Value>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn event(kind: &str, properties: &str) -> Event {
        let line = format!(r#"{{"payload":{{"properties":{properties},"type":"{kind}"}},"directory":"/w","new":[1]}}"#);
        let read = Envelope::read(&line).unwrap();
        assert_eq!(read.directory, "/w");
        read.event
    }

    #[test]
    fn the_kind_decides_how_the_properties_are_read_wherever_it_stands() {
        let delta = event(
            "message.part.delta",
            r#"{"sessionID":"s","messageID":"m","partID":"p","field":"text","delta":"a\n\"b\""}"#,
        );
        assert!(matches!(delta, Event::Delta(Delta { part, text, .. }) if part == "p" && text == "a\n\"b\""));
        let deleted = |properties| match event("session.deleted", properties) {
            Event::SessionDeleted(id) => Some(id),
            _ => None,
        };
        assert_eq!(deleted(r#"{"sessionID":"s"}"#).as_deref(), Some("s"));
        assert_eq!(deleted(r#"{"info":{"id":"t"}}"#).as_deref(), Some("t"));
        for id in [
            r#""permissionID":"r""#,
            r#""requestID":"r","permissionID":"x""#,
            r#""requestID":null,"permissionID":"r""#,
        ] {
            let closed = event("permission.replied", &format!(r#"{{"sessionID":"s",{id}}}"#));
            assert!(
                matches!(closed, Event::RequestClosed { request, .. } if request == "r"),
                "{id}"
            );
        }
    }

    #[test]
    fn what_is_not_used_is_passed_over_and_what_is_not_as_expected_is_named_without_what_it_holds() {
        for (kind, properties) in [("brand.new", "{}"), ("sync", r#"{"info":{"id":"m"}}"#)] {
            assert!(matches!(event(kind, properties), Event::Other), "{kind}");
        }
        for (kind, properties) in [
            ("message.updated", r#"{"info":"secret"}"#),
            ("message.part.delta", r#"{"partID":"secret"}"#),
            ("session.deleted", "{}"),
            ("permission.asked", r#"{"id":["secret"]}"#),
            ("todo.updated", "null"),
        ] {
            let line = format!(r#"{{"payload":{{"properties":{properties},"type":"{kind}"}},"directory":"/w"}}"#);
            let why = Envelope::read(&line).unwrap_err();
            assert!(why.contains(kind) && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn an_error_is_one_whatever_it_holds() {
        let error = event("session.error", r#"{"sessionID":"s","error":[1]}"#);
        assert!(matches!(error, Event::Error { session: Some(session), .. } if session == "s"));
        assert!(matches!(
            event("session.error", "{}"),
            Event::Error { session: None, .. }
        ));
        for line in ["", "7", "{}", r#"{"payload":{}}"#, r#"{"payload":{"type":1}}"#] {
            assert!(Envelope::read(line).is_err(), "{line}");
        }
    }
}
