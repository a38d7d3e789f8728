//! The events of a chat backend, as the host has them.

use super::convert::sentence;
use super::convert_chat::{Speaker, changes, message, part, request, session_info, turn};
use crate::bindings::chat::nexus::plugin::chat_types as wit;
use crate::truncate;
use nexus_model::{chat, limits};
use nexus_plugin_traits::BackendEvent;

/// `SkippedEvent` says why an event goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SkippedEvent {
    /// `NoSession`: it says something of the backend that only the plugin has a word for.
    NoSession(String),
    /// `Error`: it belongs to no session, so that no chat can show it.
    Error(String),
    /// `NoId`: its id is none.
    NoId(&'static str),
    /// `OutOfOrder`: it comes before `opened`, and is not `starting`.
    OutOfOrder(&'static str),
}

/// `backend_event` makes an event the host's. A delta is not clean yet: what its edges are, the piece before and after it says.
///
/// # Errors
/// What cannot be used.
pub(crate) fn backend_event(e: wit::Event, by: &Speaker<'_>) -> Result<BackendEvent, SkippedEvent> {
    use chat::Event as E;
    let (session, event) = match e {
        wit::Event::Starting(text) => return Ok(BackendEvent::Starting(sentence(text, by.mask))),
        wit::Event::Opened(e) => return Ok(BackendEvent::Opened(connection(e, by))),
        wit::Event::Session(s) => {
            let info = session_info(s, by);
            (info.id.clone(), E::Session { info })
        }
        wit::Event::SessionRemoved(session) => (session, E::SessionRemoved),
        wit::Event::Message(m) => (
            m.session.clone(),
            E::Message {
                message: message(m, by),
            },
        ),
        wit::Event::MessageRemoved(m) => (m.session, E::MessageRemoved { message: m.message }),
        wit::Event::Part(p) => (p.session.clone(), E::Part { part: part(p, by) }),
        wit::Event::Delta(d) => (
            d.session,
            E::Delta {
                part: d.part,
                message: d.message,
                revision: truncate::revision(d.revision),
                text: truncate::text(d.text, limits::PART_BYTES),
            },
        ),
        wit::Event::PartRemoved(p) => (
            p.session,
            E::PartRemoved {
                message: p.message,
                part: p.part,
            },
        ),
        wit::Event::Request(a) => (
            a.session.clone(),
            E::Request {
                request: request(a, by),
            },
        ),
        wit::Event::RequestClosed(r) => (r.session, E::RequestClosed { request: r.request }),
        wit::Event::Turn(t) => (
            t.session,
            E::Turn {
                turn: turn(t.turn, by.mask),
            },
        ),
        wit::Event::Todo(list) => (
            list.session,
            E::Todo {
                items: todo(list.items),
            },
        ),
        wit::Event::Changes(c) => (
            c.session,
            E::Changes {
                files: changes(
                    without_diffs(c.files),
                    limits::SESSION_CHANGES,
                    limits::CHANGED_PATH_BYTES,
                )
                .0,
            },
        ),
        wit::Event::Error(e) => {
            let text = sentence(e.text, by.mask);
            match e.session {
                None => return Err(SkippedEvent::Error(text)),
                Some(session) => (session, E::Error { message: None, text }),
            }
        }
        wit::Event::Other(note) => {
            let name = truncate::title(note.note.name.clone());
            let ext = by.ext(vec![note.note]);
            match note.session {
                None => return Err(SkippedEvent::NoSession(name)),
                Some(session) => (session, E::Note { ext }),
            }
        }
    };
    if truncate::is_id(&session) && truncate::is_event(&event) {
        return Ok(BackendEvent::Event(chat::SessionEvent { session, event }));
    }
    Err(SkippedEvent::NoId(match event {
        E::Session { .. } | E::SessionRemoved => "session",
        E::Message { .. } | E::MessageRemoved { .. } => "message",
        E::Part { .. } | E::PartRemoved { .. } => "part",
        E::Delta { .. } => "delta",
        E::Request { .. } | E::RequestClosed { .. } => "request",
        E::Turn { .. } => "turn",
        E::Todo { .. } => "todo",
        E::Changes { .. } => "changes",
        E::Note { .. } => "other",
        E::Error { .. } => "error",
    }))
}

fn connection(e: wit::BackendConnection, by: &Speaker<'_>) -> chat::BackendConnection {
    let running = truncate::list(e.running, limits::OPEN_SESSIONS);
    let requests = truncate::list(e.requests, limits::OPEN_SESSIONS);
    let count = running.len() + requests.len();
    let proper = |(session, a): &(String, chat::AgentRequest)| truncate::is_id(session) && truncate::is_request(a);
    let connection = chat::BackendConnection {
        id: truncate::title(e.id),
        version: truncate::title(e.version),
        running: running
            .into_iter()
            .map(|t| (t.session, turn(t.turn, by.mask)))
            .filter(|(session, _)| truncate::is_id(session))
            .collect(),
        requests: requests
            .into_iter()
            .map(|a| (a.session.clone(), request(a, by)))
            .filter(proper)
            .collect(),
    };
    let kept = connection.running.len() + connection.requests.len();
    by.leave_out_ids(count - kept, "sessions and requests of a connection");
    connection
}

fn todo(items: Vec<wit::TodoItem>) -> Vec<chat::TodoItem> {
    truncate::list(items, limits::TODO_ITEMS)
        .into_iter()
        .map(|item| chat::TodoItem {
            text: truncate::title(item.text),
            state: match item.state {
                wit::TodoState::Pending => chat::TodoState::Pending,
                wit::TodoState::InProgress => chat::TodoState::InProgress,
                wit::TodoState::Completed => chat::TodoState::Completed,
                wit::TodoState::Cancelled => chat::TodoState::Cancelled,
            },
        })
        .collect()
}

/// What a session has changed is asked for with its diffs where somebody looks at it; in the journal they would stand again
/// with each edit.
fn without_diffs(mut files: Vec<wit::FileChange>) -> Vec<wit::FileChange> {
    for file in &mut files {
        file.diff = None;
    }
    files
}
