//! What the contract says that no plugin does.

use crate::{info_of, turn_of};
use nexus_plugin_api::chat::Ext;
use nexus_plugin_api::chat::types::{
    AgentRequest, Attachment, BackendError, BackendNote, ChangeKind, Choice, Content, Delta, Detail, Event, FileChange,
    Message, MessageRef, Part, PartRef, Path, Permission, Question, RequestKind, RequestRef, Retry, Role,
    SessionChanges, TodoItem, TodoList, TodoState, Tool, ToolState, Turn, Usage,
};
use nexus_plugin_api::job::{Events, HostDisconnected};

fn part(session: &str, message: &str, id: &str, revision: u64, text: String) -> Part {
    Part {
        id: id.to_owned(),
        message: message.to_owned(),
        session: session.to_owned(),
        revision,
        closed: false,
        content: Content::Text(text),
    }
}

fn message(session: &str, id: String, at: u64) -> Message {
    Message {
        id,
        session: session.to_owned(),
        role: Role::Assistant,
        created_at: at,
        completed_at: Some(at),
        error: Some("e".repeat(1 << 20)),
        model: Some("m".repeat(1 << 20)),
        agent: Some("a".repeat(1 << 20)),
        usage: Some(Usage {
            input: u64::MAX,
            output: u64::MAX,
            reasoning: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            cost: Some(f64::NAN),
        }),
        client_id: None,
        ext: Vec::new(),
    }
}

/// So many changes, more than are kept.
fn changes(count: usize) -> Vec<FileChange> {
    let change = FileChange {
        path: "p".repeat(1 << 10),
        kind: ChangeKind::Modified,
        diff: Some("@@\u{1b}[2J".to_owned()),
        added_lines: u32::MAX,
        deleted_lines: u32::MAX,
    };
    vec![change; count]
}

/// Values that are none: no name, no JSON, twice the same name, and more than anybody keeps.
fn ext() -> Vec<Ext> {
    let ext = |name: &str, value: String| Ext {
        name: name.to_owned(),
        value,
    };
    vec![
        ext("", "1".to_owned()),
        ext("Not A Name", "1".to_owned()),
        ext("zz.json", "{not json".to_owned()),
        ext("zz.twice", "1".to_owned()),
        ext("zz.twice", "2".to_owned()),
        ext("zz.long", format!("\"{}\"", "l".repeat(1 << 20))),
    ]
}

fn permission() -> RequestKind {
    let detail = Detail {
        name: "n".repeat(1 << 10),
        text: "t".repeat(1 << 10),
    };
    let path = Path {
        path: "no/absolute/path".to_owned(),
        new: true,
        guessed: true,
    };
    RequestKind::Permission(Permission {
        subject: "s".repeat(1 << 20),
        detail: "d".repeat(1 << 20),
        always: vec!["a".to_owned(); 100_000],
        changes: changes(2_000),
        details: vec![detail; 2_000],
        paths: vec![path; 2_000],
        obeyed: vec!["o".to_owned(); 2_000],
    })
}

fn questions() -> RequestKind {
    let choice = Choice {
        label: "l".repeat(1 << 10),
        description: "d".repeat(1 << 10),
    };
    let question = Question {
        header: "h".repeat(1 << 10),
        text: "t".repeat(1 << 10),
        choices: vec![choice; 100],
        multiple: true,
        allow_custom: true,
    };
    RequestKind::Questions(vec![question; 20])
}

/// In this session; `own` is the message that it is answering with. Ends with all as it should be.
pub async fn send(events: &mut Events<Event>, session: &str, own: &str) -> Result<(), HostDisconnected> {
    let part = |id: &str, revision, text: &str| part(session, own, id, revision, text.to_owned());
    let delta = |id: &str, revision| {
        Event::Delta(Delta {
            part: id.to_owned(),
            message: own.to_owned(),
            session: session.to_owned(),
            revision,
            text: "WRONG".to_owned(),
        })
    };
    // Revisions that go backwards, of a part of their own.
    events.send(Event::Part(part("zz-order", 50, "[in order]"))).await?;
    events.send(Event::Part(part("zz-order", 3, "WRONG"))).await?;
    events.send(delta("zz-order", 50)).await?;
    events.send(delta("zz-order", 0)).await?;
    // A revision after which there can be none.
    events.send(Event::Part(part("zz-last", u64::MAX, "[last]"))).await?;
    events.send(delta("zz-last", u64::MAX)).await?;
    // Ids that are none.
    events.send(Event::Part(part("", 1, "WRONG"))).await?;
    events.send(Event::Part(part(&"i".repeat(1 << 20), 1, "WRONG"))).await?;
    events
        .send(Event::Message(message(session, "n".repeat(1 << 20), 1)))
        .await?;
    events
        .send(Event::Message(message("", "nowhere".to_owned(), 1)))
        .await?;
    events
        .send(Event::Turn(turn_of(&"s".repeat(1 << 20), Turn::Running)))
        .await?;
    // Times that no calendar has.
    let mut session_info = info_of(session);
    session_info.title = "t".repeat(1 << 20);
    session_info.created_at = u64::MAX;
    session_info.updated_at = u64::MAX;
    events.send(Event::Session(session_info)).await?;
    events
        .send(Event::Message(message(session, "zz-late".to_owned(), u64::MAX)))
        .await?;
    events
        .send(Event::MessageRemoved(MessageRef {
            session: session.to_owned(),
            message: "zz-late".to_owned(),
        }))
        .await?;
    // More than anybody reads.
    events
        .send(Event::Part(part("zz-long", 1, &"y".repeat(12 << 20))))
        .await?;
    events
        .send(Event::PartRemoved(PartRef {
            session: session.to_owned(),
            message: own.to_owned(),
            part: "zz-long".to_owned(),
        }))
        .await?;
    let tool = Tool {
        name: "n".repeat(1 << 20),
        title: Some("t".repeat(1 << 20)),
        state: ToolState::Running,
        input: "{not json".repeat(1 << 16),
        output: Some("o".repeat(6 << 20)),
        error: Some("\u{0}\u{1b}[2J".to_owned()),
        changes: changes(2_000),
        attachments: (0..2_000)
            .map(|_| Attachment {
                id: Some("i".repeat(1 << 10)),
                mime: "m".repeat(1 << 10),
                name: Some("\u{1b}[2J".repeat(1 << 10)),
                size: Some(u64::MAX),
            })
            .collect(),
        child: Some("s".repeat(1 << 20)),
        started_at: Some(u64::MAX),
        ended_at: Some(0),
        ext: ext(),
    };
    let content = Content::Tool(tool);
    let closed = Part {
        content,
        closed: true,
        ..part("zz-tool", 1, "")
    };
    events.send(Event::Part(closed)).await?;
    events.send(delta("zz-tool", 9)).await?;
    for kind in [permission(), questions()] {
        let request = AgentRequest {
            id: "zz-ask".to_owned(),
            session: session.to_owned(),
            requested_by: session.to_owned(),
            kind,
            message: None,
            part: None,
            created_at: u64::MAX,
            ext: ext(),
        };
        events.send(Event::Request(request)).await?;
        let closed = RequestRef {
            session: session.to_owned(),
            request: "zz-ask".to_owned(),
        };
        events.send(Event::RequestClosed(closed)).await?;
    }
    let item = TodoItem {
        text: "t".repeat(1 << 10),
        state: TodoState::Pending,
    };
    let todo = TodoList {
        session: session.to_owned(),
        items: vec![item; 5_000],
    };
    events.send(Event::Todo(todo)).await?;
    let changed = SessionChanges {
        session: session.to_owned(),
        files: changes(5_000),
    };
    events.send(Event::Changes(changed)).await?;
    for note in ext() {
        let session = Some(session.to_owned());
        events.send(Event::Other(BackendNote { session, note })).await?;
    }
    let retry = Retry {
        attempt: u32::MAX,
        message: "r".repeat(1 << 20),
        next_at: Some(u64::MAX),
    };
    events
        .send(Event::Turn(turn_of(session, Turn::Retrying(retry))))
        .await?;
    events.send(Event::Turn(turn_of(session, Turn::Running))).await?;
    // Without a session, into the log: as long as it likes, and as often.
    for n in 0..2_000 {
        events
            .send(Event::Error(BackendError {
                session: None,
                text: format!("complaint {n}\nERROR forged {}", "c".repeat(2_000)),
            }))
            .await?;
    }
    Ok(())
}

/// Into a session of another plugin.
pub async fn forge(events: &mut Events<Event>, session: &str) -> Result<(), HostDisconnected> {
    for n in 0..2_000 {
        events
            .send(Event::Message(message(session, format!("forged-{n}"), 1)))
            .await?;
        events
            .send(Event::Part(part(
                session,
                &format!("forged-{n}"),
                "forged",
                1,
                "WRONG".to_owned(),
            )))
            .await?;
    }
    events.send(Event::Turn(turn_of(session, Turn::Running))).await?;
    events
        .send(Event::Error(BackendError {
            session: Some(session.to_owned()),
            text: "WRONG".to_owned(),
        }))
        .await?;
    events.send(Event::SessionRemoved(session.to_owned())).await
}
