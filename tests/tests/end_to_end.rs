//! The first use, end to end, with the real binary and the real opencode.

use nexus_tests::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn an_answer_streams_and_another_client_that_comes_late_sees_the_same() {
    let world = World::up("").await;
    let mut first = world.conversation().await;
    first.prompt("[[text n=60 rate=40 size=6]]").await;
    first.until("some text came", |c| c.answer().len() > 30).await;
    assert_eq!(first.turn, "running");
    let mut late = world.look(&first.session, None).await;
    let mut resumed = world.look(&first.session, Some(first.seq)).await;
    resumed.texts = first.texts.clone();
    resumed.messages = first.messages.clone();
    resumed.turn = first.turn.clone();
    first.until_idle().await;
    late.until_idle().await;
    resumed.until_idle().await;
    assert_eq!(first.answer().len(), 60 * 6, "{}", first.answer());
    assert_eq!(late.answer(), first.answer());
    assert_eq!(resumed.answer(), first.answer());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_tool_waits_for_the_owner_and_runs_once_allowed() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    chat.prompt(r#"[[tool name=bash args={"command":"echo from-the-tool","description":"Says a word"}]]"#)
        .await;
    chat.until("the tool asks", |c| !c.requests.is_empty()).await;
    let ask = chat.requests.values().next().unwrap().clone();
    assert_eq!(ask["subject"], "bash");
    assert!(ask["detail"].as_str().unwrap().contains("echo from-the-tool"), "{ask}");
    chat.socket
        .send(&json!({"type": "reply", "id": "r", "session": chat.session, "request": ask["id"], "answer": {"type": "once"}}))
        .await;
    chat.until_idle().await;
    assert!(chat.requests.is_empty());
    let tool = chat.tools.values().next().unwrap();
    assert_eq!(tool["state"], "completed", "{tool}");
    assert!(tool["output"].as_str().unwrap().contains("from-the-tool"), "{tool}");
}
