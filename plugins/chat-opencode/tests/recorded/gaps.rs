//! What is known again after the stream was lost, and what a snapshot adds to it.

use super::host::*;
use chat_opencode::normalize::{Action, Page, closed_revision};
use chat_opencode::stream_event::{Envelope, Event as Line};
use chat_opencode::wire::{Message, Revert, Todo, WithParts};
use nexus_plugin_api::chat::types::{Content, Event, Role};

fn is_delta(line: &Envelope) -> bool {
    matches!(line.event, Line::Delta(_))
}

/// The message of the assistant that a line is about.
fn answer(line: &Envelope) -> Option<&Message> {
    match &line.event {
        Line::Message(message) if message.role == "assistant" => Some(message),
        _ => None,
    }
}

#[test]
fn after_a_gap_no_wrong_text_is_shown() {
    let all = envelopes(&fixture("plain.sse"));
    let third = all.iter().enumerate().filter(|(_, e)| is_delta(e)).nth(5).unwrap().0;
    let mut normalizer = normalizer();
    let mut events = apply(&mut normalizer, &all[..third]).events;
    normalizer.interrupted();
    // Two events are lost.
    let after = apply(&mut normalizer, &all[third + 2..]);
    assert!(
        !after.events.iter().any(
            |e| matches!(e, Event::Delta(d) if events.iter().any(|b| matches!(b, Event::Part(p) if p.id == d.part)))
        )
    );
    events.extend(after.events);
    let host = Host::see(&events);
    assert_eq!(
        host.texts(Role::Assistant),
        ["thought it over. alpha bravo charlie delta echo foxtrot "]
    );
    host.assert_settled();
}

#[test]
fn a_message_that_ended_during_a_gap_is_read_again() {
    let all = envelopes(&fixture("plain.sse"));
    let delta = all.iter().rposition(is_delta).unwrap();
    let completed = all.iter().rposition(|e| answer(e).is_some()).unwrap();
    let mut normalizer = normalizer();
    let mut events = apply(&mut normalizer, &all[..delta]).events;
    normalizer.interrupted();
    let out = apply(&mut normalizer, &all[completed..]);
    let [Action::Fetch { session, message }] = out.actions.as_slice() else {
        panic!("{:?}", out.actions)
    };
    events.extend(out.events);
    let text = all.iter().rev().find_map(|e| match &e.event {
        Line::Part(part) if part.kind == "text" => Some((**part).clone()),
        _ => None,
    });
    let whole = WithParts {
        info: answer(&all[completed]).unwrap().clone(),
        parts: vec![text.unwrap()],
    };
    assert_eq!((&whole.info.session, &whole.info.id), (session, message));
    events.extend(normalizer.restore(&whole).events);
    let host = Host::see(&events);
    assert_eq!(
        host.texts(Role::Assistant),
        ["thought it over. alpha bravo charlie delta echo foxtrot "]
    );
    host.assert_settled();
}

#[test]
fn a_snapshot_has_the_text_that_opencode_does_not_have_yet() {
    let all = envelopes(&fixture("plain.sse"));
    let delta = all.iter().rposition(is_delta).unwrap();
    let mut normalizer = normalizer();
    let events = apply(&mut normalizer, &all[..delta]).events;
    let Some(Event::Delta(last)) = events.last() else {
        panic!("{events:?}")
    };
    let part = serde_json::json!(
        {"id": last.part, "messageID": last.message, "sessionID": last.session, "type": "text", "text": ""}
    );
    let stored = WithParts {
        info: all.iter().find_map(answer).unwrap().clone(),
        parts: vec![serde_json::from_value(part).unwrap()],
    };
    let part = normalizer.snapshot_part(&stored.parts[0], &stored.info).unwrap();
    assert_eq!(
        part.content,
        Content::Text("thought it over. alpha bravo charlie delta echo ".to_owned())
    );
    assert_eq!((part.revision, part.closed), (last.revision, false));
    // Another instance knows nothing of it, and must not take away what the host has.
    assert_eq!(
        super::host::normalizer()
            .snapshot_part(&stored.parts[0], &stored.info)
            .unwrap()
            .revision,
        1
    );
}

#[test]
fn a_snapshot_of_the_past_is_newer_than_the_events_were() {
    let messages: Vec<WithParts> = serde_json::from_str(&fixture("messages.json")).unwrap();
    let out = play("tool.sse");
    let host = Host::see(&out.events);
    let mut seen = 0;
    for message in &messages {
        for part in &message.parts {
            let Some(kept) = normalizer().snapshot_part(part, &message.info) else {
                continue;
            };
            assert!(kept.closed);
            let live = &host.parts[&kept.id];
            assert_eq!(live.content, kept.content);
            assert!(kept.revision >= live.revision && kept.revision <= closed_revision(START + 10_000_000));
            seen += 1;
        }
    }
    assert_eq!(seen, host.parts.len());
}

/// What a snapshot makes the plugin tell beside it: the texts of a list of what is to be done, and the changed files.
fn told(events: &[Event]) -> Vec<(&str, Vec<&str>)> {
    let names = events.iter().map(|event| match event {
        Event::Todo(list) => ("todo", list.items.iter().map(|item| item.text.as_str()).collect()),
        Event::Changes(changes) => ("changes", changes.files.iter().map(|file| file.path.as_str()).collect()),
        other => panic!("{other:?}"),
    });
    names.collect()
}

#[test]
fn what_an_agent_has_to_do_and_has_changed_is_told_again_after_a_gap() {
    let all = envelopes(&fixture("changes.sse"));
    let todo = |text: &str| -> Vec<Todo> { serde_json::from_value(serde_json::json!([{ "content": text }])).unwrap() };
    let message = |id: &str, file: &str| -> WithParts {
        let diffs = serde_json::json!([{"file": file, "additions": 1, "status": "added"}]);
        let info = serde_json::json!({"id": id, "sessionID": "s", "role": "user", "summary": {"diffs": diffs}});
        serde_json::from_value(serde_json::json!({ "info": info })).unwrap()
    };
    let messages = &[message("m1", "a"), message("m2", "b")];
    let page = Page {
        messages,
        newest: true,
        oldest: true,
    };
    let mut normalizer = normalizer();
    assert!(normalizer.news().is_empty());
    for _ in 0..2 {
        normalizer.ask_todo("s");
        assert!(normalizer.read("s", page, None));
        assert_eq!(told(&normalizer.news()), [("changes", vec!["a", "b"])]);
        normalizer.read_todo("s", &todo("new"));
        assert_eq!(told(&normalizer.news()), [("todo", vec!["new"])]);
        assert!(normalizer.news().is_empty(), "it was told");
        // The same instance: what the host was told meanwhile is not known.
        normalizer.interrupted();
    }
    let revert: Revert = serde_json::from_value(serde_json::json!({"messageID": "m2"})).unwrap();
    assert!(normalizer.read("s", page, Some(&revert)));
    assert_eq!(told(&normalizer.news()), [("changes", vec!["a"])]);

    // An event that came while opencode was asked is newer than its answer.
    let todos = all.iter().find_map(|e| match &e.event {
        Line::Todo { session, .. } => Some((e, session.as_str())),
        _ => None,
    });
    let (event, session) = todos.unwrap();
    normalizer.ask_todo(session);
    let events = apply(&mut normalizer, std::slice::from_ref(event)).events;
    assert!(matches!(events[..], [Event::Todo(_)]), "{events:?}");
    normalizer.read_todo(session, &todo("old"));
    assert!(normalizer.news().is_empty());
}
