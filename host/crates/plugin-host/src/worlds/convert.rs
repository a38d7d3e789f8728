//! Words of the contract to words of the host, and back. No decision is made here, but that nothing is kept that is
//! longer than its place needs, or could act on whoever is shown it ([`truncate`]).

use super::{request_paths, terminal_text};
use crate::bindings::caps::types;
use crate::bindings::chat::exports::nexus::plugin::chat as wit_chat;
use crate::bindings::chat::nexus::plugin::chat_types as wit;
use crate::bindings::tunnel::exports::nexus::plugin::tunnel as wit_tunnel;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::limits;
use nexus_model::tunnel::{TunnelEvent, TunnelStatistics};
use nexus_model::{chat, plugin, tunnel};
use nexus_plugin_api::chat_ext::{ANSWERS, ARCHIVED, CHANGE, DETAILS, QUESTIONS, REJECTED_TOOL};

pub(crate) fn availability(a: types::Availability, mask: &Mask) -> plugin::Availability {
    match a {
        types::Availability::Ready(t) => plugin::Availability::Ready(truncate::title(mask.hide_in(t))),
        types::Availability::Missing(t) => plugin::Availability::Missing(truncate::sentence(mask.hide_in(t))),
        types::Availability::Unsuitable(t) => plugin::Availability::Unsuitable(truncate::sentence(mask.hide_in(t))),
    }
}

pub(crate) fn failure(f: types::Failure, mask: &Mask) -> nexus_plugin_traits::RunFailure {
    let kind = match f.kind {
        types::FailureKind::Retry => nexus_plugin_traits::FailureKind::Retry,
        types::FailureKind::RetryLater => nexus_plugin_traits::FailureKind::RetryLater,
        types::FailureKind::Permanent => nexus_plugin_traits::FailureKind::Permanent,
    };
    nexus_plugin_traits::RunFailure {
        kind,
        cause: truncate::reason(mask.hide_in(f.message)),
        fix: f
            .hint
            .map(|hint| truncate::sentence(mask.hide_in(hint)))
            .filter(|hint| !hint.trim().is_empty()),
    }
}

pub(crate) fn session_ref(s: &chat::SessionInfo) -> wit::SessionRef {
    wit::SessionRef {
        workspace: s.workspace.clone(),
        id: s.id.clone(),
    }
}

pub(crate) fn session_info(s: wit::SessionInfo) -> chat::SessionInfo {
    chat::SessionInfo {
        id: s.ref_.id,
        workspace: truncate::sentence(s.ref_.workspace),
        parent: s.parent,
        title: truncate::title(s.title),
        created_at: truncate::time(s.created_at),
        updated_at: truncate::time(s.updated_at),
        archived: ext(&s.ext, ARCHIVED) == Some("true"),
    }
}

/// `ext` is the value of an addition to a record, where the plugin made it.
fn ext<'a>(ext: &'a [types::Ext], name: &str) -> Option<&'a str> {
    ext.iter().find(|e| e.name == name).map(|e| e.value.as_str())
}

fn message(m: wit::Message) -> chat::Message {
    chat::Message {
        id: m.id,
        role: match m.role {
            wit::Role::User => chat::Role::User,
            wit::Role::Assistant => chat::Role::Assistant,
        },
        created_at: truncate::time(m.created_at),
        completed_at: m.completed_at.map(truncate::time),
        error: m.error.map(truncate::sentence),
        model: m.model.map(truncate::title),
        client_id: m.client_id,
        interrupted: false,
        waiting: None,
    }
}

fn content(c: wit::Content) -> chat::Content {
    let long = truncate::prose;
    match c {
        wit::Content::Text(text) => chat::Content::Text { text: long(text) },
        wit::Content::Reasoning(text) => chat::Content::Reasoning { text: long(text) },
        wit::Content::Tool(t) => {
            let state = match t.state {
                wit::ToolState::Pending => chat::ToolState::Pending,
                wit::ToolState::Running => chat::ToolState::Running,
                wit::ToolState::Completed => chat::ToolState::Completed,
                wit::ToolState::Failed => chat::ToolState::Failed,
            };
            chat::Content::Tool(tool(t, state))
        }
        wit::Content::Attachment(a) => chat::Content::Attachment {
            mime: truncate::title(a.mime),
            name: a.name.map(truncate::title),
            url: truncate::literal(a.url, limits::PART_BYTES),
        },
        wit::Content::Other(e) => match rejected(&e) {
            Some(t) => chat::Content::Tool(tool(t, chat::ToolState::Rejected)),
            None => chat::Content::Other {
                name: truncate::title(e.name),
                value: long(e.value),
            },
        },
    }
}

fn tool(t: wit::Tool, state: chat::ToolState) -> chat::Tool {
    // As a terminal shows it; what is left of controls is no more than text.
    let shown = |t: String| truncate::prose(terminal_text::text(&t).into_owned());
    chat::Tool {
        name: truncate::title(t.name),
        title: t.title.map(|title| truncate::literal(title, limits::SENTENCE_BYTES)),
        state,
        input: truncate::literal(t.input, limits::PART_BYTES),
        output: t.output.map(shown),
        error: t.error.map(shown),
        started_at: t.started_at.map(truncate::time),
        ended_at: t.ended_at.map(truncate::time),
    }
}

/// `rejected` is a call that the owner did not allow.
fn rejected(e: &types::Ext) -> Option<wit::Tool> {
    #[derive(serde::Deserialize)]
    struct Call {
        name: String,
        title: Option<String>,
        #[serde(default)]
        input: String,
        message: Option<String>,
        started_at: Option<u64>,
        ended_at: Option<u64>,
    }
    let call: Call = (e.name == REJECTED_TOOL)
        .then(|| serde_json::from_str(&e.value).ok())
        .flatten()?;
    Some(wit::Tool {
        name: call.name,
        title: call.title,
        state: wit::ToolState::Failed,
        input: call.input,
        output: None,
        error: call.message,
        started_at: call.started_at,
        ended_at: call.ended_at,
    })
}

fn part(p: wit::Part) -> chat::Part {
    chat::Part {
        id: p.id,
        message: p.message,
        revision: truncate::revision(p.revision),
        closed: p.closed,
        content: content(p.content),
    }
}

fn request(a: wit::AgentRequest) -> chat::AgentRequest {
    let change = ext(&a.ext, CHANGE).and_then(|json| serde_json::from_str::<String>(json).ok());
    let change = change.map(|c| truncate::counted(c, limits::REQUEST_CHANGE));
    let questions = ext(&a.ext, QUESTIONS).map(questions).unwrap_or_default();
    let details = ext(&a.ext, DETAILS).map(request_paths::shown).unwrap_or_default();
    chat::AgentRequest {
        id: a.id,
        requested_by: a.requested_by,
        permission: a.kind == wit::RequestKind::Permission,
        subject: truncate::literal(a.subject, limits::TITLE_BYTES),
        detail: truncate::counted(a.detail, limits::REQUEST_DETAIL),
        always: truncate::list(a.always, limits::LIST_ENTRIES)
            .into_iter()
            .map(|pattern| truncate::literal(pattern, limits::SENTENCE_BYTES))
            .collect(),
        details,
        change,
        questions,
        message: a.message.map(truncate::sentence),
        part: a.part,
        created_at: truncate::time(a.created_at),
    }
}

/// `questions` are empty where the value is not what the contract says: then the request can be rejected, and nothing
/// else.
fn questions(json: &str) -> Vec<chat::Question> {
    let questions: Vec<chat::Question> = serde_json::from_str(json).unwrap_or_default();
    let choice = |c: chat::Choice| chat::Choice {
        label: truncate::title(c.label),
        description: truncate::sentence(c.description),
    };
    truncate::list(questions, limits::REQUEST_QUESTIONS)
        .into_iter()
        .map(|q| chat::Question {
            header: truncate::title(q.header),
            text: truncate::sentence(q.text),
            choices: truncate::list(q.choices, limits::REQUEST_CHOICES)
                .into_iter()
                .map(choice)
                .collect(),
            ..q
        })
        .collect()
}

fn turn(t: wit::Turn, mask: &Mask) -> chat::Turn {
    match t {
        wit::Turn::Idle => chat::Turn::Idle,
        wit::Turn::Running => chat::Turn::Running,
        wit::Turn::Retrying(r) => chat::Turn::Retrying {
            attempt: r.attempt,
            cause: truncate::sentence(mask.hide_in(r.message)),
            next_at: r.next_at.map(truncate::time),
        },
    }
}

fn connection(e: wit::BackendConnection, mask: &Mask) -> chat::BackendConnection {
    let running = truncate::list(e.running, limits::OPEN_SESSIONS).into_iter();
    let requests = truncate::list(e.requests, limits::OPEN_SESSIONS).into_iter();
    let proper = |(session, a): &(String, chat::AgentRequest)| truncate::is_id(session) && truncate::is_request(a);
    chat::BackendConnection {
        id: truncate::title(e.id),
        version: truncate::title(e.version),
        running: running
            .map(|t| (t.session, turn(t.turn, mask)))
            .filter(|(session, _)| truncate::is_id(session))
            .collect(),
        requests: requests
            .map(|a| (a.session.clone(), request(a)))
            .filter(proper)
            .collect(),
    }
}

/// `SkippedEvent` says why an event goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SkippedEvent {
    /// `Unknown`: a later version of the contract may have added it.
    Unknown(String),
    /// `Error`: it belongs to no session, so that no chat can show it.
    Error(String),
    /// `NoId`: its id is none.
    NoId(&'static str),
}

/// `backend_event` makes an event the host's. A delta is not clean yet: what its edges are, the piece before and after it says.
///
/// # Errors
/// What cannot be used.
pub(crate) fn backend_event(e: wit::Event, mask: &Mask) -> Result<nexus_plugin_traits::BackendEvent, SkippedEvent> {
    use chat::Event as E;
    let (session, event) = match e {
        wit::Event::Starting(text) => {
            return Ok(nexus_plugin_traits::BackendEvent::Starting(truncate::sentence(
                mask.hide_in(text),
            )));
        }
        wit::Event::Opened(e) => return Ok(nexus_plugin_traits::BackendEvent::Opened(connection(e, mask))),
        wit::Event::Other(e) => return Err(SkippedEvent::Unknown(truncate::title(e.name))),
        wit::Event::Session(s) => {
            let info = session_info(s);
            (info.id.clone(), E::Session { info })
        }
        wit::Event::SessionRemoved(session) => (session, E::SessionRemoved),
        wit::Event::Message(m) => (m.session.clone(), E::Message { message: message(m) }),
        wit::Event::MessageRemoved((session, message)) => (session, E::MessageRemoved { message }),
        wit::Event::Part(p) => (p.session.clone(), E::Part { part: part(p) }),
        wit::Event::Delta(d) => (
            d.session,
            E::Delta {
                part: d.part,
                message: d.message,
                revision: truncate::revision(d.revision),
                text: truncate::text(d.text, limits::PART_BYTES),
            },
        ),
        wit::Event::PartRemoved((session, message, part)) => (session, E::PartRemoved { message, part }),
        wit::Event::Request(a) => (a.session.clone(), E::Request { request: request(a) }),
        wit::Event::RequestClosed((session, request)) => (session, E::RequestClosed { request }),
        wit::Event::Turn(t) => (
            t.session,
            E::Turn {
                turn: turn(t.turn, mask),
            },
        ),
        wit::Event::Error((None, text)) => return Err(SkippedEvent::Error(truncate::sentence(mask.hide_in(text)))),
        wit::Event::Error((Some(session), text)) => (
            session,
            E::Error {
                message: None,
                text: truncate::sentence(mask.hide_in(text)),
            },
        ),
    };
    if truncate::is_id(&session) && truncate::is_event(&event) {
        return Ok(nexus_plugin_traits::BackendEvent::Event(chat::SessionEvent {
            session,
            event,
        }));
    }
    Err(SkippedEvent::NoId(match event {
        E::Session { .. } | E::SessionRemoved => "session",
        E::Message { .. } | E::MessageRemoved { .. } => "message",
        E::Part { .. } | E::PartRemoved { .. } => "part",
        E::Delta { .. } => "delta",
        E::Request { .. } | E::RequestClosed { .. } => "request",
        E::Turn { .. } => "turn",
        E::Error { .. } => "error",
    }))
}

pub(crate) fn snapshot(s: wit::SessionSnapshot, mask: &Mask) -> chat::Snapshot {
    let messages = s.messages.into_iter();
    truncate::snapshot(chat::Snapshot {
        info: session_info(s.info),
        messages: messages
            .map(|m| (message(m.message), m.parts.into_iter().map(part).collect()))
            .collect(),
        turn: turn(s.turn, mask),
        requests: s.requests.into_iter().map(request).collect(),
        before: s.before,
    })
}

pub(crate) fn answer(a: chat::Answer) -> wit::Answer {
    match a {
        chat::Answer::Once => wit::Answer::Once,
        chat::Answer::Always => wit::Answer::Always,
        chat::Answer::Reject { message } => wit::Answer::Reject(message),
        chat::Answer::Answers { answers } => wit::Answer::Other(types::Ext {
            name: ANSWERS.to_owned(),
            value: serde_json::Value::from(answers).to_string(),
        }),
    }
}

pub(crate) fn prompt(p: nexus_plugin_traits::Prompt) -> (String, Vec<wit_chat::Input>, wit_chat::Options) {
    let options = wit_chat::Options {
        model: p.model,
        agent: None,
        consent: p.consent,
        ext: Vec::new(),
    };
    (p.client_id, vec![wit_chat::Input::Text(p.text)], options)
}

pub(crate) fn admission(a: wit_chat::Admission, mask: &Mask) -> chat::Admission {
    match a {
        wit_chat::Admission::Admitted => chat::Admission::Admitted,
        wit_chat::Admission::Duplicate => chat::Admission::Duplicate,
        wit_chat::Admission::Unknown(t) => chat::Admission::Unknown(truncate::sentence(mask.hide_in(t))),
        wit_chat::Admission::Refused(t) => chat::Admission::Refused(truncate::sentence(mask.hide_in(t))),
        wit_chat::Admission::ConsentNeeded(c) => chat::Admission::ConsentNeeded {
            id: truncate::title(c.id),
            text: truncate::sentence(mask.hide_in(c.text)),
        },
    }
}

/// `NO_ADDRESS` are headers that say something else than a client's address, or that a proxy sets for itself.
const NO_ADDRESS: [&str; 18] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// `tunnel_descriptor` is the plugin's own; `name` is that of the plugin, for one that calls itself nothing.
///
/// # Errors
/// The client's address is to be taken from what cannot be trusted to hold one.
pub(crate) fn tunnel_descriptor(
    d: wit_tunnel::Descriptor,
    name: &str,
) -> Result<tunnel::Descriptor, nexus_plugin_traits::CallError> {
    Ok(tunnel::Descriptor {
        title: titled(d.title, name),
        stable_url: d.url == wit_tunnel::UrlKind::Stable,
        encryption: match d.encryption {
            wit_tunnel::Encryption::Edge => tunnel::Encryption::Edge,
            wit_tunnel::Encryption::Passthrough => tunnel::Encryption::Passthrough,
            wit_tunnel::Encryption::None => tunnel::Encryption::None,
        },
        event_streams: d.event_streams,
        client_address_header: d.client_address_header.map(address_header).transpose()?,
    })
}

/// `titled` is what a plugin calls itself; one that says nothing is called by its name.
pub(crate) fn titled(title: String, name: &str) -> String {
    let title = truncate::title(title);
    if title.trim().is_empty() {
        name.to_owned()
    } else {
        title
    }
}

fn address_header(header: String) -> Result<String, nexus_plugin_traits::CallError> {
    let refused = |cause: &str, header: String| {
        let header = truncate::literal(header, limits::TITLE_BYTES);
        Err(nexus_plugin_traits::CallError::Invalid(format!(
            "the plugin reports client addresses in the header `{header}`, {cause}. This is a bug of the plugin"
        )))
    };
    if header.len() > limits::ADDRESS_HEADER {
        return refused("which is too long for a header name", header);
    }
    match http::HeaderName::from_bytes(header.as_bytes()) {
        Err(_) => refused("which is not a header name", header),
        Ok(name) if NO_ADDRESS.contains(&name.as_str()) || name.as_str().starts_with("sec-") => {
            refused("which has another meaning", header)
        }
        Ok(name) => Ok(name.as_str().to_owned()),
    }
}

/// `tunnel_event` is `None` for what a later version of the contract may add.
pub(crate) fn tunnel_event(e: wit_tunnel::Event, mask: &Mask) -> Option<TunnelEvent> {
    Some(match e {
        wit_tunnel::Event::Starting(t) => TunnelEvent::Starting(truncate::sentence(mask.hide_in(t))),
        // One that is none is refused by who publishes it, in words that show it.
        wit_tunnel::Event::Url(t) => {
            let t = truncate::text(t, limits::URL_BYTES);
            TunnelEvent::Url(tunnel::public_address(&t).unwrap_or_else(|_| truncate::literal(t, limits::URL_BYTES)))
        }
        wit_tunnel::Event::Ready(n) => TunnelEvent::Ready(n),
        wit_tunnel::Event::Degraded(t) => TunnelEvent::Degraded(truncate::sentence(mask.hide_in(t))),
        wit_tunnel::Event::Reconnecting(t) => TunnelEvent::Reconnecting(truncate::sentence(mask.hide_in(t))),
        wit_tunnel::Event::Measured(f) => TunnelEvent::Measured(TunnelStatistics {
            requests: f.requests,
            errors: f.errors,
            locations: truncate::list(f.locations, limits::LIST_ENTRIES)
                .into_iter()
                .map(truncate::title)
                .collect(),
        }),
        wit_tunnel::Event::Other(_) => return None,
    })
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
