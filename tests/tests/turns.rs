//! Turns with the real opencode: what the server of a model does wrong, and what a person does while it answers.

use nexus_tests::machine::Stopwatch;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, World};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn what_a_models_server_refuses_is_retried_or_reported() {
    let world = World::up("").await;
    // Too many requests: tried again, seen, then the answer.
    let mut chat = world.conversation().await;
    chat.prompt("[[error status=429 retry_after=1 times=2]] [[say at last]]")
        .await;
    chat.until("it is seen that it is tried again", |c| {
        c.turns.iter().any(|t| t == "retrying")
    })
    .await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "at last");
    assert_eq!(world.llm.requests(), 3);
    // The server's own fault: tried again as well.
    let mut chat = world.conversation().await;
    chat.prompt("[[error status=500 times=1]] [[say after a fault]]").await;
    chat.until("it is seen that it is tried again", |c| {
        c.turns.iter().any(|t| t == "retrying")
    })
    .await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "after a fault");
    assert_eq!(world.llm.requests(), 5);
    // A wrong key: once, and in words.
    let mut chat = world.conversation().await;
    chat.prompt("[[error status=401]]").await;
    chat.until_idle().await;
    chat.until("the error is shown", |c| !c.errors().is_empty()).await;
    assert!(chat.errors().contains("told to answer 401"), "{}", chat.errors());
    assert_eq!(world.llm.requests(), 6);
    // Who comes late reads it too.
    let mut late = world.look(&chat.session, None).await;
    late.until("the error is in the state", |c| c.errors().contains("401"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_stream_that_is_cut_is_tried_again_and_its_dead_text_goes_away() {
    let world = World::up("").await;
    for how in ["rst", "chunk"] {
        let mut chat = world.conversation().await;
        chat.prompt(&format!("[[cut after=20 how={how} times=1]] [[say whole at last]]"))
            .await;
        // A reset takes with it what was not read yet, and a busy opencode may have read nothing.
        if how == "chunk" {
            chat.until("text of the first try came", |c| c.ever.contains("alder"))
                .await;
        }
        chat.until("it is seen that it is tried again", |c| {
            c.turns.iter().any(|t| t == "retrying")
        })
        .await;
        chat.until_idle().await;
        assert_eq!(chat.answer(), "whole at last", "{how}");
        let mut late = world.look(&chat.session, None).await;
        late.until("the state came", |c| c.seq > 0).await;
        assert_eq!(late.answer(), "whole at last", "{how}");
    }
    assert_eq!(world.llm.requests(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_stream_that_ends_without_a_reason_does_not_go_on_for_ever() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    let begin = Instant::now();
    chat.prompt("[[cut after=3 how=eof]]").await;
    chat.until("it is stopped, in words", |c| c.errors().contains("without a reason"))
        .await;
    chat.until_idle().await;
    let (requests, took) = (world.llm.requests(), begin.elapsed());
    println!("stopped after {requests} requests, {:.1} s", took.as_secs_f64());
    assert!((2..=40).contains(&requests), "{requests} requests");
    // It is stopped for good, and the session can be used.
    chat.prompt("[[say good]]").await;
    chat.until("the next answer came", |c| {
        c.turn == "idle" && c.answer().ends_with("good")
    })
    .await;
    assert!(
        world.llm.requests() <= requests + 3,
        "{} after {requests}",
        world.llm.requests()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_stop_in_the_middle_of_an_answer_keeps_what_was_seen() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    chat.prompt("[[text n=800 rate=40 size=6]]").await;
    chat.until("some text came", |c| c.answer().len() > 200).await;
    let seen = chat.answer();
    let watch = Stopwatch::start();
    let done = chat.request("cancel", json!({})).await;
    assert_eq!(done["type"], "done", "{done}");
    chat.until_idle().await;
    // Far less than the rest of the answer would take.
    watch.stop().assert_within("a stop", Duration::from_secs(5));
    assert!(chat.answer().starts_with(&seen));
    assert!(!chat.interrupted(), "a stop is no accident: {:?}", chat.messages);
    // The model is not asked any further.
    wait::until("the model is told to stop", || {
        world.llm.seen.aborted.load(Ordering::SeqCst) > 0
    });
    chat.prompt("[[say and on]]").await;
    chat.until("the next answer came", |c| {
        c.turn == "idle" && c.answer().ends_with("and on")
    })
    .await;
}

const CALL: &str = r#"[[tool name=bash args={"command":"echo from-the-tool","description":"Says a word"}]]"#;

/// Asks for a tool and answers the question.
async fn ask(chat: &mut Conversation, answer: serde_json::Value) {
    chat.prompt(CALL).await;
    chat.until("the tool asks", |c| !c.requests.is_empty()).await;
    let ask = chat.requests.values().next().unwrap()["id"].clone();
    let done = chat.request("reply", json!({"request": ask, "answer": answer})).await;
    assert_eq!(done["type"], "done", "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_tool_that_is_rejected_does_not_run_and_one_that_is_allowed_always_asks_once() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    ask(&mut chat, json!({"type": "reject", "message": null})).await;
    chat.until_idle().await;
    assert!(chat.requests.is_empty());
    assert!(
        chat.tools.values().all(|t| t["state"] == "rejected"),
        "{:?}",
        chat.tools
    );
    // With words: the model hears them and goes on.
    let mut chat = world.conversation().await;
    ask(&mut chat, json!({"type": "reject", "message": "use the other way"})).await;
    chat.until_idle().await;
    let tool = chat.tools.values().next().unwrap();
    assert_eq!(tool["state"], "rejected", "{tool}");
    let heard = world.llm.seen.requests.lock().unwrap().last().unwrap().to_string();
    assert!(heard.contains("use the other way"), "the model did not hear it");
    // Always: the second one does not ask.
    let mut chat = world.conversation().await;
    ask(&mut chat, json!({"type": "always"})).await;
    chat.until("the first ran", |c| {
        c.turn == "idle" && c.answer().contains("[tool done]")
    })
    .await;
    chat.prompt(CALL).await;
    chat.until("the second ran", |c| {
        assert!(c.requests.is_empty(), "it asks again: {:?}", c.requests);
        c.turn == "idle" && c.tools.values().filter(|t| t["state"] == "completed").count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_prompt_sent_twice_is_asked_once_and_one_sent_meanwhile_is_answered_too() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    let prompt = json!({"type": "prompt", "session": chat.session, "client_id": "the-same-one", "text": "[[text n=80 rate=40 size=6]]"});
    // A phone that sends again before it hears, on two connections.
    let mut phone = world.look(&chat.session, None).await;
    chat.socket.send(&prompt).await;
    phone.socket.send(&prompt).await;
    let admitted = |f: &serde_json::Value| f["type"] == "admitted";
    let answers = [chat.frames_until(admitted).await, phone.frames_until(admitted).await];
    assert_eq!(
        answers.iter().filter(|a| a["duplicate"] == false).count(),
        1,
        "{answers:?}"
    );
    chat.until("some text came", |c| c.answer().len() > 60).await;
    // And another while it is busy.
    chat.prompt("[[say the second]]").await;
    chat.until("both are answered", |c| {
        c.turn == "idle" && c.answer().ends_with("the second")
    })
    .await;
    assert_eq!(chat.answer().len(), 80 * 6 + "the second".len(), "{}", chat.answer());
    // Long after, too.
    chat.socket.send(&prompt).await;
    assert_eq!(chat.frames_until(admitted).await["duplicate"], true);
    assert_eq!(
        chat.messages.values().filter(|m| m["role"] == "user").count(),
        2,
        "{:?}",
        chat.messages
    );
    let asked = world.llm.seen.requests.lock().unwrap();
    let first = asked.iter().filter(|r| {
        let last = r["messages"].as_array().unwrap().iter().rfind(|m| m["role"] == "user");
        last.unwrap().to_string().contains("n=80")
    });
    assert_eq!(first.count(), 1);
}
