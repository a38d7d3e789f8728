//! Streams recorded from opencode 1.18.33, and what becomes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod gaps;
mod host;

use chat_opencode::folders::Folders;
use chat_opencode::normalize::{Action, Normalizer, Output};
use chat_opencode::stream_event::{Envelope, Event as Line};
use chat_opencode::wire::{Permission, Statuses, WithParts};
use host::*;
use nexus_plugin_api::chat::types::{
    AgentRequest, ChangeKind, Content, Event, FileChange, MessageRef, Part, Permission as Asked, RequestKind,
    RequestRef, Role, TodoItem, TodoState, Tool, ToolState, Turn, Usage,
};
use nexus_plugin_api::sse::Parser;

/// `request` is the first request.
fn request(out: &Output) -> &AgentRequest {
    let request = out.events.iter().find_map(|event| match event {
        Event::Request(request) => Some(request),
        _ => None,
    });
    request.unwrap()
}

fn permission(request: &AgentRequest) -> &Asked {
    match &request.kind {
        RequestKind::Permission(permission) => permission,
        other => panic!("{other:?}"),
    }
}

fn reference(request: &AgentRequest) -> RequestRef {
    RequestRef {
        session: request.session.clone(),
        request: request.id.clone(),
    }
}

fn tools(host: &Host) -> Vec<&Tool> {
    let contents = host.parts.values().map(|part| &part.content);
    contents
        .filter_map(|content| match content {
            Content::Tool(tool) => Some(tool),
            _ => None,
        })
        .collect()
}

/// `brief` is what changes are about, without the diffs.
fn brief(changes: &[FileChange]) -> Vec<(&str, ChangeKind, u32, u32)> {
    let changes = changes.iter();
    changes
        .map(|change| {
            (
                change.path.as_str(),
                change.kind,
                change.added_lines,
                change.deleted_lines,
            )
        })
        .collect()
}

#[test]
fn a_plain_answer_streams_and_settles() {
    let out = play("plain.sse");
    assert_eq!(out.actions, []);
    let deltas = out.events.iter().filter(|e| matches!(e, Event::Delta(_))).count();
    assert!(deltas >= 6, "{deltas} deltas");
    let host = Host::see(&out.events);
    host.assert_settled();
    assert_eq!(
        host.texts(Role::User),
        ["go [[reason n=3 rate=30]] [[text n=6 rate=30]]"]
    );
    assert_eq!(
        host.texts(Role::Assistant),
        ["thought it over. alpha bravo charlie delta echo foxtrot "]
    );
    let thoughts = host
        .parts
        .values()
        .filter(|p| matches!(&p.content, Content::Reasoning(t) if !t.is_empty()))
        .count();
    assert_eq!(thoughts, 1);
    let turns: Vec<&Turn> = host.turns.iter().map(|(_, t)| t).collect();
    assert_eq!(turns, [&Turn::Running, &Turn::Idle]);
    let answer = host.messages.values().find(|m| m.role == Role::Assistant).unwrap();
    assert_eq!(answer.model.as_deref(), Some("fake/fake-1"));
    assert_eq!(
        (answer.error.as_deref(), answer.agent.as_deref()),
        (None, Some("build"))
    );
    assert!(
        out.events
            .iter()
            .any(|e| matches!(e, Event::Session(s) if s.ref_.workspace == DIRECTORY))
    );
}

#[test]
fn a_tool_call_is_asked_for_answered_and_run() {
    let out = play("tool.sse");
    let states: Vec<ToolState> = out
        .events
        .iter()
        .filter_map(|e| match e {
            Event::Part(Part {
                content: Content::Tool(t),
                ..
            }) => Some(t.state),
            _ => None,
        })
        .collect();
    assert_eq!(states.first(), Some(&ToolState::Pending));
    assert!(states.contains(&ToolState::Running));
    assert_eq!(states.last(), Some(&ToolState::Completed));

    let host = Host::see(&out.events);
    host.assert_settled();
    let (id, tool) = host
        .parts
        .iter()
        .find_map(|(id, p)| {
            if let Content::Tool(t) = &p.content {
                Some((id, t))
            } else {
                None
            }
        })
        .unwrap();
    assert_eq!(
        (tool.name.as_str(), tool.title.as_deref()),
        ("bash", Some("echo hello"))
    );
    assert_eq!(tool.output.as_deref(), Some("hello\n"));
    let request = request(&out);
    let asked = permission(request);
    assert_eq!((asked.subject.as_str(), asked.detail.as_str()), ("bash", "echo hello"));
    assert_eq!(asked.always, ["echo *"]);
    assert_eq!(request.part.as_ref(), Some(id));
    let closed = out
        .events
        .iter()
        .filter(|e| matches!(e, Event::RequestClosed(closed) if closed.request == request.id))
        .count();
    assert_eq!((closed, out.actions), (1, vec![]));
}

/// The recording is of an agent that notes what it has to do, edits a file, writes another one, and applies a patch; then the
/// patch is reverted.
#[test]
fn what_an_agent_has_to_do_and_what_it_changes_is_reported() {
    use ChangeKind::{Added, Deleted, Modified};
    let out = play("changes.sse");
    let host = Host::see(&out.events);
    host.assert_settled();

    let todo = out.events.iter().find_map(|event| match event {
        Event::Todo(list) => Some(&list.items),
        _ => None,
    });
    let item = |text: &str, state| TodoItem {
        text: text.to_owned(),
        state,
    };
    let expected = [item("Edit", TodoState::InProgress), item("Add", TodoState::Pending)];
    assert_eq!(todo.unwrap()[..], expected);

    let tools = tools(&host);
    let changes = |name: &str| &tools.iter().find(|tool| tool.name == name).unwrap().changes;
    assert_eq!(brief(changes("edit")), [("a.txt", Modified, 2, 1)]);
    let diff = changes("edit")[0].diff.as_deref().unwrap();
    assert!(
        diff.ends_with("@@ -1,3 +1,4 @@\n one\n-two\n+zwei\n+drei\n three\n"),
        "{diff}"
    );
    assert_eq!(brief(changes("write")), [("n.txt", Added, 2, 0)]);
    let patch = [
        ("add.txt", Added, 1, 0),
        ("a.txt", Modified, 1, 1),
        ("old.txt", Deleted, 0, 1),
        ("moved.txt", Modified, 1, 1),
    ];
    assert_eq!(brief(changes("apply_patch")), patch);
    assert_eq!(brief(changes("todowrite")), []);

    // What was asked before is what was done.
    let asked = out.events.iter().filter_map(|event| match event {
        Event::Request(request) => Some(&permission(request).changes),
        _ => None,
    });
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked[0], changes("edit"));
    assert_eq!(brief(asked[1]), [("n.txt", Added, 2, 0)]);
    assert_eq!(asked[2], changes("apply_patch"));

    // The whole session, and what is left after the revert.
    let whole = out.events.iter().filter_map(|event| match event {
        Event::Changes(changes) => Some(brief(&changes.files)),
        _ => None,
    });
    let whole: Vec<_> = whole.collect();
    let first = vec![("a.txt", Modified, 2, 1), ("n.txt", Added, 2, 0)];
    let all = vec![
        ("a.txt", Modified, 3, 2),
        ("add.txt", Added, 1, 0),
        ("moved.txt", Added, 1, 0),
        ("mv.txt", Deleted, 0, 1),
        ("n.txt", Added, 2, 0),
        ("old.txt", Deleted, 0, 1),
    ];
    assert_eq!(whole, [first[..1].to_vec(), first.clone(), all, first]);
}

#[test]
fn an_answer_says_what_it_took_when_it_is_complete() {
    let host = Host::see(&play("changes.sse").events);
    let answers = host.messages.values().filter(|m| m.role == Role::Assistant);
    let usages: Vec<Option<Usage>> = answers.map(|m| m.usage).collect();
    assert!(
        usages.len() >= 8
            && usages
                .iter()
                .all(|usage| usage.is_some_and(|u| u.input > 2_000 && u.output > 0))
    );
    let users = host.messages.values().filter(|m| m.role == Role::User);
    assert!(users.into_iter().all(|m| (m.usage, m.agent.as_deref()) == (None, None)));
}

#[test]
fn an_abort_keeps_the_text_and_is_no_error() {
    let out = play("abort.sse");
    let host = Host::see(&out.events);
    host.assert_settled();
    assert!(host.texts(Role::Assistant)[0].starts_with("alpha "));
    let answer = host.messages.values().find(|m| m.role == Role::Assistant).unwrap();
    assert_eq!(answer.error.as_deref(), Some("Aborted"));
    assert!(!out.events.iter().any(|e| matches!(e, Event::Error(_))));
}

#[test]
fn a_retry_takes_the_unfinished_text_back() {
    let out = play("retry.sse");
    let removed = out.events.iter().filter(|e| matches!(e, Event::PartRemoved(_))).count();
    let retries: Vec<u32> = out
        .events
        .iter()
        .filter_map(|e| match e {
            Event::Turn(t) => {
                if let Turn::Retrying(r) = &t.turn {
                    Some(r.attempt)
                } else {
                    None
                }
            }
            _ => None,
        })
        .collect();
    assert!(removed >= 1 && retries.starts_with(&[1]), "{removed} {retries:?}");
    let host = Host::see(&out.events);
    host.assert_settled();
    assert!(
        host.texts(Role::Assistant).len() <= 1,
        "{:?}",
        host.texts(Role::Assistant)
    );
}

#[test]
fn an_endless_turn_is_stopped_once_and_reported() {
    let out = play("endless.sse");
    let aborts = out.actions.iter().filter(|a| matches!(a, Action::Abort { .. })).count();
    assert_eq!(aborts, 1);
    assert!(
        out.events
            .iter()
            .any(|e| matches!(e, Event::Error(error) if error.session.is_some() && error.text.contains("8 times")))
    );
}

#[test]
fn a_question_is_asked_with_its_choices() {
    let out = play("question.sse");
    let request = request(&out);
    let RequestKind::Questions(questions) = &request.kind else {
        panic!("{request:?}");
    };
    assert_eq!((questions.len(), questions[0].text.as_str()), (1, "Which colour?"));
    let choices = questions[0].choices.iter();
    let choices: Vec<_> = choices.map(|c| (c.label.as_str(), c.description.as_str())).collect();
    assert_eq!(choices, [("Red", "r"), ("Blue", "b")]);
    assert!(
        out.events
            .iter()
            .any(|e| matches!(e, Event::RequestClosed(closed) if closed.request == request.id))
    );
    Host::see(&out.events).assert_settled();
}

#[test]
fn the_request_of_a_sub_agent_surfaces_at_the_root() {
    let out = play("subagent.sse");
    let request = request(&out);
    assert_ne!(request.session, request.requested_by);
    let child = out
        .events
        .iter()
        .find_map(|e| {
            if let Event::Session(s) = e {
                Some(s).filter(|s| s.ref_.id == request.requested_by)
            } else {
                None
            }
        })
        .unwrap();
    assert_eq!(child.parent.as_ref(), Some(&request.session));
    assert!(out.events.contains(&Event::RequestClosed(reference(request))));
    let host = Host::see(&out.events);
    let task = tools(&host).into_iter().find(|tool| tool.name == "task");
    assert_eq!(task.unwrap().child, Some(request.requested_by.clone()));
}

#[test]
fn an_unknown_session_is_learned_before_its_request_is_placed() {
    let all = envelopes(&fixture("subagent.sse"));
    let requests = all.iter().find_map(|e| match &e.event {
        Line::Permission(request) => Some((e, request.session.as_str())),
        _ => None,
    });
    let (asked, child) = requests.unwrap();
    assert_eq!(normalizer().unknown_session(asked).as_deref(), Some(child));
}

#[test]
fn a_bad_model_is_reported_once_without_a_stack_trace() {
    let out = play("bad_model.sse");
    let errors: Vec<&str> = out
        .events
        .iter()
        .filter_map(|e| {
            if let Event::Error(error) = e {
                Some(error.text.as_str())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(errors.len(), 1);
    let (said, remedy) = errors[0].split_once(" To fix: ").unwrap();
    assert_eq!(said, "Model not found: nope/x. Did you mean: standardcompute?");
    assert!(remedy.contains("`opencode models`"));
}

#[test]
fn an_idle_session_has_no_requests_left() {
    let all = envelopes(&fixture("tool.sse"));
    let asked = all.iter().position(|e| matches!(e.event, Line::Permission(_))).unwrap();
    let mut normalizer = normalizer();
    let request = apply(&mut normalizer, &all[..=asked]).events.pop().unwrap();
    let Event::Request(request) = request else {
        panic!("{request:?}")
    };
    let idle = all.iter().find(|e| matches!(e.event, Line::Idle(_))).unwrap();
    let out = apply(&mut normalizer, std::slice::from_ref(idle));
    assert_eq!(
        out.actions,
        [Action::Reject {
            request: request.id.clone()
        }]
    );
    assert!(out.events.contains(&Event::RequestClosed(reference(&request))));
}

#[test]
fn the_opening_knows_what_runs_and_what_waits() {
    let permissions: Vec<Permission> = serde_json::from_str(&fixture("permissions.json")).unwrap();
    let statuses: Statuses =
        serde_json::from_str(&format!(r#"{{"{}":{{"type":"busy"}}}}"#, permissions[0].session)).unwrap();
    let mut normalizer = normalizer();
    let (running, requests) = normalizer.opened(&statuses, &permissions, &[], START);
    assert_eq!(running[0].turn, Turn::Running);
    assert_eq!(
        (requests.len(), permission(&requests[0]).detail.as_str()),
        (1, "echo nested")
    );
    // The stream says it again; it is not asked twice.
    let again = format!(
        r#"{{"directory":"{DIRECTORY}","payload":{{"type":"permission.asked","properties":{}}}}}"#,
        serde_json::to_string(&serde_json::from_str::<serde_json::Value>(&fixture("permissions.json")).unwrap()[0])
            .unwrap()
    );
    assert!(
        apply_at(&mut normalizer, Envelope::read(&again).unwrap(), START)
            .events
            .is_empty()
    );
}

#[test]
fn other_directories_and_unknown_types_are_passed_over() {
    let mut elsewhere = Normalizer::new(START, Folders::new(&[], "/workspace/other"));
    let all = envelopes(&fixture("tool.sse"));
    assert!(
        all.into_iter()
            .all(|e| apply_at(&mut elsewhere, e, START).events.is_empty())
    );
    let new = format!(r#"{{"directory":"{DIRECTORY}","payload":{{"type":"brand.new"}}}}"#);
    assert!(
        apply_at(&mut normalizer(), Envelope::read(&new).unwrap(), START)
            .events
            .is_empty()
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_events(cuts in proptest::collection::vec(0usize..15_000, 0..40)) {
        let stream = fixture("plain.sse");
        let bytes = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let (mut parser, mut data, mut from) = (Parser::default(), Vec::new(), 0);
        for to in cuts {
            data.extend(parser.push(&bytes[from..to]));
            from = to;
        }
        let envelopes: Vec<Envelope> = data.iter().map(|d| Envelope::read(d).unwrap()).collect();
        proptest::prop_assert_eq!(apply(&mut normalizer(), &envelopes).events, play("plain.sse").events);
    }

    #[test]
    fn lost_events_never_break_the_rules(lost in proptest::collection::vec(0usize..200, 0..30)) {
        for name in ["plain.sse", "tool.sse", "abort.sse", "retry.sse", "question.sse"] {
            let mut all = envelopes(&fixture(name));
            let mut i = 0;
            // Messages and parts in disorder may come, but never a panic, and never a delta of an unknown part.
            all.retain(|_| { i += 1; !lost.contains(&i) });
            let mut normalizer = normalizer();
            let mut known = std::collections::BTreeSet::new();
            for (i, envelope) in all.into_iter().enumerate() {
                for event in apply_at(&mut normalizer, envelope, START + i as u64).events {
                    match event {
                        Event::Part(p) => drop(known.insert(p.id)),
                        Event::Delta(d) => proptest::prop_assert!(known.contains(&d.part)),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn updated(info: &str) -> Envelope {
    let text = format!(
        r#"{{"directory":"{DIRECTORY}","payload":{{"type":"session.updated","properties":{{"info":{info}}}}}}}"#
    );
    Envelope::read(&text).unwrap()
}

fn title(out: &Output) -> Option<&str> {
    out.events.iter().find_map(|e| match e {
        Event::Session(info) => Some(info.title.as_str()),
        _ => None,
    })
}

#[test]
fn a_name_that_the_owner_gave_is_kept_against_the_one_that_was_being_made() {
    let mut normalizer = normalizer();
    normalizer.named("ses_1", "Mine", START);
    let theirs = updated(&format!(
        r#"{{"id":"ses_1","directory":"{DIRECTORY}","title":"Made by the model"}}"#
    ));
    let out = apply_at(&mut normalizer, theirs.clone(), START + 3_000);
    assert_eq!(title(&out), Some("Mine"));
    let rename = Action::Rename {
        session: "ses_1".into(),
        title: "Mine".into(),
    };
    assert_eq!(out.actions, [rename]);
    // Much later another client may rename it.
    let out = apply_at(&mut normalizer, theirs, START + 3_600_000);
    assert_eq!((title(&out), out.actions.len()), (Some("Made by the model"), 0));
}

#[test]
fn what_is_reverted_and_restored_is_reported_while_it_happens() {
    let mut normalizer = normalizer();
    let plain = format!(r#"{{"id":"ses_1","directory":"{DIRECTORY}","title":"t"}}"#);
    assert!(apply_at(&mut normalizer, updated(&plain), START).actions.is_empty());
    let back = plain.replace("\"t\"", r#""t","revert":{"messageID":"msg_2"}"#);
    let actions = apply_at(&mut normalizer, updated(&back), START).actions;
    let Some(Action::Reverted {
        revert: Some(revert), ..
    }) = actions.first()
    else {
        panic!("{actions:?}");
    };
    let message = |id: &str| WithParts {
        info: serde_json::from_str(&format!(r#"{{"id":"{id}","sessionID":"ses_1","role":"user"}}"#)).unwrap(),
        parts: Vec::new(),
    };
    let all = vec![message("msg_1"), message("msg_2"), message("msg_3")];
    let gone = normalizer.reverted(all.clone(), Some(revert));
    let removed = |id: &str| {
        Event::MessageRemoved(MessageRef {
            session: "ses_1".into(),
            message: id.into(),
        })
    };
    assert_eq!(
        format!("{gone:?}"),
        format!("{:?}", [removed("msg_2"), removed("msg_3")])
    );
    let actions = apply_at(&mut normalizer, updated(&plain), START).actions;
    assert!(
        matches!(actions.first(), Some(Action::Reverted { revert: None, .. })),
        "{actions:?}"
    );
    assert_eq!(normalizer.reverted(all, None).len(), 3);
}

#[test]
fn each_folder_has_its_events_and_its_own_paths() {
    const OTHER: &str = "/workspace/other";
    let configured = [DIRECTORY.to_owned(), OTHER.to_owned()];
    let mut normalizer = Normalizer::new(START, Folders::new(&configured, DIRECTORY));
    let event = |directory: &str, kind: &str, properties: serde_json::Value| -> Envelope {
        let payload = serde_json::json!({"type": kind, "properties": properties});
        Envelope::read(&serde_json::json!({"directory": directory, "payload": payload}).to_string()).unwrap()
    };
    let session = |id: &str, directory: &str| {
        let info =
            serde_json::json!({"id": id, "directory": directory, "title": "t", "time": {"created": 1, "updated": 1}});
        event(directory, "session.created", serde_json::json!({ "info": info }))
    };
    for (directory, id) in [
        (DIRECTORY, "ses_a"),
        (OTHER, "ses_b"),
        ("/workspace/secret-customer", "ses_c"),
    ] {
        let events = apply_at(&mut normalizer, session(id, directory), START).events;
        let made: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Session(info) => Some((info.ref_.id.as_str(), info.ref_.workspace.as_str())),
                _ => None,
            })
            .collect();
        let expected: &[(&str, &str)] = if id == "ses_c" { &[] } else { &[(id, directory)] };
        assert_eq!(made, expected);
    }
    assert_eq!(
        (normalizer.folder("ses_a"), normalizer.folder("ses_b")),
        (DIRECTORY, OTHER)
    );

    // A path is shown from the folder of its session, and a relative one is meant there.
    for (directory, id) in [(DIRECTORY, "ses_a"), (OTHER, "ses_b")] {
        let file = format!("{directory}/src/a.rs");
        let part = serde_json::json!({"id": format!("prt_{id}"), "sessionID": id, "messageID": "m", "type": "tool",
            "tool": "write", "callID": "c", "state": {"status": "completed", "input": {"filePath": file, "content": "x"},
                "metadata": {"filepath": file, "exists": false}}});
        let out = apply_at(
            &mut normalizer,
            event(directory, "message.part.updated", serde_json::json!({ "part": part })),
            START,
        );
        let seen = Host::see(&out.events);
        assert_eq!(tools(&seen)[0].changes[0].path, "src/a.rs", "{directory}");
        let asked = serde_json::json!({"id": format!("per_{id}"), "sessionID": id, "permission": "external", "patterns": ["x"],
            "metadata": {"filepath": "src/b.rs"}, "always": []});
        let out = apply_at(&mut normalizer, event(directory, "permission.asked", asked), START);
        let paths: Vec<_> = permission(request(&out))
            .paths
            .iter()
            .map(|path| path.path.clone())
            .collect();
        assert!(paths.contains(&format!("{directory}/src/b.rs")), "{paths:?}");
    }
}
