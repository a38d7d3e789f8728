#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use crate::backend_status::{Install, Missing, Phase};
use crate::error::ChatError;
use crate::fakes::{Rig, TestJournal, next_stream, rig, rig_with, settle};
use crate::pending_prompts;
use nexus_model::chat::{
    Admission, AgentRequest, Answer, Content, Event, Message, Part, Role, SessionInfo, Turn, Waiting,
};
use nexus_model::limits;
use nexus_model::plugin::{self, Availability, Fit};
use nexus_plugin_traits::{BackendEvent, CallError, Prompt};
use nexus_testkit::FakeChat;
use nexus_testkit::fake_chat::{closed, event, opened, session_info, session_snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

mod commands;
mod core_alone;
mod optional;
mod queue;
mod reading;

fn delta(revision: u64, text: &str) -> Event {
    Event::Delta {
        part: "p".to_owned(),
        message: "m".to_owned(),
        revision,
        text: text.to_owned(),
    }
}

fn prompt(client_id: &str) -> Prompt {
    Prompt {
        client_id: client_id.to_owned(),
        text: "hi".to_owned(),
        ..Prompt::default()
    }
}

/// An answer that does not end.
fn answer() -> Event {
    let message = Message {
        id: "m".to_owned(),
        role: Role::Assistant,
        client_id: None,
        ..pending_prompts::message("x", 1)
    };
    Event::Message { message }
}

fn shown(client_id: &str) -> Event {
    let message = Message {
        id: "msg_1".to_owned(),
        completed_at: Some(1),
        ..pending_prompts::message(client_id, 1)
    };
    Event::Message { message }
}

impl Rig {
    /// The text of the part that [`delta`] writes.
    fn text(&self, session: &str) -> String {
        let state = self.journal.now(session);
        let message = state.message("m");
        let part = message.and_then(|known| known.parts.first().cloned());
        match part.map(|part| part.content) {
            Some(Content::Text { text }) => text,
            None => String::new(),
            other => panic!("{other:?}"),
        }
    }
    fn last_message(&self) -> Message {
        self.journal.now("s").messages.last().unwrap().message.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_come_during_a_snapshot_are_written_after_it_in_order() {
    let mut rig = rig();
    let stream = rig.stream().await;
    rig.backend.gate.forget_permits(1000);
    rig.backend.has(session_snapshot("s", Turn::Running));
    stream.send(opened("e1", &["s"])).await.unwrap();
    stream.send(event("s", delta(1, "a"))).await.unwrap();
    stream.send(event("s", delta(2, "b"))).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.written(), (0, 0));
    rig.backend.gate.add_permits(10);
    settle().await;
    stream.send(event("s", delta(3, "c"))).await.unwrap();
    settle().await;
    let events = rig.journal.events("s");
    let info = session_info("s");
    let of_the_snapshot = [Event::Session { info }, Event::Turn { turn: Turn::Running }];
    assert_eq!(events[..2], of_the_snapshot);
    assert_eq!((events.len(), rig.text("s").as_str()), (5, "abc"));
    assert_eq!(rig.phase(), Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_loses_no_event_and_all_sessions_in_use_are_read_again() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.backend.gate.forget_permits(1000);
    rig.backend.has(session_snapshot("t", Turn::Running));
    stream.send(event("t", delta(1, "a"))).await.unwrap();
    rig.journal.watch("s");
    stream.send(closed(false)).await.unwrap();
    settle().await;
    assert_eq!(
        rig.phase(),
        Phase::Reconnecting {
            cause: "gone".to_owned()
        }
    );
    assert!(rig.journal.events("t").is_empty(), "nobody introduced it");
    let refused = rig.service.prompt("s", prompt("c"), false).await;
    assert!(matches!(refused, Err(ChatError::Unavailable(text)) if text.contains("gone")));

    rig.backend.reads.lock().unwrap().clear();
    rig.backend.gate.add_permits(10);
    stream.send(opened("e1", &["t"])).await.unwrap();
    settle().await;
    let mut read = rig.backend.reads.lock().unwrap().clone();
    read.sort();
    assert_eq!(read, ["s", "t"]);
    assert_eq!(rig.journal.now("t").turn, Turn::Running);
}

#[tokio::test(start_paused = true)]
async fn what_ran_when_the_host_died_is_reconciled_at_the_start() {
    let journal = TestJournal::new();
    let running = || Event::Turn { turn: Turn::Running };
    journal.seed("chat-opencode", "cut", vec![running()]);
    journal.seed("chat-opencode", "lost", vec![running(), answer()]);
    journal.seed("chat-opencode", "quiet", vec![]);
    journal.seed("chat-other", "foreign", vec![running()]);
    let mut rig = rig_with(journal, Availability::ready("1.18.33"));
    rig.backend.has(session_snapshot("cut", Turn::Idle));
    let stream = rig.stream().await;
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.now("cut").turn, Turn::Idle, "as the backend shows it");
    assert_eq!(
        rig.journal.now("lost").turn,
        Turn::Interrupted,
        "the backend does not show it"
    );
    assert!(!rig.backend.reads.lock().unwrap().contains(&"quiet".to_owned()));
    let before = rig.journal.events("foreign");
    assert_eq!(
        rig.journal.now("foreign").turn,
        Turn::Running,
        "another backend's is not touched"
    );
    assert!(matches!(
        rig.service.prompt("foreign", prompt("c"), false).await,
        Err(ChatError::Refused(_))
    ));
    stream.send(event("foreign", delta(1, "x"))).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.events("foreign"), before, "nor written to");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_for_good_leaves_no_running_turn() {
    let mut rig = rig();
    let stream = rig.up().await;
    stream
        .send(event("s", Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    stream.send(event("s", answer())).await.unwrap();
    stream.send(closed(true)).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.now("s").turn, Turn::Interrupted);
    assert!(matches!(rig.phase(), Phase::Failed { .. }));
    rig.service.start().await.unwrap();
    let stream = rig.stream().await;
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.phase(), Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_holds_events_back_and_loses_none() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.journal.disk_is_full(true);
    stream.send(event("s", delta(1, "a"))).await.unwrap();
    stream.send(event("s", delta(2, "b"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.service.backend().borrow().storage_error.is_some());
    rig.journal.disk_is_full(false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.text("s"), "ab");
    assert_eq!(rig.service.backend().borrow().storage_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_shown_at_once_and_then_as_the_backend_has_it() {
    let mut rig = rig();
    let stream = rig.up().await;
    assert_eq!(
        rig.service.prompt("s", prompt("c1"), false).await,
        Ok(Admission::Admitted)
    );
    assert_eq!(rig.message_ids(), ["local-c1"]);
    assert_eq!(
        rig.service.prompt("s", prompt("c1"), false).await,
        Ok(Admission::Duplicate)
    );
    stream.send(event("s", shown("c1"))).await.unwrap();
    settle().await;
    assert_eq!(rig.message_ids(), ["msg_1"]);
    assert_eq!(
        rig.service.prompt("s", prompt("c1"), false).await,
        Ok(Admission::Duplicate)
    );
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 1);
    assert!(matches!(
        rig.service.prompt("s", prompt("c 1"), false).await,
        Err(ChatError::Refused(_))
    ));
    assert!(matches!(
        rig.service.prompt("none", prompt("c"), false).await,
        Err(ChatError::NotFound(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn the_same_prompt_twice_at_once_is_asked_for_once() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let (one, two) = tokio::join!(
        rig.service.prompt("s", prompt("c"), false),
        rig.service.prompt("s", prompt("c"), false)
    );
    let mut both = [one.unwrap(), two.unwrap()];
    both.sort_by_key(|admission| *admission == Admission::Duplicate);
    assert_eq!(both, [Admission::Admitted, Admission::Duplicate]);
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_with_the_same_id() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let lost = || Ok(Admission::Unknown("cut".to_owned()));
    *rig.backend.admissions.lock().unwrap() = [
        lost(),
        Err(CallError::Crashed("trap".to_owned())),
        Ok(Admission::Duplicate),
    ]
    .into();
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Duplicate)
    );
    assert!(rig.backend.prompts.lock().unwrap().iter().all(|p| p.client_id == "c"));
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 3);

    *rig.backend.admissions.lock().unwrap() = std::iter::repeat_with(lost).take(20).collect();
    assert_eq!(
        rig.service.prompt("s", prompt("d"), false).await,
        Ok(Admission::Unknown("cut".to_owned()))
    );
    assert!(
        rig.last_message().error.is_some(),
        "it stays, and says that it is not known"
    );
    rig.backend.admissions.lock().unwrap().clear();
    assert_eq!(
        rig.service.prompt("s", prompt("d"), false).await,
        Ok(Admission::Admitted)
    );
    assert_eq!(rig.last_message().error, None);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_during_which_the_plugin_crashed_is_sent_twice_and_no_more() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let crashed = || Err(CallError::Crashed("trap".to_owned()));
    *rig.backend.admissions.lock().unwrap() = std::iter::repeat_with(crashed).take(20).collect();
    let Err(ChatError::Unconfirmed(cause)) = rig.service.prompt("s", prompt("c"), false).await else {
        panic!("it is not to be sent again");
    };
    assert!(
        cause.contains("trap") && cause.contains("does not send it again"),
        "{cause}"
    );
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 2);
    assert!(rig.last_message().error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refused_prompt_and_a_missing_consent_leave_nothing() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let consent = Admission::ConsentNeeded {
        id: "hosted".to_owned(),
        text: "…".to_owned(),
    };
    for answer in [Admission::Refused("no such model".to_owned()), consent] {
        rig.backend.admissions.lock().unwrap().push_back(Ok(answer.clone()));
        assert_eq!(rig.service.prompt("s", prompt("c"), false).await, Ok(answer));
        assert!(rig.message_ids().is_empty());
    }
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted),
        "the same id may be sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_on_its_way_when_the_host_died_stays_and_says_so() {
    let journal = TestJournal::new();
    let message = pending_prompts::message("c", 1);
    let left = vec![Event::Turn { turn: Turn::Running }, Event::Message { message }];
    journal.seed("chat-opencode", "s", left);
    let mut rig = rig_with(journal, Availability::ready("1.18.33"));
    rig.backend.has(session_snapshot("s", Turn::Idle));
    let stream = rig.stream().await;
    stream.send(opened("e2", &[])).await.unwrap();
    settle().await;
    let message = rig.last_message();
    assert!(message.id == "local-c" && matches!(message.waiting, Some(Waiting::Owner { .. })));
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted),
        "and can be sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_gone_is_closed_for_everybody() {
    let mut rig = rig();
    let stream = rig.up().await;
    let request = AgentRequest {
        id: "a".to_owned(),
        permission: true,
        ..AgentRequest::default()
    };
    stream.send(event("s", Event::Request { request })).await.unwrap();
    settle().await;
    // An answer of another kind does not reach the backend.
    let other = Answer::Other {
        name: "acme.pin".to_owned(),
        value: 1.into(),
    };
    assert!(matches!(
        rig.service.reply("s", "a", other).await,
        Err(ChatError::Refused(_))
    ));
    assert!(rig.service.pending_request("s", "a").await.unwrap().is_some());
    // It offers nothing for good, so it gives nothing for good.
    rig.service.reply("s", "a", Answer::Always).await.unwrap();
    assert_eq!(*rig.backend.replies.lock().unwrap(), [("a".to_owned(), Answer::Once)]);
    *rig.backend.reply_error.lock().unwrap() = Some(CallError::NotFound("no".to_owned()));
    assert!(matches!(
        rig.service.reply("s", "a", Answer::Once).await,
        Err(ChatError::NotFound(_))
    ));
    assert!(rig.journal.now("s").requests.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_answer_is_continued_once() {
    let mut rig = rig();
    let stream = rig.up().await;
    assert!(matches!(
        rig.service.continue_interrupted("s").await,
        Err(ChatError::Refused(_))
    ));
    stream.send(event("s", answer())).await.unwrap();
    stream
        .send(event(
            "s",
            Event::Turn {
                turn: Turn::Interrupted,
            },
        ))
        .await
        .unwrap();
    settle().await;
    let (one, two) = tokio::join!(
        rig.service.continue_interrupted("s"),
        rig.service.continue_interrupted("s")
    );
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_is_active_until_the_program_is_there() {
    let mut rig = rig_with(TestJournal::new(), Availability::missing("npm install"));
    let echo = next_stream(&mut rig.echo_streams).await;
    rig.echo.has(session_snapshot("s", Turn::Idle));
    echo.send(opened("x", &[])).await.unwrap();
    echo.send(event(
        "s",
        Event::Session {
            info: session_info("s"),
        },
    ))
    .await
    .unwrap();
    settle().await;
    let status = rig.service.backend().borrow().clone();
    assert!(status.example && status.phase == Phase::Up && status.plugin == "chat-echo");
    let missing = Missing {
        title: "opencode".to_owned(),
        cause: "opencode is not installed.".to_owned(),
        fix: Some("npm install".to_owned()),
        install: status
            .missing
            .as_ref()
            .map_or(Install::Unsupported, |missing| missing.install.clone()),
    };
    assert_eq!(status.missing, Some(missing));
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted)
    );

    *rig.backend.availability.lock().unwrap() = Availability::Ready(Fit {
        version: "1.18.33".to_owned(),
        note: Some("Asks before: commands".to_owned()),
    });
    let stream = rig.stream().await;
    stream.send(opened("e1", &[])).await.unwrap();
    settle().await;
    let status = rig.service.backend().borrow().clone();
    assert!(!status.example && status.missing.is_none() && status.plugin == "chat-opencode");
    assert_eq!(status.version.as_deref(), Some("1.18.33"));
    assert_eq!(status.rules.as_deref(), Some("Asks before: commands"));
    assert!(echo.is_closed());
    let roots = rig.service.sessions().borrow().clone();
    assert_eq!(roots.len(), 1, "it stays, to be read");
    assert_ne!(roots[0].backend, rig.service.backend().borrow().plugin);
    rig.service.delete("s").await.unwrap();
    settle().await;
    assert!(rig.service.sessions().borrow().is_empty(), "and to be deleted");
}

#[tokio::test(start_paused = true)]
async fn a_sub_agents_session_is_stored_and_not_listed() {
    let mut rig = rig();
    let stream = rig.up().await;
    let child = SessionInfo {
        parent: Some("s".to_owned()),
        ..session_info("child")
    };
    let mut of_child = session_snapshot("child", Turn::Running);
    of_child.info = child.clone();
    rig.backend.has(of_child);
    stream
        .send(event("child", Event::Session { info: child }))
        .await
        .unwrap();
    settle().await;
    assert_eq!(
        rig.service
            .sessions()
            .borrow()
            .iter()
            .map(|root| root.info.id.clone())
            .collect::<Vec<_>>(),
        ["s"]
    );
    assert_eq!(rig.journal.now("child").turn, Turn::Running);
    rig.service.delete("s").await.unwrap();
    assert_eq!(rig.journal.now("child").turn, Turn::Idle, "deleted with its root");
}
