//! A backend without any optional interface: the sessions and what was said in them are the host's.

use super::*;
use nexus_model::chat::{ChangeKind, Ext, FileChange, Part, TodoItem, TodoState};
use nexus_plugin_traits::Transcripts as _;
use std::collections::BTreeMap;

/// A rig whose backend has the core interface alone, and the stream of its open connection.
async fn core_alone() -> (Rig, mpsc::Sender<BackendEvent>) {
    let mut rig = rig();
    rig.backend.features.lock().unwrap().clear();
    let stream = rig.stream().await;
    stream.send(opened("e1", &[])).await.unwrap();
    settle().await;
    (rig, stream)
}

fn said(session: &str, message: &str, text: &str) -> [BackendEvent; 2] {
    let part = Part {
        id: format!("{message}-text"),
        message: message.to_owned(),
        revision: 1,
        closed: true,
        content: Content::Text { text: text.to_owned() },
    };
    let message = Message {
        completed_at: Some(2),
        ..Message::new(message.to_owned(), Role::Assistant, u64::MAX / 4)
    };
    [
        event(session, Event::Message { message }),
        event(session, Event::Part { part }),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_host_makes_the_session_titles_it_and_keeps_what_was_said() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, None, Some("r1")).await.unwrap();
    assert!(made.id.starts_with("chat-") && made.id.len() > 30, "{made:?}");
    assert_eq!(
        rig.service.create(None, None, Some("r1")).await.unwrap().id,
        made.id,
        "the same request"
    );
    assert_ne!(rig.service.create(None, None, Some("r2")).await.unwrap().id, made.id);
    let session = made.id.as_str();

    let admitted = rig.service.prompt(session, prompt("c1"), false).await;
    assert!(matches!(admitted, Ok(Admission::Admitted)), "{admitted:?}");
    stream
        .send(event(session, Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    for event in said(session, "a1", "hello") {
        stream.send(event).await.unwrap();
    }
    stream
        .send(event(session, Event::Turn { turn: Turn::Idle }))
        .await
        .unwrap();
    settle().await;

    let state = rig.service.state(session).await.unwrap();
    assert_eq!(state.info.as_ref().map(|info| info.title.as_str()), Some("hi"));
    let roles: Vec<_> = state.messages.iter().map(|known| known.message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant]);
    let own = &state.messages[0].message;
    assert!(
        own.completed_at.is_some() && own.waiting.is_none() && own.error.is_none(),
        "{own:?}"
    );
    assert_eq!(state.turn, Turn::Idle);
    assert!(rig.backend.reads.lock().unwrap().is_empty(), "nothing is read");
    // The same prompt once more is known.
    let again = rig.service.prompt(session, prompt("c1"), false).await;
    assert!(matches!(again, Ok(Admission::Duplicate)), "{again:?}");

    // What was said goes back to the backend that keeps none of it, and to no other.
    let journal = &rig.journal.journal;
    let plugin = rig.service.plugin();
    let texts = journal.read(&plugin, session, None, 10).await.unwrap();
    let texts: Vec<_> = texts.iter().map(|said| (said.role, said.text.as_str())).collect();
    assert_eq!(texts, [(Role::User, "hi"), (Role::Assistant, "hello")]);
    assert!(journal.read("another", session, None, 10).await.is_err());
    assert!(journal.read(&plugin, "nothing", None, 10).await.is_err());
    let error = journal.read(&plugin, session, Some("a9"), 10).await.unwrap_err();
    assert!(error.to_string().ends_with("has no message \"a9\"."), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_session_of_the_host_has_the_hosts_times_and_moves_when_it_is_used() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, None, None).await.unwrap();
    let info = async || rig.service.state(&made.id).await.unwrap().info.clone().unwrap();
    rig.clock.advance(Duration::from_secs(1));
    let _ = rig.service.prompt(&made.id, prompt("c1"), false).await;
    assert_eq!(info().await.updated_at, made.updated_at + 1_000);
    // The backend names it, and cannot know the rest.
    let named = SessionInfo {
        title: "named".to_owned(),
        created_at: 7,
        updated_at: 9,
        ..made.clone()
    };
    stream
        .send(event(&made.id, Event::Session { info: named }))
        .await
        .unwrap();
    settle().await;
    let info = info().await;
    assert_eq!((info.title.as_str(), info.created_at), ("named", made.created_at));
    assert_eq!(info.updated_at, made.updated_at + 1_000);
}

#[tokio::test(start_paused = true)]
async fn renaming_and_deleting_are_the_hosts_and_a_running_turn_is_stopped_first() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, Some("mine".to_owned()), None).await.unwrap();
    rig.service.rename(&made.id, "ours").await.unwrap();
    assert!(rig.backend.titles.lock().unwrap().is_empty());
    let state = rig.service.state(&made.id).await.unwrap();
    assert_eq!(state.info.as_ref().map(|info| info.title.as_str()), Some("ours"));
    stream
        .send(event(&made.id, Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    settle().await;
    rig.service.delete(&made.id).await.unwrap();
    assert_eq!(*rig.backend.canceled.lock().unwrap(), [made.id.as_str()]);
    assert!(rig.service.state(&made.id).await.is_err());
    // What it still says of it is of no use.
    for event in said(&made.id, "a1", "late") {
        stream.send(event).await.unwrap();
    }
    settle().await;
    assert!(rig.service.state(&made.id).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_had_not_ended_when_a_new_connection_opens_was_interrupted() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, None, None).await.unwrap();
    let session = made.id.as_str();
    stream
        .send(event(session, Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    stream.send(event(session, answer())).await.unwrap();
    stream.send(event(session, delta(1, "half an ans"))).await.unwrap();
    let request = AgentRequest {
        id: "r".to_owned(),
        requested_by: session.to_owned(),
        permission: true,
        ..AgentRequest::default()
    };
    stream.send(event(session, Event::Request { request })).await.unwrap();
    settle().await;
    assert_eq!(rig.service.state(session).await.unwrap().requests.len(), 1);

    stream.send(closed(false)).await.unwrap();
    settle().await;
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    let state = rig.service.state(session).await.unwrap();
    assert_eq!((state.turn.clone(), state.requests.len()), (Turn::Interrupted, 0));
    assert_eq!(rig.text(session), "half an ans");
    // It can be continued, by a message.
    assert!(matches!(
        rig.service.continue_interrupted(session).await,
        Ok(Admission::Admitted)
    ));
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_plans_changes_and_notes_is_part_of_the_session() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, None, None).await.unwrap();
    let session = made.id.as_str();
    let todo = |text: &str| TodoItem {
        text: text.to_owned(),
        state: TodoState::InProgress,
    };
    let note = |name: &str, value: u32| {
        let values = BTreeMap::from([(name.to_owned(), value.into())]);
        Event::Note {
            ext: Ext::of("acme", values),
        }
    };
    let files = vec![FileChange {
        path: "src/a.rs".to_owned(),
        kind: ChangeKind::Added,
        diff: None,
        added_lines: 3,
        deleted_lines: 0,
    }];
    for sent in [
        Event::Todo {
            items: vec![todo("one"), todo("two")],
        },
        Event::Todo {
            items: vec![todo("two")],
        },
        Event::Changes { files: files.clone() },
        note("acme.cost", 1),
        note("acme.share", 2),
        note("acme.cost", 3),
    ] {
        stream.send(event(session, sent)).await.unwrap();
    }
    settle().await;
    let state = rig.service.state(session).await.unwrap();
    assert_eq!((state.todo.clone(), state.changes.clone()), (vec![todo("two")], files));
    let notes = serde_json::to_value(&state.notes).unwrap();
    assert_eq!(notes, serde_json::json!({"acme": {"acme.cost": 3, "acme.share": 2}}));
    // A journal that is read again has the same.
    let journal = rig.journal.reopened();
    assert_eq!(journal.state(session).await.unwrap(), state);
    // More names than a session may have are refused, and it says so.
    for n in 0..2 * limits::SESSION_NOTES {
        stream.send(event(session, note(&format!("n{n}"), 1))).await.unwrap();
    }
    settle().await;
    let state = rig.service.state(session).await.unwrap();
    assert_eq!(state.notes.count(), limits::SESSION_NOTES);
    assert!(
        state
            .error
            .is_some_and(|error| error.text.contains("bug of the plugin"))
    );
    // What is replaced is not kept, however often it is reported.
    for value in 0..50 {
        stream.send(event(session, note("acme.cost", value))).await.unwrap();
    }
    settle().await;
    let rows = rig.journal.events(session);
    let cost = |event: &&Event| matches!(event, Event::Note { ext } if ext.0["acme"].contains_key("acme.cost"));
    assert_eq!(rows.iter().filter(cost).count(), 2);
    // Nor is more text taken than a session may have.
    let other = rig.service.create(None, None, None).await.unwrap();
    for n in 0..8 {
        let values = BTreeMap::from([(format!("n{n}"), "x".repeat(limits::EXT_VALUE_BYTES - 2).into())]);
        let note = Event::Note {
            ext: Ext::of("acme", values),
        };
        stream.send(event(&other.id, note)).await.unwrap();
    }
    settle().await;
    let state = rig.service.state(&other.id).await.unwrap();
    assert!(
        state.notes.size() <= limits::SESSION_NOTES_BYTES,
        "{}",
        state.notes.size()
    );
    assert_eq!(state.notes.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_up_and_what_is_the_hosts_is_not_the_backends_to_remove() {
    let (rig, stream) = core_alone().await;
    // A session that nobody introduced, however often it is named, and one that is introduced late.
    for n in 0..20 {
        stream.send(event("made-up", delta(n, "x"))).await.unwrap();
    }
    settle().await;
    assert_eq!(rig.journal.written(), (0, 0));
    stream.send(event("late", delta(1, "lost"))).await.unwrap();
    let info = session_info("late");
    stream.send(event("late", Event::Session { info })).await.unwrap();
    settle().await;
    assert!(rig.service.state("late").await.unwrap().messages.is_empty());

    let made = rig.service.create(None, None, None).await.unwrap();
    rig.service.prompt(&made.id, prompt("c1"), false).await.unwrap();
    let own = rig.service.state(&made.id).await.unwrap().messages[0].message.clone();
    let forged = Message {
        error: Some("forged".to_owned()),
        ..own.clone()
    };
    for sent in [
        Event::SessionRemoved,
        Event::MessageRemoved {
            message: own.id.clone(),
        },
        Event::Message { message: forged },
    ] {
        stream.send(event(&made.id, sent)).await.unwrap();
    }
    settle().await;
    assert_eq!(rig.service.state(&made.id).await.unwrap().messages[0].message, own);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_turn_that_a_crash_ended_is_its_owners_again() {
    let (rig, stream) = core_alone().await;
    let made = rig.service.create(None, None, None).await.unwrap();
    let session = made.id.as_str();
    rig.service.prompt(session, prompt("c1"), false).await.unwrap();
    stream
        .send(event(session, Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    stream.send(event(session, answer())).await.unwrap();
    settle().await;
    rig.service.prompt(session, prompt("c2"), false).await.unwrap();
    let waiting = |state: &crate::journal::SessionState| {
        let found = state
            .messages
            .iter()
            .find(|known| known.message.client_id.as_deref() == Some("c2"));
        found.and_then(|known| known.message.waiting.clone())
    };
    assert_eq!(waiting(&rig.service.state(session).await.unwrap()), Some(Waiting::Turn));
    stream.send(closed(false)).await.unwrap();
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    let state = rig.service.state(session).await.unwrap();
    assert_eq!(state.turn, Turn::Interrupted);
    assert!(matches!(waiting(&state), Some(Waiting::Owner { .. })), "{state:?}");
    assert!(matches!(
        rig.service.continue_interrupted(session).await,
        Ok(Admission::Admitted)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_waited_when_the_host_stopped_is_given_back_when_its_chat_is_opened() {
    let journal = TestJournal::new();
    let mut message = pending_prompts::message("c1", 1);
    message.waiting = Some(Waiting::Turn);
    let part = pending_prompts::parts(&prompt("c1")).remove(0);
    let events = vec![Event::Message { message }, Event::Part { part }];
    journal.seed("chat-opencode", "s", events);
    let mut rig = rig_with(journal, Availability::ready("1"));
    rig.backend.features.lock().unwrap().clear();
    let stream = rig.stream().await;
    stream.send(opened("e1", &[])).await.unwrap();
    settle().await;
    let _watched = rig.service.subscribe("s", None).await.unwrap();
    settle().await;
    assert!(
        matches!(&rig.last_message().waiting, Some(Waiting::Owner { cause, .. }) if cause.contains("Nexus stopped")),
        "{:?}",
        rig.last_message()
    );
}
