//! Records that say more than there may be, or what is none: `ext`, usage, and what is in requests. What must not be kept is called
//! `WRONG`.

use crate::turns::{ext, info, message_of, part, request};
use nexus_plugin_api::chat::Ext;
use nexus_plugin_api::chat::types::{
    Attachment, ChangeKind, Choice, Content, Detail, Event, FileChange, Message, Part, Permission, Question,
    RequestKind, Role, SessionInfo, Tool, ToolState, Usage,
};

/// Messages `kept`, `many` and `costly`, a call and a content that is the plugin's own, and the session itself.
pub fn with_ext(session: &str) -> Vec<Event> {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let long = format!("\"WRONG{}\"", "x".repeat(17 << 10));
    let kept = vec![
        ext("rules.kept", "{\"a\\u202e\": [1]}"),
        ext("rules.kept", "\"WRONG\""),
        ext("Rules Name", "\"WRONG\""),
        ext("", "\"WRONG\""),
        ext(&"x".repeat(65), "\"WRONG\""),
        ext("rules.broken", "{\"WRONG\""),
        ext("rules.empty", ""),
        ext("rules.long", &long),
        ext("rules.nested", &nested(64)),
        ext("rules.deep", &nested(65)),
        ext("rules.deepest", &nested(5_000)),
    ];
    let many = (0..40).map(|n| ext(&format!("n{n}"), "null")).collect();
    // Short to write and long to hold.
    let costly = format!("[{}]", vec!["[]"; 5_000].join(","));
    let costly = (0..16).map(|n| ext(&format!("n{n}"), &costly)).collect();
    let message = |id: &str, ext: Vec<Ext>| {
        Event::Message(Message {
            ext,
            ..message_of(session, id, Role::Assistant)
        })
    };
    let called = Tool {
        ext: vec![ext("rules.kept", "1"), ext("rules.broken", "WRONG")],
        ..tool()
    };
    let of_session = (0..5).map(|n| ext(&format!("n{n}"), &format!("{:?}", "x".repeat(1_000))));
    vec![
        message("kept", kept),
        message("many", many),
        message("costly", costly),
        of_kept(session, "call", Content::Tool(called)),
        of_kept(session, "own", Content::Other(ext("rules.own", "WRONG"))),
        Event::Session(SessionInfo {
            ext: of_session.collect(),
            ..info(session, "With values")
        }),
    ]
}

/// A message for each odd cost, with more tokens than can be counted; a file that is larger, and a change of more lines, than there are.
pub fn with_usage(session: &str) -> Vec<Event> {
    let costs = [
        ("nan", f64::NAN),
        ("infinite", f64::INFINITY),
        ("negative", -0.5),
        ("giant", f64::MAX),
        ("kept", 0.25),
    ];
    let mut events: Vec<Event> = costs
        .into_iter()
        .map(|(id, cost)| {
            let usage = Usage {
                input: u64::MAX,
                output: 0,
                reasoning: (1 << 53) + 1,
                cache_read: u64::MAX,
                cache_write: 7,
                cost: Some(cost),
            };
            Event::Message(Message {
                usage: Some(usage),
                ..message_of(session, id, Role::Assistant)
            })
        })
        .collect();
    let file = Attachment {
        id: None,
        mime: "image/png".to_owned(),
        name: None,
        size: Some(u64::MAX),
    };
    let counted = Tool {
        changes: vec![change("a", "+a\n")],
        ..tool()
    };
    events.extend([
        of_kept(session, "file", Content::Attachment(file)),
        of_kept(session, "call", Content::Tool(counted)),
    ]);
    events
}

pub fn permissions(session: &str) -> Vec<Event> {
    let pattern = |length: usize| "p".repeat(length);
    let permission = |id: &str, always: Vec<String>| {
        let permission = Permission {
            subject: "bash".to_owned(),
            detail: "ls".to_owned(),
            always,
            changes: Vec::new(),
            details: Vec::new(),
            paths: Vec::new(),
            obeyed: Vec::new(),
        };
        (id.to_owned(), permission)
    };
    let detail = |text: &str| Detail {
        name: "Twice".to_owned(),
        text: text.to_owned(),
    };
    let all = [
        permission("patterns", (0..65).map(|n| format!("WRONG {n}")).collect()),
        permission("a long pattern", vec![pattern(8 << 10), pattern((8 << 10) + 1)]),
        permission("an empty pattern", vec!["WRONG".to_owned(), String::new()]),
        permission(
            "a pattern twice",
            vec!["ls *".to_owned(), "ls *".to_owned(), "rm *".to_owned()],
        ),
        {
            let (id, permission) = permission("details", Vec::new());
            let details = vec![detail("t"); 300];
            (id, Permission { details, ..permission })
        },
        {
            let (id, permission) = permission("a long detail", Vec::new());
            let details = vec![detail(&"d".repeat(300 << 10)), detail("WRONG")];
            (id, Permission { details, ..permission })
        },
        {
            let (id, permission) = permission("changes", Vec::new());
            let changes = (0..300).map(|n| change(&format!("f{n}"), "+a\n")).collect();
            (id, Permission { changes, ..permission })
        },
        {
            let (id, permission) = permission("a long change", Vec::new());
            let changes = vec![change("a", &"+a\n".repeat(100 << 10)), change("b", "+WRONG\n")];
            (id, Permission { changes, ..permission })
        },
    ];
    let asked = |(id, permission): (String, Permission)| {
        Event::Request(request(session, &id, RequestKind::Permission(permission)))
    };
    all.into_iter().map(asked).collect()
}

pub fn questions(session: &str) -> Vec<Event> {
    let choice = |label: &str| Choice {
        label: label.to_owned(),
        description: String::new(),
    };
    let question = |choices: Vec<Choice>| Question {
        header: "Which".to_owned(),
        text: "Which one?".to_owned(),
        choices,
        multiple: false,
        allow_custom: false,
    };
    let odd = ["Red", "", " ", "Red", "Red\u{202e}", "Red\u{202e}", "Blue"];
    let all = [
        ("no question", Vec::new()),
        ("questions", vec![question(vec![choice("a")]); 40]),
        (
            "choices",
            vec![question((0..100).map(|n| choice(&format!("c{n}"))).collect())],
        ),
        ("odd choices", vec![question(odd.map(choice).to_vec())]),
        ("no choice", vec![question(Vec::new()), question(vec![choice("")])]),
    ];
    let asked = |(id, questions)| Event::Request(request(session, id, RequestKind::Questions(questions)));
    let mut events: Vec<Event> = all.into_iter().map(asked).collect();
    let other = RequestKind::Other(ext("rules.wait", "WRONG"));
    events.push(Event::Request(request(session, "a broken value", other)));
    events
}

/// A part of the message `kept`.
fn of_kept(session: &str, id: &str, content: Content) -> Event {
    Event::Part(Part {
        content,
        ..part(session, "kept", id, 1, "")
    })
}

fn change(path: &str, diff: &str) -> FileChange {
    FileChange {
        path: path.to_owned(),
        kind: ChangeKind::Modified,
        diff: Some(diff.to_owned()),
        added_lines: u32::MAX,
        deleted_lines: u32::MAX,
    }
}

pub fn tool() -> Tool {
    Tool {
        name: "bash".to_owned(),
        title: None,
        state: ToolState::Running,
        input: "{}".to_owned(),
        output: None,
        error: None,
        changes: Vec::new(),
        attachments: Vec::new(),
        child: None,
        started_at: None,
        ended_at: None,
        ext: Vec::new(),
    }
}
