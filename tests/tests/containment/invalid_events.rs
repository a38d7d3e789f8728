//! A chat that sends what the contract forbids: its own sessions stay readable, and those of others as they were.

use super::common::{CHAT, KEPT, LATE, MAIN, answer, health, hostile, hostile_chat, memory, pulse};
use nexus_tests::browser::Browser;
use nexus_tests::world::{Conversation, ready};
use serde_json::json;

/// All that a client sees of a session.
async fn look(browser: &Browser, session: &str) -> serde_json::Value {
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    socket
        .send(&json!({"type": "subscribe", "session": session, "from": null}))
        .await;
    let frames = socket.until(|f| f["type"] == "state").await;
    frames.last().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_in_its_own_session_harms_nothing_else() {
    let (nexus, browser) = hostile_chat("").await;
    // What an allocator keeps of the first texts of some megabytes is no leak; what each round leaves would be, but for its
    // session, which the journal holds (`JOURNAL_CACHE_BYTES` bounds them all).
    let mut after = Vec::new();
    for round in 1..=5 {
        let ((), [.., left]) = memory(&nexus, &format!("garbage, round {round}"), async {
            assert!(answer(&nexus, &browser, "garbage").await.contains("sent"));
        })
        .await;
        after.push(left);
    }
    assert!(after[4] <= after[2] + KEPT, "KiB after each round: {after:?}");

    let mut chat = Conversation::create(&browser, &nexus).await;
    let work = async {
        chat.prompt("garbage").await;
        chat.until("it is answered", |c| c.turn == "idle" && c.answer().contains("sent"))
            .await;
    };
    let (((), took), _) = memory(&nexus, "garbage, with a client", pulse(&browser, "/healthz", work)).await;
    took.assert_within("garbage: /healthz", LATE);

    let text = chat.answer();
    assert!(text.contains("[in order]") && text.contains("[last]"), "{text}");
    assert!(!text.contains("WRONG"), "{text}");
    assert!(chat.requests.is_empty(), "{:?}", chat.requests);
    let tool = &chat.tools["zz-tool"];
    assert_eq!(tool["name"].as_str().unwrap().len(), 512);
    // The beginning of it; the rest is asked for.
    let output = tool["output"].as_str().unwrap().len();
    assert!((4 << 10..5 << 10).contains(&output), "{output}");
    assert!(chat.messages.keys().all(|id| (1..=512).contains(&id.len())));

    // It went on, and a newcomer sees the same.
    let seen = look(&browser, &chat.session).await;
    assert!(!seen.to_string().contains("WRONG"));
    assert!(seen.to_string().contains("[in order]"));
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
    let page = browser.get("/").await;
    assert!(page.status().is_success());

    // What it says into the log is counted as its own lines are, and forges none.
    let output = nexus.output();
    let complaints = output.lines().filter(|l| l.contains("complaint")).count();
    println!("garbage: {complaints} complaints of 2,000 came into the log");
    assert!((1..1_000).contains(&complaints), "{complaints}");
    // A line of a message is indented, as no event is.
    let mut forged = output.lines().filter(|l| l.contains("ERROR forged"));
    let found = forged.find(|l| !l.trim_start_matches("err ").starts_with("    "));
    assert!(found.is_none(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_another_plugin_is_not_touched() {
    // A chat of the example.
    let start = hostile(&[(CHAT, "")], MAIN);
    let example = start.clone().config("[chat.main]\nplugin = \"chat-echo\"\n");
    let mut nexus = example.up();
    let browser = Browser::set_up(&nexus).await;
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    socket
        .until(|f| f["type"] == "backend" && f["backend"]["state"] == "up")
        .await;
    let mut theirs = Conversation::create(&browser, &nexus).await;
    theirs.prompt("what I wrote").await;
    theirs.until_idle().await;
    let before = look(&browser, &theirs.session).await;
    nexus.terminate(std::time::Duration::from_secs(30));
    assert_eq!(nexus.survivors(), []);

    let nexus = start.up();
    let browser = browser.at(&nexus.url);
    ready(&browser).await;
    let forged = answer(&nexus, &browser, &format!("forge {}", theirs.session)).await;
    assert_eq!(forged, "sent");
    assert_eq!(look(&browser, &theirs.session).await, before);
    let output = nexus.output();
    let said = output
        .lines()
        .filter(|l| l.contains("session of another plugin"))
        .count();
    assert_eq!(said, 1, "{output}");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}
