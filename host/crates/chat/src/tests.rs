#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::fakes::{FakeBackend, FakeJournal, Silent, Write, info, snapshot};
use super::*;
use nexus_model::chat::{Epoch, Message, Role, SessionEvent, Turn, Waiting};
use nexus_model::plugin::{Availability, Failure};
use nexus_model::time::ManualClock;
use nexus_plugin_traits::Feed;
use std::time::Duration;
use tokio::sync::mpsc;

mod orders;
mod queue;
mod reading;

struct Rig {
    service: ChatService,
    backend: Arc<FakeBackend>,
    feeds: mpsc::UnboundedReceiver<mpsc::Sender<Feed>>,
    journal: FakeJournal,
    echo: Arc<FakeBackend>,
    echo_feeds: mpsc::UnboundedReceiver<mpsc::Sender<Feed>>,
    /// Plugins whose processes were stopped.
    stopped: Arc<std::sync::Mutex<Vec<String>>>,
}

fn rig_with(journal: FakeJournal, availability: Availability) -> Rig {
    let (backend, feeds) = FakeBackend::new("opencode");
    *backend.availability.lock().unwrap() = availability;
    let (echo, echo_feeds) = FakeBackend::new("echo");
    let stopped = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let own = |plugin: &str, backend: &Arc<FakeBackend>| Backend {
        plugin: plugin.to_owned(),
        backend: Arc::<FakeBackend>::clone(backend),
    };
    let service = ChatService::start(
        own("chat-opencode", &backend),
        Some(own("chat-echo", &echo)),
        Parts {
            journal: Arc::new(journal.clone()),
            stop_processes: Arc::new({
                let stopped = Arc::clone(&stopped);
                move |plugin: String| {
                    stopped.lock().unwrap().push(plugin);
                    Box::pin(async {})
                }
            }),
            activity: Arc::new(Silent),
            clock: Arc::new(ManualClock::at(5_000)),
        },
    );
    Rig {
        service,
        backend,
        feeds,
        journal,
        echo,
        echo_feeds,
        stopped,
    }
}

fn rig() -> Rig {
    rig_with(FakeJournal::new(), Availability::Ready("1.18.33".to_owned()))
}

fn epoch(id: &str, running: &[&str]) -> Feed {
    let running = running
        .iter()
        .map(|session| ((*session).to_owned(), Turn::Running))
        .collect();
    Feed::Opened(Epoch {
        id: id.to_owned(),
        version: "1.18.33".to_owned(),
        running,
        asks: Vec::new(),
    })
}

fn event(session: &str, event: Event) -> Feed {
    Feed::Event(SessionEvent {
        session: session.to_owned(),
        event,
    })
}

fn delta(revision: u64, text: &str) -> Event {
    Event::Delta {
        part: "p".to_owned(),
        message: "m".to_owned(),
        revision,
        text: text.to_owned(),
    }
}

fn failure(permanent: bool) -> Feed {
    Feed::Closed(Failure {
        at: 1,
        message: "gone".to_owned(),
        hint: None,
        permanent,
    })
}

fn prompt(client_id: &str) -> Prompt {
    Prompt {
        client_id: client_id.to_owned(),
        text: "hi".to_owned(),
        model: None,
        consent: None,
    }
}

fn shown(client_id: &str) -> Event {
    let message = Message {
        id: "msg_1".to_owned(),
        completed_at: Some(1),
        ..local::message(client_id, 1)
    };
    Event::Message { message }
}

/// Until nothing more happens by itself.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

impl Rig {
    async fn feed(&mut self) -> mpsc::Sender<Feed> {
        tokio::time::timeout(Duration::from_secs(60), self.feeds.recv())
            .await
            .expect("a feed")
            .unwrap()
    }
    /// Up, with session `s`.
    async fn up(&mut self) -> mpsc::Sender<Feed> {
        let feed = self.feed().await;
        self.backend.has(snapshot("s", Turn::Idle));
        feed.send(epoch("e1", &[])).await.unwrap();
        feed.send(event("s", Event::Session { info: info("s") })).await.unwrap();
        settle().await;
        feed
    }
    /// Up, with a turn of session `s` that runs.
    async fn running(&mut self) -> mpsc::Sender<Feed> {
        let feed = self.up().await;
        self.backend.has(snapshot("s", Turn::Running));
        feed.send(event("s", Event::Turn { turn: Turn::Running }))
            .await
            .unwrap();
        settle().await;
        assert_eq!(self.journal.now("s").turn, Turn::Running);
        feed
    }
    fn local_ids(&self) -> Vec<String> {
        self.journal
            .now("s")
            .messages
            .into_iter()
            .map(|(message, _)| message.id)
            .collect()
    }
    fn phase(&self) -> Phase {
        self.service.status().borrow().phase.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_come_during_a_snapshot_are_written_after_it_in_order() {
    let mut rig = rig();
    let feed = rig.feed().await;
    rig.backend.gate.forget_permits(1000);
    rig.backend.has(snapshot("s", Turn::Running));
    feed.send(epoch("e1", &["s"])).await.unwrap();
    feed.send(event("s", delta(1, "a"))).await.unwrap();
    feed.send(event("s", delta(2, "b"))).await.unwrap();
    settle().await;
    assert!(rig.journal.writes().is_empty());
    rig.backend.gate.add_permits(10);
    settle().await;
    feed.send(event("s", delta(3, "c"))).await.unwrap();
    settle().await;
    let event = |revision, text| Write::Event("s".to_owned(), delta(revision, text));
    let expected = [
        Write::Snapshot(snapshot("s", Turn::Running)),
        event(1, "a"),
        event(2, "b"),
        event(3, "c"),
    ];
    assert_eq!(rig.journal.writes(), expected);
    assert_eq!(rig.phase(), Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_loses_no_event_and_all_sessions_in_use_are_read_again() {
    let mut rig = rig();
    let feed = rig.up().await;
    let before = rig.journal.writes().len();
    rig.backend.gate.forget_permits(1000);
    rig.backend.has(snapshot("t", Turn::Running));
    feed.send(event("t", delta(1, "a"))).await.unwrap();
    rig.journal.watch("s");
    feed.send(failure(false)).await.unwrap();
    settle().await;
    assert_eq!(rig.phase(), Phase::Reconnecting { why: "gone".to_owned() });
    let unread = Write::Event("t".to_owned(), delta(1, "a"));
    assert!(!rig.journal.writes().contains(&unread), "nobody introduced it");
    let refused = rig.service.prompt("s", prompt("c"), false).await;
    assert!(matches!(refused, Err(ChatError::Unavailable(text)) if text.contains("gone")));

    rig.backend.gate.add_permits(10);
    feed.send(epoch("e1", &["t"])).await.unwrap();
    settle().await;
    let again: Vec<_> = rig.journal.writes().split_off(before);
    for session in [snapshot("s", Turn::Idle), snapshot("t", Turn::Running)] {
        assert!(again.contains(&Write::Snapshot(session)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_ran_when_the_host_died_is_reconciled_at_the_start() {
    let journal = FakeJournal::new();
    journal.seed("chat-opencode", "cut", Turn::Running);
    journal.seed("chat-opencode", "lost", Turn::Running);
    journal.seed("chat-opencode", "quiet", Turn::Idle);
    journal.seed("chat-other", "foreign", Turn::Running);
    let mut rig = rig_with(journal, Availability::Ready("1.18.33".to_owned()));
    rig.backend.has(snapshot("cut", Turn::Idle));
    let feed = rig.feed().await;
    feed.send(epoch("e2", &[])).await.unwrap();
    settle().await;
    let expected = [
        Write::Snapshot(snapshot("cut", Turn::Idle)),
        Write::Settled("lost".to_owned()),
    ];
    assert_eq!(rig.journal.writes(), expected);
    assert_eq!(
        rig.journal.now("foreign").turn,
        Turn::Running,
        "another backend's is not touched"
    );
    assert!(matches!(
        rig.service.prompt("foreign", prompt("c"), false).await,
        Err(ChatError::Refused(_))
    ));
    feed.send(event("foreign", delta(1, "x"))).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.writes().len(), 2, "nor written to");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_for_good_leaves_no_running_turn() {
    let mut rig = rig();
    let feed = rig.up().await;
    feed.send(event("s", Event::Turn { turn: Turn::Running }))
        .await
        .unwrap();
    feed.send(failure(true)).await.unwrap();
    settle().await;
    assert_eq!(rig.journal.now("s").turn, Turn::Interrupted);
    assert!(matches!(rig.phase(), Phase::Failed { .. }));
    rig.service.look_again();
    let feed = rig.feed().await;
    feed.send(epoch("e2", &[])).await.unwrap();
    settle().await;
    assert_eq!(rig.phase(), Phase::Up);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_holds_events_back_and_loses_none() {
    let mut rig = rig();
    let feed = rig.up().await;
    rig.journal.break_for(3);
    feed.send(event("s", delta(1, "a"))).await.unwrap();
    feed.send(event("s", delta(2, "b"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let writes = rig.journal.writes();
    let tail = [
        Write::Event("s".to_owned(), delta(1, "a")),
        Write::Event("s".to_owned(), delta(2, "b")),
    ];
    assert!(writes.ends_with(&tail), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_shown_at_once_and_then_as_the_backend_has_it() {
    let mut rig = rig();
    let feed = rig.up().await;
    assert_eq!(
        rig.service.prompt("s", prompt("c1"), false).await,
        Ok(Admission::Admitted)
    );
    assert_eq!(rig.local_ids(), ["local-c1"]);
    assert_eq!(
        rig.service.prompt("s", prompt("c1"), false).await,
        Ok(Admission::Duplicate)
    );
    feed.send(event("s", shown("c1"))).await.unwrap();
    settle().await;
    assert_eq!(rig.local_ids(), ["msg_1"]);
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
    let state = rig.journal.now("s");
    assert!(
        state.messages.last().unwrap().0.error.is_some(),
        "it stays, and says that it is not known"
    );
    rig.backend.admissions.lock().unwrap().clear();
    assert_eq!(
        rig.service.prompt("s", prompt("d"), false).await,
        Ok(Admission::Admitted)
    );
    assert_eq!(rig.journal.now("s").messages.last().unwrap().0.error, None);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_during_which_the_plugin_fell_is_sent_twice_and_no_more() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let fell = || Err(CallError::Crashed("trap".to_owned()));
    *rig.backend.admissions.lock().unwrap() = std::iter::repeat_with(fell).take(20).collect();
    let Err(ChatError::GivenUp(why)) = rig.service.prompt("s", prompt("c"), false).await else {
        panic!("it is not to be sent again");
    };
    assert!(why.contains("trap") && why.contains("not sent again"), "{why}");
    assert_eq!(rig.backend.prompts.lock().unwrap().len(), 2);
    assert!(rig.journal.now("s").messages.last().unwrap().0.error.is_some());
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
        assert!(rig.local_ids().is_empty());
    }
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted),
        "the same id may be sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_on_its_way_when_the_host_died_stays_and_says_so() {
    let journal = FakeJournal::new();
    journal.seed("chat-opencode", "s", Turn::Running);
    let message = local::message("c", 1);
    journal.append("s", vec![Event::Message { message }]).await.unwrap();
    let mut rig = rig_with(journal, Availability::Ready("1.18.33".to_owned()));
    rig.backend.has(snapshot("s", Turn::Idle));
    let feed = rig.feed().await;
    feed.send(epoch("e2", &[])).await.unwrap();
    settle().await;
    let (message, _) = rig.journal.now("s").messages[0].clone();
    assert!(message.id == "local-c" && matches!(message.waiting, Some(Waiting::Owner { .. })));
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted),
        "and can be sent again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_gone_is_closed_for_everybody() {
    let mut rig = rig();
    let _feed = rig.up().await;
    *rig.backend.replies.lock().unwrap() = Some(CallError::NotFound("no".to_owned()));
    assert!(matches!(
        rig.service.reply("s", "a", Answer::Once).await,
        Err(ChatError::NotFound(_))
    ));
    let closed = Write::Event("s".to_owned(), Event::AskClosed { ask: "a".to_owned() });
    assert_eq!(rig.journal.writes().last(), Some(&closed));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_answer_is_continued_once() {
    let mut rig = rig();
    let feed = rig.up().await;
    assert!(matches!(
        rig.service.continue_interrupted("s").await,
        Err(ChatError::Refused(_))
    ));
    let message = Message {
        id: "m".to_owned(),
        role: Role::Assistant,
        client_id: None,
        ..local::message("x", 1)
    };
    feed.send(event("s", Event::Message { message })).await.unwrap();
    feed.send(event(
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
async fn the_example_stands_in_until_the_program_is_there() {
    let mut rig = rig_with(FakeJournal::new(), Availability::Missing("npm install".to_owned()));
    let echo = rig.echo_feeds.recv().await.unwrap();
    rig.echo.has(snapshot("s", Turn::Idle));
    echo.send(epoch("x", &[])).await.unwrap();
    echo.send(event("s", Event::Session { info: info("s") })).await.unwrap();
    settle().await;
    let status = rig.service.status().borrow().clone();
    assert!(status.example && status.phase == Phase::Up && status.plugin == "chat-echo");
    let missing = Missing {
        title: "opencode".to_owned(),
        hint: "npm install".to_owned(),
        unsuitable: false,
    };
    assert_eq!(status.missing, Some(missing));
    assert_eq!(
        rig.service.prompt("s", prompt("c"), false).await,
        Ok(Admission::Admitted)
    );

    *rig.backend.availability.lock().unwrap() = Availability::Ready("1.18.33; Asks before: commands".to_owned());
    let feed = rig.feed().await;
    feed.send(epoch("e1", &[])).await.unwrap();
    settle().await;
    let status = rig.service.status().borrow().clone();
    assert!(!status.example && status.missing.is_none() && status.plugin == "chat-opencode");
    assert_eq!(status.version.as_deref(), Some("1.18.33"));
    assert_eq!(status.rules.as_deref(), Some("Asks before: commands"));
    assert!(echo.is_closed());
    let roots = rig.service.sessions().borrow().clone();
    assert_eq!(roots.len(), 1, "it stays, to be read");
    assert_ne!(roots[0].backend, rig.service.status().borrow().plugin);
    rig.service.delete("s").await.unwrap();
    settle().await;
    assert!(rig.service.sessions().borrow().is_empty(), "and to be deleted");
}

#[tokio::test(start_paused = true)]
async fn a_sub_agents_session_is_stored_and_not_listed() {
    let mut rig = rig();
    let feed = rig.up().await;
    let child = nexus_model::chat::SessionInfo {
        parent: Some("s".to_owned()),
        ..info("child")
    };
    let mut of_child = snapshot("child", Turn::Running);
    of_child.info = child.clone();
    rig.backend.has(of_child);
    feed.send(event("child", Event::Session { info: child })).await.unwrap();
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
