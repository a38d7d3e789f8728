//! Messages as agents send them, and what follows from each.

use super::*;
use crate::rpc::read;
use nexus_plugin_api::chat::types::{Answer, Content, RequestKind, Turn as TurnKind};
use nexus_plugin_api::job::{Receiver, channel};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

struct Rig {
    c: Connection,
    sent: Receiver<Outgoing>,
    now: u64,
}

impl Rig {
    /// An agent with one chat `s`, whose session is `a`, in the folder `/w`.
    fn new() -> Self {
        let (outgoing, sent) = channel(QUEUE);
        let (events, _) = channel(1);
        let mut c = Connection::new(outgoing, events);
        c.agent = Some(Agent::read(json!({"protocolVersion": 1, "agentInfo": {"name": "X"}, "agentCapabilities": {"sessionCapabilities": {"list": {}}}}), "").unwrap());
        let mut rig = Self { c, sent, now: 10 };
        let opened = json!({"sessionId": "a", "modes": {"currentModeId": "code", "availableModes": [{"id": "code", "name": "Code"}, {"id": "plan", "name": "Plan"}]}});
        rig.c.opened("a", "/w", opened, true);
        rig.c.bind(&chat(), "/w", "a", false);
        assert_eq!(rig.sent()[0]["method"], "session/list");
        rig
    }

    /// What was sent since the last time.
    fn sent(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Poll::Ready(Some(outgoing)) = pin!(self.sent.recv()).poll(&mut Context::from_waker(Waker::noop())) {
            all.push(serde_json::from_slice(&outgoing.line).unwrap());
        }
        all
    }

    fn take(&mut self, message: Value) -> Vec<Event> {
        self.now += 1;
        let output = self.c.received(read(message.to_string().as_bytes()).unwrap(), self.now);
        assert_eq!(output.warnings, [] as [String; 0]);
        output.events
    }

    fn update(&mut self, update: Value) -> Vec<Event> {
        self.take(json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "a", "update": update}}))
    }

    /// Begins a turn; the id of the prompt's request.
    fn begin(&mut self) -> Value {
        let (line, events) = self
            .c
            .begin_turn("s", &[json!({"type": "text", "text": "hi"})], self.now)
            .unwrap();
        assert!(matches!(&events[0], Event::Turn(state) if state.turn == TurnKind::Running));
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["params"]["sessionId"], "a");
        line["id"].clone()
    }

    fn ask(&mut self) -> Vec<Event> {
        self.take(json!({"id": "r1", "method": "session/request_permission", "params": {"sessionId": "a",
            "toolCall": {"toolCallId": "c", "title": "ls", "kind": "execute"},
            "options": [{"optionId": "y", "name": "Yes", "kind": "allow_once"}, {"optionId": "n", "name": "No", "kind": "reject_once"}]}}))
    }
}

const QUEUE: usize = 16;

fn chat() -> SessionRef {
    SessionRef {
        workspace: String::new(),
        id: "s".to_owned(),
    }
}

fn request_of(events: &[Event]) -> String {
    let found = events.iter().find_map(|event| match event {
        Event::Request(request) => Some(request.id.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{events:?}"))
}

fn is_idle(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::Turn(state)) if state.turn == TurnKind::Idle)
}

#[test]
fn a_prompt_is_answered() {
    let mut rig = Rig::new();
    let id = rig.begin();
    let events =
        rig.update(json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "hello"}}));
    assert!(matches!(&events[..], [Event::Part(part)] if part.content == Content::Text("hello".into())));
    let events = rig.take(json!({"id": id, "result": {"stopReason": "end_turn"}}));
    assert!(is_idle(&events) && !rig.c.is_running("s"));
    assert_eq!(
        rig.sent()[0]["method"],
        "session/list",
        "it may have thought of a title"
    );
}

#[test]
fn a_mode_is_whom_the_message_is_by() {
    let mut rig = Rig::new();
    rig.begin();
    let events = rig.update(json!({"sessionUpdate": "current_mode_update", "currentModeId": "plan"}));
    assert!(matches!(&events[..], [Event::Message(message)] if message.agent.as_deref() == Some("plan")));
    assert_eq!(rig.c.offers("/w").unwrap().current(What::Mode).as_deref(), Some("plan"));
}

#[test]
fn a_permission_is_asked_answered_and_closed() {
    let mut rig = Rig::new();
    rig.begin();
    let events = rig.ask();
    assert!(
        matches!(&events[0], Event::Part(_)),
        "the call is shown first: {events:?}"
    );
    let request = request_of(&events);
    let answer = |rig: &mut Rig, answer: Answer| rig.c.answer("s", &request, |waiting| waiting.answer(&answer));
    let other = nexus_plugin_api::chat::Ext {
        name: "x".into(),
        value: "1".into(),
    };
    assert!(matches!(answer(&mut rig, Answer::Other(other)), Err(Error::Invalid(_))));
    assert!(matches!(
        answer(&mut rig, Answer::Reject(None)),
        Ok(Event::RequestClosed(_))
    ));
    assert_eq!(
        rig.sent(),
        [json!({"jsonrpc": "2.0", "id": "r1", "result": {"outcome": {"outcome": "selected", "optionId": "n"}}})]
    );
    assert!(
        matches!(answer(&mut rig, Answer::Once), Err(Error::NotFound(_))),
        "it waits no longer"
    );
}

#[test]
fn a_cancel_answers_what_waits_and_what_comes_after_it() {
    let mut rig = Rig::new();
    let id = rig.begin();
    rig.ask();
    assert!(matches!(&rig.c.cancel("s")[..], [Event::RequestClosed(_)]));
    let cancelled = json!({"jsonrpc": "2.0", "id": "r1", "result": {"outcome": {"outcome": "cancelled"}}});
    let sent = rig.sent();
    assert_eq!((&sent[0], &sent[1]["method"]), (&cancelled, &json!("session/cancel")));
    assert!(rig.ask().is_empty());
    assert_eq!(rig.sent(), [cancelled]);
    // It runs until the agent says that it does not, also where that is an error.
    assert!(rig.c.is_running("s"));
    let events = rig.take(json!({"id": id, "error": {"code": -32603, "message": "aborted"}}));
    assert!(is_idle(&events));
    assert!(
        events
            .iter()
            .all(|event| !matches!(event, Event::Message(message) if message.error.is_some()))
    );
    assert!(rig.c.cancel("s").is_empty(), "nothing runs");
}

#[test]
fn an_error_and_a_reason_are_told() {
    for (end, word) in [
        (
            json!({"error": {"code": -32000, "message": "Authentication required"}}),
            "sign in first",
        ),
        (json!({"result": {"stopReason": "refusal"}}), "refused"),
    ] {
        let mut rig = Rig::new();
        let mut end = end;
        end["id"] = rig.begin();
        let events = rig.take(end);
        let told = events
            .iter()
            .any(|e| matches!(e, Event::Message(m) if m.error.as_deref().is_some_and(|e| e.contains(word))));
        assert!(told && is_idle(&events), "{events:?}");
    }
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut rig = Rig::new();
    for method in [
        "fs/read_text_file",
        "fs/write_text_file",
        "terminal/create",
        "elicitation/create",
    ] {
        rig.take(json!({"id": 5, "method": method, "params": {}}));
        assert_eq!(rig.sent()[0]["error"]["code"], rpc::METHOD_NOT_FOUND, "{method}");
    }
    // Outside of a turn nobody waits for an answer, and a session that is nobody's has no owner.
    rig.ask();
    assert_eq!(rig.sent()[0]["error"]["code"], rpc::INTERNAL);
    rig.take(json!({"id": 6, "method": "session/request_permission", "params": {"sessionId": "other"}}));
    assert_eq!(rig.sent()[0]["error"]["code"], rpc::INTERNAL);
}

#[test]
fn what_is_repeated_while_a_session_is_loaded_is_dropped() {
    let mut rig = Rig::new();
    rig.c.bind(&chat(), "/w", "a", true);
    for kind in ["user_message_chunk", "agent_message_chunk"] {
        let chunk = json!({"sessionUpdate": kind, "content": {"type": "text", "text": "old"}});
        assert!(rig.update(chunk).is_empty());
    }
    rig.update(
        json!({"sessionUpdate": "available_commands_update", "availableCommands": [{"name": "x", "description": ""}]}),
    );
    assert_eq!(
        rig.c.offers("/w").unwrap().command_list().len(),
        1,
        "what it offers counts"
    );
    rig.c.loaded("s", true);
    rig.begin();
    let chunk = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "new"}});
    assert_eq!(rig.update(chunk).len(), 1);
    rig.c.loaded("s", false);
    assert!(rig.c.chat("s").is_none(), "one that was not loaded has no session");
}

#[test]
fn a_title_counts_once_it_changes() {
    let mut rig = Rig::new();
    let list = |title: &str| json!({"sessions": [{"sessionId": "z", "title": "no"}, {"sessionId": "a", "title": title, "cwd": "/w"}]});
    let answer = |rig: &mut Rig, title: &str| {
        rig.c.ask_titles("s");
        let id = rig.sent()[0]["id"].clone();
        rig.take(json!({"id": id, "result": list(title)}))
    };
    assert!(answer(&mut rig, "New session").is_empty());
    assert!(answer(&mut rig, "New session").is_empty());
    let events = answer(&mut rig, "About ls");
    assert!(matches!(&events[..], [Event::Session(info)] if info.title == "About ls"));
    let events = rig.update(json!({"sessionUpdate": "session_info_update", "title": "Mine"}));
    assert!(matches!(&events[..], [Event::Session(info)] if info.title == "Mine" && info.ref_.id == "s"));
}

#[test]
fn a_request_that_is_withdrawn_is_closed() {
    let mut rig = Rig::new();
    rig.begin();
    rig.ask();
    let events = rig.take(json!({"method": "$/cancel_request", "params": {"requestId": "r1"}}));
    assert!(matches!(&events[..], [Event::RequestClosed(_)]));
    assert_eq!(rig.sent()[0]["error"]["code"], rpc::CANCELLED);
}

#[test]
fn an_agent_holds_no_more_than_its_bounds() {
    let mut rig = Rig::new();
    rig.begin();
    for n in 0..REQUESTS + 4 {
        rig.take(json!({"id": n, "method": "session/request_permission", "params": {"sessionId": "a",
            "toolCall": {"toolCallId": format!("{n}"), "title": "x"}, "options": [{"optionId": "y", "name": "Yes", "kind": "allow_once"}]}}));
    }
    assert_eq!(rig.c.chats["s"].requests.len(), REQUESTS);
    rig.sent();
    for n in 0..2 * SESSIONS {
        rig.take(json!({"method": "session/update", "params": {"sessionId": format!("u{n}"), "update": {"sessionUpdate": "available_commands_update"}}}));
    }
    assert!(rig.c.sessions.len() <= SESSIONS + 1);
    assert!(!rig.c.stuck);
    for _ in 0..2 * QUEUE {
        rig.take(json!({"id": 1, "method": "fs/read_text_file"}));
    }
    assert!(rig.c.stuck, "an agent that does not read is noticed");
    for n in 0..2 * ENDED {
        let chat = SessionRef {
            workspace: String::new(),
            id: format!("s{n}"),
        };
        rig.c.bind(&chat, "/w", &format!("a{n}"), false);
        rig.c.begin_turn(&chat.id, &[], n as u64).unwrap();
        rig.c.abandon(&chat.id, n as u64);
    }
    let kept = rig
        .c
        .chats
        .values()
        .filter(|chat| chat.turn.as_ref().is_some_and(|turn| !turn.running()))
        .count();
    assert!(kept <= ENDED + 1, "{kept}");
    assert!(rig.c.is_running("s"));
}

#[test]
fn one_thing_is_done_once_at_a_time() {
    let mut rig = Rig::new();
    let held = rig.c.begin("x");
    assert!(held.is_some() && rig.c.begin("x").is_none() && rig.c.begin("y").is_some());
    drop(held);
    assert!(rig.c.begin("x").is_some());
    assert_ne!(rig.c.id(1), rig.c.id(1));
    rig.c.keep_spare("/w", "z");
    assert_eq!(
        (rig.c.take_spare("/w").as_deref(), rig.c.take_spare("/w")),
        (Some("z"), None)
    );
}

#[test]
fn a_preface_is_for_one_prompt_and_the_offers_are_those_of_a_new_session() {
    let mut rig = Rig::new();
    rig.c.begin_with("s", json!("earlier"));
    let prompt = |rig: &mut Rig| {
        let (line, _) = rig.c.begin_turn("s", &[json!("now")], 1).unwrap();
        serde_json::from_slice::<Value>(&line).unwrap()["params"]["prompt"].clone()
    };
    assert_eq!(prompt(&mut rig), json!(["earlier", "now"]));
    assert_eq!(prompt(&mut rig), json!(["now"]));
    let mode = |id: &str| json!({"modes": {"currentModeId": id, "availableModes": [{"id": id, "name": id}]}});
    rig.c.opened("old", "/w", mode("plan"), false);
    assert_eq!(rig.c.offers("/w").unwrap().current(What::Mode).as_deref(), Some("code"));
    rig.c.opened("new", "/w", mode("ask"), true);
    assert_eq!(rig.c.offers("/w").unwrap().current(What::Mode).as_deref(), Some("ask"));
}

/// The fixture is what opencode 1.18.33 wrote, with a permission each for a command and an edit.
#[test]
fn a_recorded_session_of_opencode_is_read() {
    let (outgoing, _sent) = channel(256);
    let (events, _) = channel(1);
    let mut c = Connection::new(outgoing, events);
    let mut all = Vec::new();
    for line in include_str!("../tests/fixtures/opencode.jsonl").lines() {
        let message = read(line.as_bytes()).unwrap();
        match &message {
            Message::Response { id: 1, result } => c.agent = Some(Agent::read(result.clone().unwrap(), "").unwrap()),
            Message::Response { id: 2, result } => {
                let opened = result.clone().unwrap();
                let session = opened["sessionId"].as_str().unwrap().to_owned();
                c.opened(&session, "/w", opened, true);
                c.requests = 2;
                c.bind(&chat(), "/w", &session, false); // asks for the titles: request 3
            }
            Message::Response { id, .. } => {
                // The end of one turn, and the beginning of the next, whose request has the next id.
                let id = *id;
                all.extend(c.received(message, 5).events);
                c.requests = id;
                all.extend(c.begin_turn("s", &[], 5).unwrap().1);
            }
            _ => all.extend(c.received(message, 5).events),
        }
    }
    let requests: Vec<_> = all
        .iter()
        .filter_map(|event| match event {
            Event::Request(request) => match &request.kind {
                RequestKind::Permission(permission) => Some(permission),
                other => panic!("{other:?}"),
            },
            _ => None,
        })
        .collect();
    let [command, edit] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!((command.subject.as_str(), command.detail.as_str()), ("bash", "echo hi"));
    assert_eq!(
        (edit.subject.as_str(), edit.changes[0].path.as_str()),
        ("edit", "notes.txt")
    );
    assert!(edit.changes[0].diff.as_ref().unwrap().contains("-two\n+zwei"));
    assert!(
        edit.details
            .iter()
            .all(|detail| !detail.text.ends_with("not shown here⟩")),
        "{:?}",
        edit.details
    );
    let tools: Vec<_> = all
        .iter()
        .filter_map(|event| match event {
            Event::Part(part) if part.closed => match &part.content {
                Content::Tool(tool) => Some((tool.name.as_str(), tool.state)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let done = |name| (name, nexus_plugin_api::chat::types::ToolState::Completed);
    assert_eq!(tools, [done("bash"), done("edit"), done("todowrite")]);
    let texts: Vec<_> = all
        .iter()
        .filter_map(|event| match event {
            Event::Part(part) if part.closed => match &part.content {
                Content::Text(text) | Content::Reasoning(text) => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(texts[..2], ["alder birch ", "thought it over. hello there"]);
    let usage = all.iter().find_map(|event| match event {
        Event::Message(message) => message.usage.as_ref(),
        _ => None,
    });
    assert_eq!(usage.map(|usage| (usage.input, usage.output)), Some((2392, 4)));
}

#[test]
fn an_agents_request_shows_its_questions() {
    let mut rig = Rig::new();
    rig.begin();
    let events = rig.take(json!({"id": 1, "method": "session/request_permission", "params": {"sessionId": "a",
        "toolCall": {"toolCallId": "c", "title": "Leave plan mode?"},
        "options": [{"optionId": "a", "name": "Yes", "kind": "allow_once"}, {"optionId": "b", "name": "Yes, and accept edits", "kind": "allow_once"}]}}));
    let request = request_of(&events);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Request(r) if matches!(r.kind, RequestKind::Questions(_))))
    );
    let chosen = rig.c.answer("s", &request, |waiting| {
        waiting.chosen(&[vec!["Yes, and accept edits".to_owned()]])
    });
    assert!(chosen.is_ok());
    assert_eq!(rig.sent()[0]["result"]["outcome"]["optionId"], "b");
}
