//! A turn for each rule: what it sends, and then the text `done`. What must not arrive is called `WRONG`.

use crate::records::{self, tool};
use crate::{calls, capabilities, connection};
use nexus_plugin_api::caps::clock;
use nexus_plugin_api::chat::Ext;
use nexus_plugin_api::chat::types::{
    AgentRequest, BackendConnection, BackendError, BackendNote, Content, Delta, Event, Message, MessageRef, Part,
    PartRef, Permission, Question, RequestKind, RequestRef, Role, SessionInfo, SessionRef, Turn, TurnState,
};
use nexus_plugin_api::job::{Events, HostDisconnected};

type Sent = Result<(), HostDisconnected>;

pub fn turn(session: &str, turn: Turn) -> Event {
    Event::Turn(TurnState {
        session: session.to_owned(),
        turn,
    })
}

fn message(session: &str, id: &str, role: Role) -> Event {
    Event::Message(message_of(session, id, role))
}

pub fn message_of(session: &str, id: &str, role: Role) -> Message {
    Message {
        id: id.to_owned(),
        session: session.to_owned(),
        role,
        created_at: clock::now(),
        completed_at: None,
        error: None,
        model: None,
        agent: None,
        usage: None,
        client_id: None,
        ext: Vec::new(),
    }
}

pub fn part(session: &str, message: &str, id: &str, revision: u64, text: &str) -> Part {
    Part {
        id: id.to_owned(),
        message: message.to_owned(),
        session: session.to_owned(),
        revision,
        closed: false,
        content: Content::Text(text.to_owned()),
    }
}

fn delta(session: &str, message: &str, part: &str, revision: u64, text: &str) -> Event {
    Event::Delta(Delta {
        part: part.to_owned(),
        message: message.to_owned(),
        session: session.to_owned(),
        revision,
        text: text.to_owned(),
    })
}

pub fn info(session: &str, title: &str) -> SessionInfo {
    SessionInfo {
        ref_: SessionRef {
            workspace: "/elsewhere".to_owned(),
            id: session.to_owned(),
        },
        parent: Some("nobody".to_owned()),
        title: title.to_owned(),
        created_at: 1,
        updated_at: 1,
        archived: true,
        reverted: Some("nothing".to_owned()),
        ext: vec![ext("rules.note", "1")],
    }
}

pub fn ext(name: &str, value: &str) -> Ext {
    Ext {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

pub fn request(session: &str, id: &str, kind: RequestKind) -> AgentRequest {
    AgentRequest {
        id: id.to_owned(),
        session: session.to_owned(),
        requested_by: "nobody".to_owned(),
        kind,
        message: None,
        part: Some("no-part".to_owned()),
        created_at: 1,
        ext: Vec::new(),
    }
}

fn permission(subject: &str) -> RequestKind {
    RequestKind::Permission(Permission {
        subject: subject.to_owned(),
        detail: "ls".to_owned(),
        always: Vec::new(),
        changes: Vec::new(),
        details: Vec::new(),
        paths: Vec::new(),
        obeyed: Vec::new(),
    })
}

fn question() -> RequestKind {
    RequestKind::Questions(vec![Question {
        header: "Which".to_owned(),
        text: "Which one?".to_owned(),
        choices: Vec::new(),
        multiple: false,
        allow_custom: true,
    }])
}

/// More events than the host holds back for anybody, and none of them may come now.
pub async fn early(events: &mut Events<Event>) -> Sent {
    for n in 0..100 {
        let batch = (0..250).map(|_| turn("early", Turn::Running));
        events.send_all(batch.collect()).await?;
        events.send(Event::Starting(format!("step {n}"))).await?;
    }
    events.send(Event::Session(info("early", "WRONG"))).await
}

/// A whole turn that says this.
pub async fn say(events: &mut Events<Event>, session: &str, text: &str) -> Sent {
    let own = format!("{session}-{}", clock::now());
    events.send(turn(session, Turn::Running)).await?;
    events.send(message(session, &own, Role::Assistant)).await?;
    events
        .send(Event::Part(part(session, &own, &format!("{own}-text"), 1, text)))
        .await?;
    events.send(turn(session, Turn::Idle)).await
}

/// The turn of a prompt that names this rule.
pub async fn perform(events: &mut Events<Event>, session: &str, rule: &str) -> Sent {
    events.send(turn(session, Turn::Running)).await?;
    let own = format!("answer-{}", clock::now());
    let own = own.as_str();
    events.send(message(session, own, Role::Assistant)).await?;
    let mut text = "done".to_owned();
    match rule {
        "ended twice" => {
            events.send(turn(session, Turn::Running)).await?;
            for _ in 0..3 {
                events.send(turn(session, Turn::Idle)).await?;
            }
        }
        "another kind" => {
            events
                .send(Event::Part(part(session, own, "kind", 1, "[text]")))
                .await?;
            let tool = Part {
                content: Content::Tool(tool()),
                ..part(session, own, "kind", 2, "")
            };
            events.send(Event::Part(tool)).await?;
            events.send(delta(session, own, "kind", 3, "WRONG")).await?;
        }
        "a closed part" => {
            let closed = Part {
                closed: true,
                ..part(session, own, "closed", 1, "[closed]")
            };
            events.send(Event::Part(closed.clone())).await?;
            events.send(delta(session, own, "closed", 2, "WRONG")).await?;
            let again = Part {
                revision: 3,
                content: Content::Text("[closed again]".to_owned()),
                ..closed
            };
            events.send(Event::Part(again)).await?;
        }
        "no message" => {
            events
                .send(delta(session, "unreported-1", "u1", 1, "[begun by a delta]"))
                .await?;
            let part = part(session, "unreported-2", "u2", 1, "[begun by a part]");
            events.send(Event::Part(part)).await?;
        }
        "nothing to remove" => {
            let (message, session) = ("nothing".to_owned(), session.to_owned());
            events
                .send(Event::MessageRemoved(MessageRef {
                    session: session.clone(),
                    message: message.clone(),
                }))
                .await?;
            events
                .send(Event::PartRemoved(PartRef {
                    session: session.clone(),
                    message: own.to_owned(),
                    part: message.clone(),
                }))
                .await?;
            events
                .send(Event::RequestClosed(RequestRef {
                    session,
                    request: message,
                }))
                .await?;
        }
        "a stranger" => {
            events.send(turn("nobody-introduced", Turn::Running)).await?;
            events.send(message("nobody-introduced", "m", Role::Assistant)).await?;
            events
                .send(Event::Request(request("nobody-introduced", "r", permission("bash"))))
                .await?;
        }
        "opened again" => {
            events.send(Event::Starting("again".to_owned())).await?;
            events
                .send(Event::Opened(BackendConnection {
                    version: "2".to_owned(),
                    running: vec![TurnState {
                        session: session.to_owned(),
                        turn: Turn::Running,
                    }],
                    ..connection()
                }))
                .await?;
        }
        "a session of the host" => {
            events
                .send(Event::Session(info(session, "Named by the plugin")))
                .await?;
            events.send(Event::SessionRemoved(session.to_owned())).await?;
            events.send(message(session, "forged-user", Role::User)).await?;
        }
        "requests" => {
            for subject in ["WRONG", "bash"] {
                events
                    .send(Event::Request(request(session, "twice", permission(subject))))
                    .await?;
            }
            events.send(Event::Request(request(session, "ask", question()))).await?;
            events
                .send(Event::Request(request(session, "stays", permission("edit"))))
                .await?;
            let other = RequestKind::Other(ext("rules.wait", "{\"a\": 1}"));
            events.send(Event::Request(request(session, "own", other))).await?;
        }
        "ext" => events.send_all(records::with_ext(session)).await?,
        "usage" => events.send_all(records::with_usage(session)).await?,
        "permissions" => events.send_all(records::permissions(session)).await?,
        "questions" => events.send_all(records::questions(session)).await?,
        "notes" => {
            for value in ["1", "2"] {
                let note = BackendNote {
                    session: Some(session.to_owned()),
                    note: ext("rules.last", value),
                };
                events.send(Event::Other(note)).await?;
            }
            let nowhere = BackendNote {
                session: None,
                note: ext("rules.nowhere", "\"WRONG\""),
            };
            events.send(Event::Other(nowhere)).await?;
            for session in [Some(session.to_owned()), None] {
                let text = "It went wrong\u{202e}.".to_owned();
                events.send(Event::Error(BackendError { session, text })).await?;
            }
        }
        "not stopped" => {
            // The first stop is ignored.
            events.send(Event::Part(part(session, own, "running", 1, ""))).await?;
            let cancel = format!("cancel {session}");
            let before = calls(&cancel);
            for n in 0.. {
                let text = format!("[{n}]");
                events.send(delta(session, own, "running", n + 2, &text)).await?;
                clock::sleep(20).await;
                if calls(&cancel) >= before + 2 {
                    break;
                }
            }
        }
        other => {
            if let Some(what) = other.strip_prefix("count ") {
                text = format!("done {}", calls(what));
            } else if let Some(what) = other.strip_prefix("host ") {
                text = format!("done\n{}", capabilities::ask(what, session).await);
            }
        }
    }
    let end = Part {
        closed: true,
        ..part(session, own, &format!("{own}-zz"), 1, &text)
    };
    events.send(Event::Part(end)).await?;
    events.send(turn(session, Turn::Idle)).await
}
