//! Words of the contract to words of the host, and back. No decision is made here.

use crate::model::{chat, plugin, tunnel};
use crate::runtime::port;
use nexus_plugin_api::host::caps::types;
use nexus_plugin_api::host::chat::exports::nexus::plugin::chat as wit_chat;
use nexus_plugin_api::host::chat::nexus::plugin::chat_types as wit;
use nexus_plugin_api::host::tunnel::exports::nexus::plugin::tunnel as wit_tunnel;

pub(crate) fn availability(a: types::Availability) -> plugin::Availability {
    match a {
        types::Availability::Ready(t) => plugin::Availability::Ready(t),
        types::Availability::Missing(t) => plugin::Availability::Missing(t),
        types::Availability::Unsuitable(t) => plugin::Availability::Unsuitable(t),
    }
}

pub(crate) fn failure(f: types::Failure) -> port::RunFailure {
    let kind = match f.kind {
        types::FailureKind::Retry => port::FailureKind::Retry,
        types::FailureKind::RetryLater => port::FailureKind::RetryLater,
        types::FailureKind::Permanent => port::FailureKind::Permanent,
    };
    port::RunFailure {
        kind,
        message: f.message,
        hint: f.hint,
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
        workspace: s.ref_.workspace,
        parent: s.parent,
        title: s.title,
        created_at: s.created_at,
        updated_at: s.updated_at,
    }
}

fn message(m: wit::Message) -> chat::Message {
    chat::Message {
        id: m.id,
        role: match m.role {
            wit::Role::User => chat::Role::User,
            wit::Role::Assistant => chat::Role::Assistant,
        },
        created_at: m.created_at,
        completed_at: m.completed_at,
        error: m.error,
        model: m.model,
        client_id: m.client_id,
        interrupted: false,
    }
}

fn content(c: wit::Content) -> chat::Content {
    match c {
        wit::Content::Text(text) => chat::Content::Text { text },
        wit::Content::Reasoning(text) => chat::Content::Reasoning { text },
        wit::Content::Tool(t) => chat::Content::Tool(chat::Tool {
            name: t.name,
            title: t.title,
            state: match t.state {
                wit::ToolState::Pending => chat::ToolState::Pending,
                wit::ToolState::Running => chat::ToolState::Running,
                wit::ToolState::Completed => chat::ToolState::Completed,
                wit::ToolState::Failed => chat::ToolState::Failed,
            },
            input: t.input,
            output: t.output,
            error: t.error,
            started_at: t.started_at,
            ended_at: t.ended_at,
        }),
        wit::Content::Attachment(a) => chat::Content::Attachment {
            mime: a.mime,
            name: a.name,
            url: a.url,
        },
        wit::Content::Other(e) => chat::Content::Other {
            name: e.name,
            value: e.value,
        },
    }
}

fn part(p: wit::Part) -> chat::Part {
    chat::Part {
        id: p.id,
        message: p.message,
        revision: p.revision,
        closed: p.closed,
        content: content(p.content),
    }
}

fn ask(a: wit::Ask) -> chat::Ask {
    chat::Ask {
        id: a.id,
        asked_by: a.asked_by,
        permission: a.kind == wit::AskKind::Permission,
        subject: a.subject,
        detail: a.detail,
        always: a.always,
        message: a.message,
        part: a.part,
        created_at: a.created_at,
    }
}

fn turn(t: wit::Turn) -> chat::Turn {
    match t {
        wit::Turn::Idle => chat::Turn::Idle,
        wit::Turn::Running => chat::Turn::Running,
        wit::Turn::Retrying(r) => chat::Turn::Retrying {
            attempt: r.attempt,
            message: r.message,
            next_at: r.next_at,
        },
    }
}

fn epoch(e: wit::Epoch) -> chat::Epoch {
    chat::Epoch {
        id: e.id,
        version: e.version,
        running: e.running.into_iter().map(|t| (t.session, turn(t.turn))).collect(),
        asks: e.asks.into_iter().map(|a| (a.session.clone(), ask(a))).collect(),
    }
}

/// None for what a later version of the contract may add.
pub(crate) fn feed(e: wit::Event) -> Option<port::Feed> {
    use chat::Event as E;
    let (session, event) = match e {
        wit::Event::Starting(text) => return Some(port::Feed::Starting(text)),
        wit::Event::Opened(e) => return Some(port::Feed::Opened(epoch(e))),
        wit::Event::Other(_) => return None,
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
                revision: d.revision,
                text: d.text,
            },
        ),
        wit::Event::PartRemoved((session, message, part)) => (session, E::PartRemoved { message, part }),
        wit::Event::Asked(a) => (a.session.clone(), E::Asked { ask: ask(a) }),
        wit::Event::AskClosed((session, ask)) => (session, E::AskClosed { ask }),
        wit::Event::Turn(t) => (t.session, E::Turn { turn: turn(t.turn) }),
        wit::Event::Error((session, text)) => (session?, E::Error { message: None, text }),
    };
    Some(port::Feed::Event(chat::SessionEvent { session, event }))
}

pub(crate) fn snapshot(s: wit::SessionSnapshot) -> chat::Snapshot {
    let messages = s.messages.into_iter();
    chat::Snapshot {
        info: session_info(s.info),
        messages: messages
            .map(|m| (message(m.message), m.parts.into_iter().map(part).collect()))
            .collect(),
        turn: turn(s.turn),
        asks: s.asks.into_iter().map(ask).collect(),
        before: s.before,
    }
}

pub(crate) fn answer(a: chat::Answer) -> wit::Answer {
    match a {
        chat::Answer::Once => wit::Answer::Once,
        chat::Answer::Always => wit::Answer::Always,
        chat::Answer::Reject { message } => wit::Answer::Reject(message),
    }
}

pub(crate) fn prompt(p: port::Prompt) -> (String, Vec<wit_chat::Input>, wit_chat::Options) {
    let options = wit_chat::Options {
        model: p.model,
        agent: None,
        consent: p.consent,
        ext: Vec::new(),
    };
    (p.client_id, vec![wit_chat::Input::Text(p.text)], options)
}

pub(crate) fn admission(a: wit_chat::Admission) -> chat::Admission {
    match a {
        wit_chat::Admission::Admitted => chat::Admission::Admitted,
        wit_chat::Admission::Duplicate => chat::Admission::Duplicate,
        wit_chat::Admission::Unknown(t) => chat::Admission::Unknown(t),
        wit_chat::Admission::Refused(t) => chat::Admission::Refused(t),
        wit_chat::Admission::ConsentNeeded(c) => chat::Admission::ConsentNeeded { id: c.id, text: c.text },
    }
}

pub(crate) fn tunnel_descriptor(d: wit_tunnel::Descriptor) -> tunnel::Descriptor {
    tunnel::Descriptor {
        title: d.title,
        stable_url: d.url == wit_tunnel::UrlKind::Stable,
        encryption: match d.encryption {
            wit_tunnel::Encryption::Edge => tunnel::Encryption::Edge,
            wit_tunnel::Encryption::Passthrough => tunnel::Encryption::Passthrough,
            wit_tunnel::Encryption::None => tunnel::Encryption::None,
        },
        event_streams: d.event_streams,
        client_address_header: d.client_address_header.map(|h| h.to_ascii_lowercase()),
    }
}

/// None for what a later version of the contract may add.
pub(crate) fn tunnel_event(e: wit_tunnel::Event) -> Option<tunnel::Event> {
    Some(match e {
        wit_tunnel::Event::Starting(t) => tunnel::Event::Starting(t),
        wit_tunnel::Event::Url(t) => tunnel::Event::Url(t),
        wit_tunnel::Event::Ready(n) => tunnel::Event::Ready(n),
        wit_tunnel::Event::Degraded(t) => tunnel::Event::Degraded(t),
        wit_tunnel::Event::Reconnecting(t) => tunnel::Event::Reconnecting(t),
        wit_tunnel::Event::Measured(f) => tunnel::Event::Measured(tunnel::Figures {
            requests: f.requests,
            errors: f.errors,
            locations: f.locations,
        }),
        wit_tunnel::Event::Other(_) => return None,
    })
}

/// Between the words of `auth`, `manage` and the port.
pub(crate) mod auth {
    use crate::runtime::port::auth as port;
    use nexus_plugin_api::host::auth::exports::nexus::plugin::auth as wit;
    use nexus_plugin_api::host::auth::nexus::plugin::auth_types as types;
    use nexus_plugin_api::host::manage::exports::nexus::plugin::manage;

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

    pub(crate) fn field(f: types::Field) -> port::Field {
        let kind = match f.kind {
            types::FieldKind::Account => port::FieldKind::Account,
            types::FieldKind::Password => port::FieldKind::Password,
            types::FieldKind::Code => port::FieldKind::Code,
            types::FieldKind::Text => port::FieldKind::Text,
        };
        port::Field {
            name: f.name,
            kind,
            title: f.title,
            help: f.help,
        }
    }

    pub(crate) fn method(m: wit::Method) -> port::Method {
        let kind = match m.kind {
            wit::MethodKind::Form => port::MethodKind::Form,
            wit::MethodKind::Redirect => port::MethodKind::Redirect,
            wit::MethodKind::Webauthn => port::MethodKind::Webauthn,
            wit::MethodKind::Ambient => port::MethodKind::Ambient,
            wit::MethodKind::Bearer => port::MethodKind::Bearer,
        };
        port::Method {
            id: m.id,
            kind,
            title: m.title,
        }
    }

    pub(crate) fn step(s: wit::Step) -> port::Step {
        match s {
            wit::Step::Form(f) => port::Step::Form {
                fields: f.fields.into_iter().map(field).collect(),
                state: f.state,
            },
            wit::Step::Redirect(r) => port::Step::Redirect {
                url: r.url,
                state: r.state,
            },
            wit::Step::Webauthn((json, state)) => port::Step::Webauthn { json, state },
            wit::Step::Identity(subject) => port::Step::Identity { subject },
            wit::Step::Deny(d) => port::Step::Deny {
                reason: match d.reason {
                    wit::Denial::BadCredential => port::Denial::BadCredential,
                    wit::Denial::Policy => port::Denial::Policy,
                    wit::Denial::Unavailable => port::Denial::Unavailable,
                },
                message: d.message,
            },
        }
    }

    pub(crate) fn outcome(o: manage::Outcome) -> port::Outcome {
        match o {
            manage::Outcome::Done(subject) => port::Outcome::Done { subject },
            manage::Outcome::Rejected((field, why)) => port::Outcome::Rejected { field, why },
            manage::Outcome::BadCredential => port::Outcome::BadCredential,
        }
    }
}
