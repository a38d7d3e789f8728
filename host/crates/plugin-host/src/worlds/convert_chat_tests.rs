#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::convert_chat_event::{SkippedEvent, backend_event};
use super::*;
use nexus_plugin_traits::BackendEvent;
use serde_json::json;

/// Everything that a text of a plugin might try, and how it is shown as a line and as prose.
const HOSTILE: &str = "a\u{1b}]0;t\u{7}\u{9b}2J\u{202e}b\u{200b}\nc";
const LINE: &str = "a⟨U+001B⟩]0;t⟨U+0007⟩⟨U+009B⟩2J⟨U+202E⟩b⟨U+200B⟩ c";
const PROSE: &str = "a⟨U+001B⟩]0;t⟨U+0007⟩⟨U+009B⟩2J⟨U+202E⟩b⟨U+200B⟩\nc";

fn text() -> String {
    HOSTILE.to_owned()
}

/// Converts what a plugin named `acme` said.
fn heard<T>(convert: impl FnOnce(&Speaker<'_>) -> T) -> T {
    convert(&Speaker::new("acme", &Mask::default()))
}

fn ext(name: &str, value: &str) -> types::Ext {
    types::Ext {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn permission(subject: &str, detail: &str) -> wit::Permission {
    wit::Permission {
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        always: vec![text()],
        changes: Vec::new(),
        details: Vec::new(),
        paths: Vec::new(),
        obeyed: Vec::new(),
    }
}

fn asked(kind: wit::RequestKind) -> wit::AgentRequest {
    wit::AgentRequest {
        id: "a".to_owned(),
        session: "s".to_owned(),
        requested_by: "s".to_owned(),
        kind,
        message: Some(text()),
        part: None,
        created_at: 1,
        ext: Vec::new(),
    }
}

fn seen(kind: wit::RequestKind) -> chat::AgentRequest {
    heard(|by| request(asked(kind), by))
}

fn seen_permission(change: impl FnOnce(&mut wit::Permission)) -> chat::AgentRequest {
    let mut permission = permission("edit", "x");
    change(&mut permission);
    seen(wit::RequestKind::Permission(permission))
}

fn file(path: &str, diff: Option<&str>) -> wit::FileChange {
    wit::FileChange {
        path: path.to_owned(),
        kind: wit::ChangeKind::Modified,
        diff: diff.map(str::to_owned),
        added_lines: 1,
        deleted_lines: 2,
    }
}

#[test]
fn what_is_asked_is_shown_to_the_letter() {
    let shown = |detail: &str| seen(wit::RequestKind::Permission(permission(HOSTILE, detail)));
    let hostile = shown("ls \u{202e}#; fr- mr\u{202c}; echo a\u{200b}b\u{a0}c; \u{440}m");
    assert_eq!(
        hostile.detail,
        "ls ⟨U+202E⟩#; fr- mr⟨U+202C⟩; echo a⟨U+200B⟩b⟨U+00A0⟩c; ⟨U+0440⟩m"
    );
    assert_eq!(hostile.subject, PROSE);
    assert_eq!(hostile.always, [PROSE]);
    assert_eq!(hostile.message.as_deref(), Some(PROSE));
    assert!(hostile.permission);
    assert_eq!(
        shown("git commit -m '修复（测试）👩\u{200d}💻'").detail,
        "git commit -m '修复（测试）👩\u{200d}💻'"
    );
}

#[test]
fn no_text_of_a_session_keeps_what_a_terminal_or_a_reader_obeys() {
    let session = wit::SessionInfo {
        ref_: wit::SessionRef {
            workspace: text(),
            id: "s".to_owned(),
        },
        parent: None,
        title: text(),
        created_at: 1,
        updated_at: 1,
        archived: true,
        reverted: Some(text()),
        ext: Vec::new(),
    };
    let session = heard(|by| session_info(session, by));
    assert_eq!((session.title.as_str(), session.archived), (LINE, true));
    // What is no id is none.
    assert_eq!(session.reverted, None);
    let message = wit::Message {
        id: "m".to_owned(),
        session: "s".to_owned(),
        role: wit::Role::System,
        created_at: 1,
        completed_at: None,
        error: Some(text()),
        model: Some(text()),
        agent: Some(text()),
        usage: None,
        client_id: None,
        ext: Vec::new(),
    };
    let message = heard(|by| super::message(message, by));
    assert_eq!(message.role, chat::Role::System);
    let said = format!("{message:?}{:?}", heard(|by| content(wit::Content::Text(text()), by)));
    // `Debug` escapes what is left.
    assert!(!said.contains("\\u{") && said.contains("⟨U+202E⟩"), "{said}");
}

#[test]
fn a_secret_of_the_plugin_is_in_nothing_that_it_answers() {
    use nexus_config::resolved::Secret;
    let given = std::collections::BTreeMap::from([("key".to_owned(), Secret::new("s3cr3t-value"))]);
    let mask = &Mask::of(&given, &std::sync::Arc::default(), "p");
    let by = &Speaker::new("p", mask);
    // The second where the text is cut: half of it would be as bad.
    let edge = format!("{}s3cr3t-value", "x".repeat(limits::SENTENCE_BYTES - 4));
    for said in ["it was refused: s3cr3t-value".to_owned(), edge] {
        let said = || said.clone();
        let turn = wit::TurnState {
            session: "s".to_owned(),
            turn: wit::Turn::Retrying(wit::Retry {
                attempt: 1,
                message: said(),
                next_at: None,
            }),
        };
        let error = wit::BackendError {
            session: None,
            text: said(),
        };
        let shown = [
            format!("{:?}", backend_event(wit::Event::Starting(said()), by)),
            format!("{:?}", backend_event(wit::Event::Error(error), by)),
            format!("{:?}", backend_event(wit::Event::Turn(turn), by)),
            format!("{:?}", admission(wit_chat::Admission::Refused(said()), mask)),
            format!("{:?}", admission(wit_chat::Admission::Unknown(said()), mask)),
        ];
        for shown in shown {
            assert!(!shown.contains("s3cr"), "{shown}");
        }
    }
}

#[test]
fn what_goes_no_further_is_named() {
    let turn = |session: &str| {
        wit::Event::Turn(wit::TurnState {
            session: session.to_owned(),
            turn: wit::Turn::Idle,
        })
    };
    let refused = |event: wit::Event| heard(|by| backend_event(event, by)).err();
    assert_eq!(refused(turn("s")), None);
    for id in ["", "s\u{1b}[2J", "s\n", &"s".repeat(600)] {
        assert_eq!(refused(turn(id)), Some(SkippedEvent::NoId("turn")), "{id:?}");
    }
    let error = wit::BackendError {
        session: None,
        text: text(),
    };
    assert_eq!(
        refused(wit::Event::Error(error)),
        Some(SkippedEvent::Error(PROSE.to_owned()))
    );
    let note = wit::BackendNote {
        session: None,
        note: ext("acme.x", "1"),
    };
    assert_eq!(
        refused(wit::Event::Other(note)),
        Some(SkippedEvent::NoSession("acme.x".to_owned()))
    );
}

#[test]
fn what_is_agreed_to_is_seen_as_it_is_and_has_a_bound() {
    let shown = seen_permission(|p| {
        p.detail = "ls \u{202e}#; fr- mr".to_owned();
        p.always = vec!["*\u{202e}".to_owned()];
        p.changes = vec![file("a\u{202e}", Some("-a\n+\u{200b}b\n")), file("b", None)];
    });
    assert_eq!(shown.detail, "ls ⟨U+202E⟩#; fr- mr");
    assert_eq!(shown.always, ["*⟨U+202E⟩"]);
    let [first, second] = shown.changes.as_slice() else {
        panic!("{shown:?}")
    };
    assert_eq!(
        (first.path.as_str(), first.diff.as_deref()),
        ("a⟨U+202E⟩", Some("-a\n+⟨U+200B⟩b\n"))
    );
    assert_eq!(
        (second.diff.as_deref(), second.added_lines, second.deleted_lines),
        (None, 1, 2)
    );
    let long = "y".repeat(limits::REQUEST_CHANGE + 5);
    let shown = seen_permission(|p| {
        p.detail = "x".repeat(limits::REQUEST_DETAIL + 5);
        p.changes = vec![file("a", Some(&long)), file("b", Some(&long))];
    });
    let diffs: Vec<&str> = shown
        .changes
        .iter()
        .filter_map(|change| change.diff.as_deref())
        .collect();
    for shown in [&[shown.detail.as_str()], diffs.as_slice()].concat() {
        assert!(shown.ends_with("more bytes are not shown here⟩"), "{}", shown.len());
    }
    assert!(shown.detail.len() < limits::REQUEST_DETAIL + 100);
    let all: usize = diffs.iter().map(|diff| diff.len()).sum();
    assert!(all < limits::REQUEST_CHANGE + 300, "{all}");
    // More files than are shown: the page does not let it be allowed.
    let many = seen_permission(|p| p.changes = vec![file("a", Some("-a\n")); limits::FILE_CHANGES + 3]);
    assert_eq!(many.changes.len(), limits::FILE_CHANGES);
    let told = many.details.last().map(|detail| detail.text.as_str());
    assert_eq!(told, Some("⟨the changes of 3 more files are not shown here⟩"));
}

#[test]
fn details_are_cleaned_and_what_is_left_out_is_marked() {
    let detail = |name: &str, text: &str| wit::Detail {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let details = |all: Vec<wit::Detail>| seen_permission(|p| p.details = all).details;
    let one = details(vec![detail("In the folder\u{202e}", "a\r\nb")]);
    assert_eq!(
        one.first().map(|d| (d.name.as_str(), d.text.as_str())),
        Some(("In the folder⟨U+202E⟩", "a⟨U+000D⟩\nb"))
    );
    let long = "x".repeat(limits::REQUEST_DETAILS_BYTES);
    let cut = details(vec![detail("a", &long), detail("b", "more")]);
    assert!(
        cut.last().unwrap().text.ends_with("more bytes are not shown here⟩"),
        "{:?}",
        cut.last()
    );
    assert!(cut.iter().map(|d| d.text.len()).sum::<usize>() < limits::REQUEST_DETAILS_BYTES + 100);
    let many = details(vec![detail("n", "t"); limits::REQUEST_DETAILS + 2]);
    assert_eq!(many.len(), limits::REQUEST_DETAILS + 1);
    assert!(many.last().unwrap().text.ends_with("not shown here⟩"));
    assert!(details(Vec::new()).is_empty());
}

#[test]
fn questions_come_typed_and_within_bounds() {
    let choice = wit::Choice {
        label: "A\u{202e}".to_owned(),
        description: "d".to_owned(),
    };
    let one = wit::Question {
        header: "H".to_owned(),
        text: "Which?".to_owned(),
        choices: vec![choice.clone()],
        multiple: true,
        allow_custom: false,
    };
    let shown = |all: Vec<wit::Question>| seen(wit::RequestKind::Questions(all));
    let first = shown(vec![one.clone()]);
    assert_eq!((first.permission, first.detail.as_str()), (false, "Which?"));
    let first = first.questions.first().unwrap();
    let label = first.choices.first().map(|choice| choice.label.as_str());
    assert_eq!(
        (label, first.multiple, first.allow_custom),
        (Some("A⟨U+202E⟩"), true, false)
    );
    let many = shown(vec![one.clone(); limits::REQUEST_QUESTIONS + 3]);
    assert_eq!(many.questions.len(), limits::REQUEST_QUESTIONS);
    let labels = |labels: Vec<String>| {
        let choice = |label| wit::Choice {
            label,
            description: String::new(),
        };
        let question = wit::Question {
            choices: labels.into_iter().map(choice).collect(),
            ..one.clone()
        };
        let mask = Mask::default();
        let by = Speaker::new("acme", &mask);
        let shown = request(asked(wit::RequestKind::Questions(vec![question])), &by);
        (shown.questions.into_iter().next().unwrap(), by.left_out().len())
    };
    let (wide, left_out) = labels((0..limits::REQUEST_CHOICES + 3).map(|n| n.to_string()).collect());
    assert_eq!((wide.choices.len(), left_out), (limits::REQUEST_CHOICES, 1));
    // A choice is known by its label, and without one the question is answered in a text.
    let (odd, left_out) = labels(["a", "", " ", "a", "b"].map(str::to_owned).to_vec());
    let kept: Vec<&str> = odd.choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!((kept, odd.allow_custom, left_out), (vec!["a", "b"], false, 1));
    let (none, left_out) = labels(vec![String::new()]);
    assert_eq!((none.choices.len(), none.allow_custom, left_out), (0, true, 1));
    let answers = vec![vec!["A".to_owned()], vec![]];
    let Reply::Questions(given) = reply(chat::Answer::Answers {
        answers: answers.clone(),
    }) else {
        panic!("they are for the questions")
    };
    assert_eq!(given, answers);
}

#[test]
fn a_request_that_only_the_backend_has_a_word_for_is_passed_on_whole() {
    let shown = seen(wit::RequestKind::Other(ext("acme.pin", "{\"digits\": 4}")));
    assert!(!shown.permission && shown.questions.is_empty());
    assert_eq!(shown.subject, "acme.pin");
    assert_eq!(
        serde_json::to_value(&shown.ext).unwrap(),
        json!({"acme": {"acme.pin": {"digits": 4}}})
    );
    let (name, value) = ("acme.pin".to_owned(), json!("1234"));
    let Reply::Core(wit::Answer::Other(given)) = reply(chat::Answer::Other { name, value }) else {
        panic!("it is for the backend")
    };
    assert_eq!((given.name.as_str(), given.value.as_str()), ("acme.pin", "\"1234\""));
}

#[test]
fn what_only_the_plugin_has_a_word_for_is_kept_with_what_it_belongs_to() {
    let tool = wit::Tool {
        name: "bash".to_owned(),
        title: None,
        state: wit::ToolState::Rejected,
        input: "{}".to_owned(),
        output: None,
        error: Some("use find".to_owned()),
        changes: vec![file("a", Some("-a\n"))],
        attachments: vec![
            wit::Attachment {
                id: Some("a\u{1b}".to_owned()),
                mime: "image/png\n".to_owned(),
                name: None,
                size: Some(3),
            };
            200
        ],
        child: Some("child\u{1b}".to_owned()),
        started_at: None,
        ended_at: Some(2),
        ext: vec![ext("acme.exit", "1"), ext("acme.broken", "{")],
    };
    let mask = Mask::default();
    let by = Speaker::new("acme", &mask);
    let chat::Content::Tool(call) = content(wit::Content::Tool(tool), &by) else {
        panic!("it is a call")
    };
    assert_eq!(
        (call.state, call.error.as_deref(), call.ended_at, call.changes.len()),
        (chat::ToolState::Rejected, Some("use find"), Some(2), 1)
    );
    // What is no id is none.
    assert_eq!(call.child, None);
    assert_eq!(call.attachments.len(), limits::LIST_ENTRIES);
    let file = &call.attachments[0];
    assert_eq!((file.id.as_deref(), file.mime.as_str()), (None, "image/png "));
    assert_eq!(
        serde_json::to_value(&call.ext).unwrap(),
        json!({"acme": {"acme.exit": 1}})
    );
    assert_eq!(by.left_out().len(), 1);
    let other = heard(|by| content(wit::Content::Other(ext("acme.card", "[1]")), by));
    assert_eq!(
        other,
        chat::Content::Other {
            name: "acme.card".to_owned(),
            value: json!([1])
        }
    );
    let note = wit::BackendNote {
        session: Some("s".to_owned()),
        note: ext("acme.share", "\"https://a.example\""),
    };
    let Ok(BackendEvent::Event(event)) = heard(|by| backend_event(wit::Event::Other(note), by)) else {
        panic!("it is of a session")
    };
    let chat::Event::Note { ext } = event.event else {
        panic!("it is a note")
    };
    assert_eq!(
        serde_json::to_value(ext).unwrap(),
        json!({"acme": {"acme.share": "https://a.example"}})
    );
}

#[test]
fn a_plugin_that_says_what_cannot_be_kept_does_not_fill_the_host() {
    let mask = Mask::default();
    let by = Speaker::new("acme", &mask);
    for _ in 0..10_000 {
        by.ext(vec![ext("Not a name", "1")]);
    }
    assert_eq!(by.left_out().len(), limits::LIST_ENTRIES);
}

#[test]
fn what_an_answer_took_is_counted_and_no_cost_is_odd() {
    let took = |cost: f64| {
        usage(wit::Usage {
            input: 1,
            output: u64::MAX,
            reasoning: 3,
            cache_read: 4,
            cache_write: 5,
            cost: Some(cost),
        })
    };
    assert_eq!(took(0.25).cost, Some(0.25));
    assert_eq!(took(0.25).output, 1 << 53);
    for odd in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(took(odd).cost, None, "{odd}");
    }
}

#[test]
fn the_agents_list_and_its_changes_have_an_end_and_no_diffs() {
    let todo = wit::TodoList {
        session: "s".to_owned(),
        items: vec![
            wit::TodoItem {
                text: text(),
                state: wit::TodoState::InProgress
            };
            limits::TODO_ITEMS + 1
        ],
    };
    let event = |event| match heard(|by| backend_event(event, by)) {
        Ok(BackendEvent::Event(event)) => event.event,
        other => panic!("{other:?}"),
    };
    let chat::Event::Todo { items } = event(wit::Event::Todo(todo)) else {
        panic!("it is a list")
    };
    assert_eq!(items.len(), limits::TODO_ITEMS);
    assert_eq!(
        items.first().map(|item| (item.text.as_str(), item.state)),
        Some((LINE, chat::TodoState::InProgress))
    );
    let changes = wit::SessionChanges {
        session: "s".to_owned(),
        files: vec![file(&"a".repeat(limits::SENTENCE_BYTES), Some("-a\n")); limits::SESSION_CHANGES + 1],
    };
    let chat::Event::Changes { files } = event(wit::Event::Changes(changes)) else {
        panic!("they are changes")
    };
    assert_eq!(files.len(), limits::SESSION_CHANGES);
    let short = |file: &chat::FileChange| file.path.len() <= limits::CHANGED_PATH_BYTES;
    assert!(files.iter().all(|file| file.diff.is_none() && short(file)));
}

#[test]
fn lists_and_texts_of_a_plugin_have_ends() {
    // What cannot be shown is not allowed for good.
    let patterns = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let long = |bytes: usize| vec!["x".repeat(bytes), "ls *".to_owned()];
    for (always, kept) in [
        (patterns(limits::LIST_ENTRIES), limits::LIST_ENTRIES),
        (patterns(limits::LIST_ENTRIES + 1), 0),
        (long(limits::SENTENCE_BYTES), 2),
        (long(limits::SENTENCE_BYTES + 1), 0),
        (long(0), 0),
        (vec!["ls *".to_owned(); 3], 1),
    ] {
        assert_eq!(seen_permission(|p| p.always = always).always.len(), kept);
    }
    let long = || "x".repeat(2 * limits::PART_BYTES);
    let chat::Content::Text { text } = heard(|by| content(wit::Content::Text(long()), by)) else {
        panic!("it is a text")
    };
    assert!(text.len() <= limits::PART_BYTES, "{}", text.len());
}

#[test]
fn what_a_connection_opens_with_has_an_end() {
    let turn = |n: usize| wit::TurnState {
        session: format!("s{n}"),
        turn: wit::Turn::Running,
    };
    let many = 2 * limits::OPEN_SESSIONS;
    let opened = wit::BackendConnection {
        id: "e".to_owned(),
        version: "1".to_owned(),
        running: (0..many).map(turn).collect(),
        requests: (0..many)
            .map(|_| asked(wit::RequestKind::Permission(permission("bash", "x"))))
            .collect(),
    };
    let Ok(BackendEvent::Opened(opened)) = heard(|by| backend_event(wit::Event::Opened(opened), by)) else {
        panic!("it opened")
    };
    assert_eq!(opened.running.len(), limits::OPEN_SESSIONS);
    assert_eq!(opened.requests.len(), limits::OPEN_SESSIONS);
}
