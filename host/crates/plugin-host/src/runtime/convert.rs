//! Words of the contract to words of the host, and back. No decision is made here, but that nothing is kept that is
//! longer than its place needs, or could act on whoever is shown it ([`clip`]).

use crate::capabilities::mask::Mask;
use crate::runtime::{clip, leads, terminal};
use nexus_model::limits;
use nexus_model::{chat, plugin, tunnel};
use nexus_plugin_api::chat_ext::{ANSWERS, ARCHIVED, CHANGE, DETAILS, QUESTIONS, REJECTED_TOOL};
use nexus_plugin_api::host::caps::types;
use nexus_plugin_api::host::chat::exports::nexus::plugin::chat as wit_chat;
use nexus_plugin_api::host::chat::nexus::plugin::chat_types as wit;
use nexus_plugin_api::host::tunnel::exports::nexus::plugin::tunnel as wit_tunnel;

pub(crate) fn availability(a: types::Availability, mask: &Mask) -> plugin::Availability {
    match a {
        types::Availability::Ready(t) => plugin::Availability::Ready(clip::title(mask.said(t))),
        types::Availability::Missing(t) => plugin::Availability::Missing(clip::sentence(mask.said(t))),
        types::Availability::Unsuitable(t) => plugin::Availability::Unsuitable(clip::sentence(mask.said(t))),
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
        message: clip::reason(mask.said(f.message)),
        hint: f
            .hint
            .map(|hint| clip::sentence(mask.said(hint)))
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
        workspace: clip::sentence(s.ref_.workspace),
        parent: s.parent,
        title: clip::title(s.title),
        created_at: clip::time(s.created_at),
        updated_at: clip::time(s.updated_at),
        archived: ext(&s.ext, ARCHIVED) == Some("true"),
    }
}

/// The value of an addition to a record, where the plugin made it.
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
        created_at: clip::time(m.created_at),
        completed_at: m.completed_at.map(clip::time),
        error: m.error.map(clip::sentence),
        model: m.model.map(clip::title),
        client_id: m.client_id,
        interrupted: false,
        waiting: None,
    }
}

fn content(c: wit::Content) -> chat::Content {
    let long = clip::prose;
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
            mime: clip::title(a.mime),
            name: a.name.map(clip::title),
            url: clip::literal(a.url, limits::PART_BYTES),
        },
        wit::Content::Other(e) => match rejected(&e) {
            Some(t) => chat::Content::Tool(tool(t, chat::ToolState::Rejected)),
            None => chat::Content::Other {
                name: clip::title(e.name),
                value: long(e.value),
            },
        },
    }
}

fn tool(t: wit::Tool, state: chat::ToolState) -> chat::Tool {
    // As a terminal shows it; what is left of controls is no more than text.
    let shown = |t: String| clip::prose(terminal::text(&t).into_owned());
    chat::Tool {
        name: clip::title(t.name),
        title: t.title.map(|title| clip::literal(title, limits::SENTENCE_BYTES)),
        state,
        input: clip::literal(t.input, limits::PART_BYTES),
        output: t.output.map(shown),
        error: t.error.map(shown),
        started_at: t.started_at.map(clip::time),
        ended_at: t.ended_at.map(clip::time),
    }
}

/// A call that the owner did not allow.
fn rejected(e: &types::Ext) -> Option<wit::Tool> {
    #[derive(serde::Deserialize)]
    struct Call {
        name: String,
        title: Option<String>,
        #[serde(default)]
        input: String,
        words: Option<String>,
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
        error: call.words,
        started_at: call.started_at,
        ended_at: call.ended_at,
    })
}

fn part(p: wit::Part) -> chat::Part {
    chat::Part {
        id: p.id,
        message: p.message,
        revision: clip::revision(p.revision),
        closed: p.closed,
        content: content(p.content),
    }
}

fn ask(a: wit::Ask) -> chat::Ask {
    let change = ext(&a.ext, CHANGE).and_then(|json| serde_json::from_str::<String>(json).ok());
    let change = change.map(|c| clip::counted(c, limits::ASK_CHANGE));
    let questions = ext(&a.ext, QUESTIONS).map(questions).unwrap_or_default();
    let details = ext(&a.ext, DETAILS).map(leads::shown).unwrap_or_default();
    chat::Ask {
        id: a.id,
        asked_by: a.asked_by,
        permission: a.kind == wit::AskKind::Permission,
        subject: clip::literal(a.subject, limits::TITLE_BYTES),
        detail: clip::counted(a.detail, limits::ASK_DETAIL),
        always: clip::list(a.always, limits::LIST_ENTRIES)
            .into_iter()
            .map(|pattern| clip::literal(pattern, limits::SENTENCE_BYTES))
            .collect(),
        details,
        change,
        questions,
        message: a.message.map(clip::sentence),
        part: a.part,
        created_at: clip::time(a.created_at),
    }
}

/// Empty where the value is not what the contract says: then it can be rejected, and nothing else.
fn questions(json: &str) -> Vec<chat::Question> {
    let questions: Vec<chat::Question> = serde_json::from_str(json).unwrap_or_default();
    let choice = |c: chat::Choice| chat::Choice {
        label: clip::title(c.label),
        description: clip::sentence(c.description),
    };
    clip::list(questions, limits::ASK_QUESTIONS)
        .into_iter()
        .map(|q| chat::Question {
            header: clip::title(q.header),
            text: clip::sentence(q.text),
            choices: clip::list(q.choices, limits::ASK_CHOICES)
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
            message: clip::sentence(mask.said(r.message)),
            next_at: r.next_at.map(clip::time),
        },
    }
}

fn epoch(e: wit::Epoch, mask: &Mask) -> chat::Epoch {
    let running = clip::list(e.running, limits::OPEN_SESSIONS).into_iter();
    let asks = clip::list(e.asks, limits::OPEN_SESSIONS).into_iter();
    let proper = |(session, a): &(String, chat::Ask)| clip::is_id(session) && clip::is_ask(a);
    chat::Epoch {
        id: clip::title(e.id),
        version: clip::title(e.version),
        running: running
            .map(|t| (t.session, turn(t.turn, mask)))
            .filter(|(session, _)| clip::is_id(session))
            .collect(),
        asks: asks.map(|a| (a.session.clone(), ask(a))).filter(proper).collect(),
    }
}

/// Why an event goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// A later version of the contract may have added it.
    Unknown(String),
    /// It belongs to no session, so that no chat can show it.
    Error(String),
    /// Its id is none.
    NoId(&'static str),
}

/// A delta is not clean yet: what its edges are, the piece before and after it says.
///
/// # Errors
/// What cannot be used.
pub(crate) fn feed(e: wit::Event, mask: &Mask) -> Result<nexus_plugin_traits::Feed, Dropped> {
    use chat::Event as E;
    let (session, event) = match e {
        wit::Event::Starting(text) => return Ok(nexus_plugin_traits::Feed::Starting(clip::sentence(mask.said(text)))),
        wit::Event::Opened(e) => return Ok(nexus_plugin_traits::Feed::Opened(epoch(e, mask))),
        wit::Event::Other(e) => return Err(Dropped::Unknown(clip::title(e.name))),
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
                revision: clip::revision(d.revision),
                text: clip::text(d.text, limits::PART_BYTES),
            },
        ),
        wit::Event::PartRemoved((session, message, part)) => (session, E::PartRemoved { message, part }),
        wit::Event::Asked(a) => (a.session.clone(), E::Asked { ask: ask(a) }),
        wit::Event::AskClosed((session, ask)) => (session, E::AskClosed { ask }),
        wit::Event::Turn(t) => (
            t.session,
            E::Turn {
                turn: turn(t.turn, mask),
            },
        ),
        wit::Event::Error((None, text)) => return Err(Dropped::Error(clip::sentence(mask.said(text)))),
        wit::Event::Error((Some(session), text)) => (
            session,
            E::Error {
                message: None,
                text: clip::sentence(mask.said(text)),
            },
        ),
    };
    if clip::is_id(&session) && clip::is_event(&event) {
        return Ok(nexus_plugin_traits::Feed::Event(chat::SessionEvent { session, event }));
    }
    Err(Dropped::NoId(match event {
        E::Session { .. } | E::SessionRemoved => "session",
        E::Message { .. } | E::MessageRemoved { .. } => "message",
        E::Part { .. } | E::PartRemoved { .. } => "part",
        E::Delta { .. } => "delta",
        E::Asked { .. } | E::AskClosed { .. } => "ask",
        E::Turn { .. } => "turn",
        E::Error { .. } => "error",
    }))
}

pub(crate) fn snapshot(s: wit::SessionSnapshot, mask: &Mask) -> chat::Snapshot {
    let messages = s.messages.into_iter();
    clip::snapshot(chat::Snapshot {
        info: session_info(s.info),
        messages: messages
            .map(|m| (message(m.message), m.parts.into_iter().map(part).collect()))
            .collect(),
        turn: turn(s.turn, mask),
        asks: s.asks.into_iter().map(ask).collect(),
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
        wit_chat::Admission::Unknown(t) => chat::Admission::Unknown(clip::sentence(mask.said(t))),
        wit_chat::Admission::Refused(t) => chat::Admission::Refused(clip::sentence(mask.said(t))),
        wit_chat::Admission::ConsentNeeded(c) => chat::Admission::ConsentNeeded {
            id: clip::title(c.id),
            text: clip::sentence(mask.said(c.text)),
        },
    }
}

/// Headers that say something else than a client's address, or that a proxy sets for itself.
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

/// `name`: of the plugin, for one that calls itself nothing.
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

/// What a plugin calls itself; one that says nothing is called by its name.
pub(crate) fn titled(title: String, name: &str) -> String {
    let title = clip::title(title);
    if title.trim().is_empty() {
        name.to_owned()
    } else {
        title
    }
}

fn address_header(header: String) -> Result<String, nexus_plugin_traits::CallError> {
    let refused = |why: &str, header: String| {
        let header = clip::literal(header, limits::TITLE_BYTES);
        Err(nexus_plugin_traits::CallError::Invalid(format!(
            "the plugin says that clients' addresses are in the header `{header}`, {why}. This is a fault of the plugin"
        )))
    };
    if header.len() > limits::ADDRESS_HEADER {
        return refused("which is longer than a header's name", header);
    }
    match http::HeaderName::from_bytes(header.as_bytes()) {
        Err(_) => refused("which is no name of a header", header),
        Ok(name) if NO_ADDRESS.contains(&name.as_str()) || name.as_str().starts_with("sec-") => {
            refused("which says something else", header)
        }
        Ok(name) => Ok(name.as_str().to_owned()),
    }
}

/// None for what a later version of the contract may add.
pub(crate) fn tunnel_event(e: wit_tunnel::Event, mask: &Mask) -> Option<tunnel::Event> {
    Some(match e {
        wit_tunnel::Event::Starting(t) => tunnel::Event::Starting(clip::sentence(mask.said(t))),
        // One that is none is refused by who publishes it, in words that show it.
        wit_tunnel::Event::Url(t) => {
            let t = clip::text(t, limits::URL_BYTES);
            tunnel::Event::Url(tunnel::public_address(&t).unwrap_or_else(|_| clip::literal(t, limits::URL_BYTES)))
        }
        wit_tunnel::Event::Ready(n) => tunnel::Event::Ready(n),
        wit_tunnel::Event::Degraded(t) => tunnel::Event::Degraded(clip::sentence(mask.said(t))),
        wit_tunnel::Event::Reconnecting(t) => tunnel::Event::Reconnecting(clip::sentence(mask.said(t))),
        wit_tunnel::Event::Measured(f) => tunnel::Event::Measured(tunnel::Figures {
            requests: f.requests,
            errors: f.errors,
            locations: clip::list(f.locations, limits::LIST_ENTRIES)
                .into_iter()
                .map(clip::title)
                .collect(),
        }),
        wit_tunnel::Event::Other(_) => return None,
    })
}

/// Between the words of `auth`, `manage` and the port.
pub(crate) mod auth {
    use crate::capabilities::mask::Mask;
    use crate::runtime::clip;
    use nexus_model::limits;
    use nexus_plugin_api::host::auth::exports::nexus::plugin::auth as wit;
    use nexus_plugin_api::host::auth::nexus::plugin::auth_types as types;
    use nexus_plugin_api::host::manage::exports::nexus::plugin::manage;
    use nexus_plugin_traits::{CallError, auth as port};

    pub(crate) fn input(input: port::Input) -> Vec<types::Value> {
        input
            .0
            .into_iter()
            .map(|(name, value)| types::Value { name, value })
            .collect()
    }

    pub(crate) fn context(c: port::Context) -> wit::Context {
        wit::Context {
            account: c.account,
            origin: c.origin,
        }
    }

    fn field(f: types::Field) -> port::Field {
        let kind = match f.kind {
            types::FieldKind::Account => port::FieldKind::Account,
            types::FieldKind::Password => port::FieldKind::Password,
            types::FieldKind::Code => port::FieldKind::Code,
            types::FieldKind::Text => port::FieldKind::Text,
        };
        port::Field {
            name: clip::title(f.name),
            kind,
            title: clip::title(f.title),
            help: f.help.map(clip::sentence),
        }
    }

    pub(crate) fn fields(fields: Vec<types::Field>) -> Vec<port::Field> {
        clip::list(fields, limits::LIST_ENTRIES)
            .into_iter()
            .map(field)
            .collect()
    }

    pub(crate) fn methods(methods: Vec<wit::Method>) -> Vec<port::Method> {
        clip::list(methods, limits::LIST_ENTRIES)
            .into_iter()
            .map(method)
            .collect()
    }

    fn method(m: wit::Method) -> port::Method {
        let kind = match m.kind {
            wit::MethodKind::Form => port::MethodKind::Form,
            wit::MethodKind::Redirect => port::MethodKind::Redirect,
            wit::MethodKind::Webauthn => port::MethodKind::Webauthn,
            wit::MethodKind::Ambient => port::MethodKind::Ambient,
            wit::MethodKind::Bearer => port::MethodKind::Bearer,
        };
        port::Method {
            id: clip::title(m.id),
            kind,
            title: clip::title(m.title),
        }
    }

    /// What has to come back as it is cannot be cut: too much of it is the plugin's fault.
    fn whole<T: AsRef<[u8]>>(what: &str, value: T, most: usize) -> Result<T, CallError> {
        match value.as_ref().len() {
            length if length <= most => Ok(value),
            length => Err(CallError::Other(format!(
                "the auth plugin gave {what} of {length} bytes; at most {most} can be used. This is a fault of the plugin"
            ))),
        }
    }

    fn subject(subject: String) -> Result<String, CallError> {
        if subject.is_empty() {
            return Err(CallError::Other(
                "the auth plugin gave an empty subject. This is a fault of the plugin".into(),
            ));
        }
        let subject = whole("a subject", subject, limits::ID_BYTES)?;
        if !clip::is_id(&subject) {
            return Err(CallError::Other(
                "the auth plugin gave a subject with characters that are not seen. This is a fault of the plugin"
                    .into(),
            ));
        }
        Ok(subject)
    }

    /// # Errors
    /// A state, an address or a subject that is too long to be used.
    pub(crate) fn step(s: wit::Step, mask: &Mask) -> Result<port::Step, CallError> {
        let state = |state| whole("a state", state, limits::LOGIN_STATE_BYTES);
        Ok(match s {
            wit::Step::Form(f) => port::Step::Form {
                fields: fields(f.fields),
                state: state(f.state)?,
            },
            wit::Step::Redirect(r) => port::Step::Redirect {
                url: whole("an address", r.url, limits::SENTENCE_BYTES)?,
                state: state(r.state)?,
            },
            wit::Step::Webauthn((json, s)) => port::Step::Webauthn {
                json: whole("a request to the browser", json, limits::LOGIN_STATE_BYTES)?,
                state: state(s)?,
            },
            wit::Step::Identity(s) => port::Step::Identity { subject: subject(s)? },
            wit::Step::Deny(d) => port::Step::Deny {
                reason: match d.reason {
                    wit::Denial::BadCredential => port::Denial::BadCredential,
                    wit::Denial::Policy => port::Denial::Policy,
                    wit::Denial::Unavailable => port::Denial::Unavailable,
                },
                message: d.message.map(|message| clip::sentence(mask.said(message))),
            },
        })
    }

    /// # Errors
    /// A subject that is too long to be used.
    pub(crate) fn outcome(o: manage::Outcome, mask: &Mask) -> Result<port::Outcome, CallError> {
        Ok(match o {
            manage::Outcome::Done(s) => port::Outcome::Done { subject: subject(s)? },
            manage::Outcome::Rejected((field, why)) => port::Outcome::Rejected {
                field: clip::title(field),
                why: clip::sentence(mask.said(why)),
            },
            manage::Outcome::BadCredential => port::Outcome::BadCredential,
        })
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
