//! Prompts that come while a turn runs, and turns that do not begin.

use super::*;

impl Rig {
    fn sent(&self) -> Vec<String> {
        let prompts = self.backend.prompts.lock().unwrap();
        prompts.iter().map(|prompt| prompt.client_id.clone()).collect()
    }
    fn waiting(&self, client_id: &str) -> Option<Waiting> {
        let id = pending_prompts::message_id(client_id);
        self.journal.now("s").message(&id)?.message.waiting.clone()
    }
}

async fn turn(stream: &mpsc::Sender<BackendEvent>, turn: Turn) {
    stream.send(event("s", Event::Turn { turn })).await.unwrap();
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_turn_runs_waits_for_its_end_one_after_the_other() {
    let mut rig = rig();
    let stream = rig.running().await;
    for id in ["a", "b"] {
        assert_eq!(
            rig.service.prompt("s", prompt(id), false).await,
            Ok(Admission::Admitted)
        );
        assert_eq!(
            rig.service.prompt("s", prompt(id), false).await,
            Ok(Admission::Duplicate)
        );
        assert_eq!(rig.waiting(id), Some(Waiting::Turn));
    }
    assert!(rig.sent().is_empty());
    turn(&stream, Turn::Idle).await;
    assert_eq!(rig.sent(), ["a"]);
    assert_eq!((rig.waiting("a"), rig.waiting("b")), (None, Some(Waiting::Turn)));
    // A turn that ended before it began for this one is no reason to send the next.
    turn(&stream, Turn::Idle).await;
    assert_eq!(rig.sent(), ["a"]);
    turn(&stream, Turn::Running).await;
    turn(&stream, Turn::Idle).await;
    assert_eq!(rig.sent(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_can_be_taken_back_or_sent_at_once() {
    let mut rig = rig();
    let stream = rig.running().await;
    for id in ["a", "b"] {
        rig.service.prompt("s", prompt(id), false).await.unwrap();
    }
    rig.service.take_back("s", "a").await.unwrap();
    assert!(matches!(
        rig.service.take_back("s", "a").await,
        Err(ChatError::NotFound(_))
    ));
    assert_eq!(rig.message_ids(), ["local-b"]);
    let other = Prompt {
        text: "other words".to_owned(),
        ..prompt("b")
    };
    assert_eq!(rig.service.prompt("s", other, true).await, Ok(Admission::Admitted));
    let sent = rig.backend.prompts.lock().unwrap().clone();
    assert_eq!(
        (sent.len(), sent[0].text.as_str()),
        (1, "hi"),
        "what was shown is what is sent"
    );
    assert!(rig.service.take_back("s", "b").await.is_err(), "it was sent");
    turn(&stream, Turn::Idle).await;
    assert_eq!(rig.sent(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_an_interruption_leave_what_waits_to_its_owner() {
    let mut rig = rig();
    let stream = rig.running().await;
    rig.service.prompt("s", prompt("a"), false).await.unwrap();
    rig.service.cancel("s").await.unwrap();
    turn(&stream, Turn::Idle).await;
    assert!(matches!(rig.waiting("a"), Some(Waiting::Owner { cause, .. }) if cause.contains("stopped")));
    assert!(rig.sent().is_empty());
    turn(&stream, Turn::Running).await;
    rig.service.prompt("s", prompt("b"), false).await.unwrap();
    turn(&stream, Turn::Interrupted).await;
    assert!(matches!(rig.waiting("b"), Some(Waiting::Owner { cause, .. }) if cause.contains("interrupted")));
    turn(&stream, Turn::Idle).await;
    rig.service.prompt("s", prompt("a"), true).await.unwrap();
    assert_eq!((rig.sent(), rig.waiting("a")), (vec!["a".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn what_waited_and_is_refused_stays_with_the_reason() {
    let mut rig = rig();
    let stream = rig.running().await;
    rig.service.prompt("s", prompt("a"), false).await.unwrap();
    rig.service.prompt("s", prompt("b"), false).await.unwrap();
    let refused = Ok(Admission::Refused("no such model".to_owned()));
    rig.backend.admissions.lock().unwrap().push_back(refused);
    turn(&stream, Turn::Idle).await;
    assert!(matches!(rig.waiting("a"), Some(Waiting::Owner { cause, .. }) if cause == "no such model"));
    assert!(matches!(rig.waiting("b"), Some(Waiting::Owner { .. })));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_line_holds_is_refused() {
    let mut rig = rig();
    let _feed = rig.running().await;
    for n in 0..limits::QUEUED_PROMPTS {
        rig.service.prompt("s", prompt(&format!("p{n}")), false).await.unwrap();
    }
    let mark_loaded = rig.service.prompt("s", prompt("more"), false).await;
    assert!(matches!(mark_loaded, Err(ChatError::Refused(_))));
    assert_eq!(rig.message_ids().len(), limits::QUEUED_PROMPTS);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_taken_and_is_not_answered_says_so() {
    let mut rig = rig();
    let stream = rig.up().await;
    rig.service.prompt("s", prompt("a"), false).await.unwrap();
    // Before it is known whether its turn begins, the next one waits.
    rig.service.prompt("s", prompt("b"), false).await.unwrap();
    tokio::time::sleep(limits::UNANSWERED * 2).await;
    let error = rig.journal.now("s").error.unwrap().text;
    assert!(error.contains("did not start to answer"), "{error}");
    assert!(matches!(rig.waiting("b"), Some(Waiting::Owner { .. })));
    // One whose turn begins says nothing.
    rig.service.prompt("s", prompt("c"), false).await.unwrap();
    turn(&stream, Turn::Running).await;
    turn(&stream, Turn::Idle).await;
    tokio::time::sleep(limits::UNANSWERED * 2).await;
    assert_eq!(rig.journal.now("s").error, None);
}

#[tokio::test(start_paused = true)]
async fn continue_pressed_again_while_it_is_on_its_way_is_one_turn() {
    let mut rig = rig();
    let stream = rig.up().await;
    stream.send(event("s", answer())).await.unwrap();
    turn(&stream, Turn::Interrupted).await;
    rig.service.continue_interrupted("s").await.unwrap();
    assert_eq!(rig.service.continue_interrupted("s").await, Ok(Admission::Duplicate));
    let id = rig.sent()[0].clone();
    stream.send(event("s", shown(&id))).await.unwrap();
    settle().await;
    assert_eq!(rig.service.continue_interrupted("s").await, Ok(Admission::Duplicate));
    assert_eq!(rig.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chat_without_a_title_is_called_by_its_first_words() {
    let mut rig = rig();
    let stream = rig.stream().await;
    let mut nameless = session_snapshot("s", Turn::Idle);
    nameless.info.title = String::new();
    rig.backend.has(nameless.clone());
    stream.send(opened("e1", &[])).await.unwrap();
    stream
        .send(event("s", Event::Session { info: nameless.info }))
        .await
        .unwrap();
    settle().await;
    let words = Prompt {
        text: "\n Fix the build of the parser, then run all of the tests again and tell me what is left to do"
            .to_owned(),
        ..prompt("a")
    };
    rig.service.prompt("s", words, false).await.unwrap();
    let title = rig.service.sessions().borrow()[0].info.title.clone();
    assert_eq!(title, "Fix the build of the parser, then run all of the tests…");
}

#[tokio::test(start_paused = true)]
async fn the_same_request_makes_one_chat() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let first = rig.service.create(None, None, Some("r")).await.unwrap();
    assert_eq!(rig.service.create(None, None, Some("r")).await.unwrap(), first);
    assert_ne!(rig.service.create(None, None, Some("other")).await.unwrap(), first);
    assert_eq!(rig.backend.created.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_for_a_new_chat_are_remembered_up_to_their_number_the_last_ones() {
    let mut rig = rig();
    let _feed = rig.up().await;
    let many = limits::CREATE_REQUESTS + 1;
    for n in 0..many {
        rig.service.create(None, None, Some(&format!("r{n}"))).await.unwrap();
    }
    let created = || rig.backend.created.lock().unwrap().len();
    rig.service
        .create(None, None, Some(&format!("r{}", many - 1)))
        .await
        .unwrap();
    assert_eq!(created(), many, "the last one is known");
    rig.service.create(None, None, Some("r0")).await.unwrap();
    assert_eq!(created(), many + 1, "the first one is forgotten");
}

/// While the plugin is compiled or its program starts, a new chat waits, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_new_chat_waits_for_a_backend_that_is_being_started() {
    let mut rig = rig();
    let stream = rig.stream().await;
    let before = tokio::time::Instant::now();
    let refused = rig.service.create(None, None, None).await.unwrap_err().to_string();
    assert_eq!(before.elapsed(), limits::CREATE_WAITS);
    assert!(refused.contains("is not ready yet"), "{refused}");
    let opens = async {
        tokio::time::sleep(limits::CREATE_WAITS / 2).await;
        stream.send(opened("e1", &[])).await.unwrap();
    };
    let (made, ()) = tokio::join!(rig.service.create(None, None, None), opens);
    made.unwrap();
}
