//! `chat`: what is answered to a prompt, and what comes in a turn.

use super::{backend, broken, chat, connected, health, marked, send};
use nexus_tests::browser::Browser;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};
use serde_json::{Value, json};

const RULES: &str = "rules-chat";

/// (the answer of `prompt`, the frame that the client gets, how often the plugin was asked)
const ADMISSIONS: [(&str, &str, u32); 9] = [
    // Again, with growing pauses, and at most five times.
    ("unknown", "deferred", 6),
    ("unavailable", "deferred", 6),
    ("timeout", "deferred", 6),
    ("other", "deferred", 6),
    // Nothing was cancelled.
    ("cancelled", "deferred", 6),
    // Again would give the same.
    ("refused", "refused", 1),
    ("invalid", "refused", 1),
    ("denied", "refused", 1),
    ("limited", "refused", 1),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_to_a_prompt_means_what_the_contract_says() {
    let (nexus, browser) = connected(RULES, "").await;
    let asked = ADMISSIONS.iter().map(async |(rule, frame, _)| {
        let mut chat = Conversation::create(&browser, &nexus).await;
        let answer = send(&mut chat, "p1", json!({"text": rule})).await;
        assert_eq!(&answer["type"], frame, "{rule}: {answer}");
        assert!(marked(&answer.to_string()), "{rule}: {answer}");
    });
    futures::future::join_all(asked).await;
    for (rule, _, times) in ADMISSIONS {
        let chat = broken(&nexus, &browser, &format!("count {rule}")).await;
        assert_eq!(chat.answer(), format!("done {times}"), "{rule}");
    }

    // What it says that it has had already is asked for once, and nothing waits.
    let mut chat = Conversation::create(&browser, &nexus).await;
    let answer = send(&mut chat, "p1", json!({"text": "duplicate"})).await;
    assert_eq!(
        (&answer["type"], &answer["duplicate"]),
        (&json!("admitted"), &json!(true))
    );
    let chat = broken(&nexus, &browser, "count duplicate").await;
    assert_eq!(chat.answer(), "done 1");

    // A consent is asked for until the owner gives that one.
    let mut chat = Conversation::create(&browser, &nexus).await;
    for (n, consent) in [None, Some("another"), Some("the-consent")].into_iter().enumerate() {
        let answer = send(&mut chat, "p2", json!({"text": "consent", "consent": consent})).await;
        let wanted = if n < 2 { "consent" } else { "admitted" };
        assert_eq!(answer["type"], wanted, "{consent:?}: {answer}");
        assert!(n == 2 || marked(&answer["text"].to_string()), "{answer}");
    }
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_begin_is_told_to_the_owner() {
    let (nexus, browser) = connected(RULES, "").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("never begins").await;
    chat.until("the owner is told", |c| {
        c.errors()
            .contains("Rules accepted this message but did not start to answer within 15 s")
    })
    .await;
    assert_eq!(chat.turn, "idle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_a_turn_against_the_rules_changes_nothing_else() {
    let (nexus, browser) = connected(RULES, "").await;

    let chat = broken(&nexus, &browser, "ended twice").await;
    assert_eq!(chat.turns, ["running", "idle"]);

    // A part is what its last snapshot says; no text is appended to what is none.
    let chat = broken(&nexus, &browser, "another kind").await;
    assert_eq!(chat.tools["kind"]["name"], "bash");
    let mut seen = Conversation::look(&browser, &chat.session, None).await;
    seen.until("a newcomer sees the same", |c| c.tools.contains_key("kind"))
        .await;
    assert!(!seen.answer().contains("[text]"), "{}", seen.answer());

    let chat = broken(&nexus, &browser, "a closed part").await;
    assert!(chat.answer().contains("[closed again]"), "{}", chat.answer());

    let chat = broken(&nexus, &browser, "no message").await;
    for (message, text) in [
        ("unreported-1", "[begun by a delta]"),
        ("unreported-2", "[begun by a part]"),
    ] {
        let mut seen = Conversation::look(&browser, &chat.session, None).await;
        seen.until("the message was begun", |c| c.messages.contains_key(message))
            .await;
        assert_eq!(seen.messages[message]["role"], "assistant");
        assert!(seen.answer().contains(text), "{}", seen.answer());
    }

    let chat = broken(&nexus, &browser, "nothing to remove").await;
    assert_eq!(chat.errors(), "");

    broken(&nexus, &browser, "a stranger").await;
    let (status, body) = browser
        .ask("GET", "/api/v1/sessions/nobody-introduced", Value::Null)
        .await;
    assert_eq!(status, 404, "{body}");

    let chat = broken(&nexus, &browser, "opened again").await;
    let now = backend(&browser).await;
    assert_eq!((&now["state"], &now["version"]), (&json!("up"), &json!("2")), "{now}");
    assert!(!chat.interrupted(), "{}", chat.answer());

    let chat = broken(&nexus, &browser, "notes").await;
    assert!(marked(&chat.errors()), "{}", chat.errors());
    let (_, session) = browser
        .ask("GET", &format!("/api/v1/sessions/{}", chat.session), Value::Null)
        .await;
    assert_eq!(session["notes"], json!({RULES: {"rules.last": 2}}), "{session}");
    assert!(marked(&nexus.output()) && !nexus.output().contains("\"WRONG\""));
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_session_that_the_host_made_a_backend_says_the_title_alone() {
    let (nexus, browser) = connected(RULES, "").await;
    let chat = broken(&nexus, &browser, "a session of the host").await;
    let path = format!("/api/v1/sessions/{}", chat.session);
    let (status, session) = browser.ask("GET", &path, Value::Null).await;
    assert_eq!(status, 200, "it was not removed: {session}");
    let info = &session["info"];
    assert_eq!(info["title"], "Named by the plugin", "{info}");
    assert_ne!(info["workspace"], "/elsewhere", "{info}");
    assert!(info["created_at"].as_u64().unwrap() > 1, "{info}");
    for key in ["parent", "archived", "reverted"] {
        assert!(info[key].is_null(), "{key}: {info}");
    }
    assert_eq!(info["ext"], json!({RULES: {"rules.note": 1}}), "{info}");
    // What the user wrote is the host's alone.
    let users = session["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|m| m["message"]["role"] == "user");
    assert_eq!(users.count(), 1, "{session}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_no_longer_is_closed_for_everybody() {
    let (nexus, browser) = connected(RULES, "").await;
    let mut chat = broken(&nexus, &browser, "requests").await;
    let ids: Vec<_> = chat.requests.keys().cloned().collect();
    assert_eq!(ids, ["ask", "own", "stays", "twice"], "one of each id");
    assert_eq!(chat.requests["twice"]["subject"], "bash", "the last one");
    for (request, answer) in [
        ("twice", json!({"type": "once"})),
        ("own", json!({"type": "reject"})),
        ("ask", json!({"type": "answers", "answers": [["a"]]})),
    ] {
        let failed = chat
            .request("reply", json!({"request": request, "answer": answer}))
            .await;
        assert_eq!(failed["type"], "failed", "{request}: {failed}");
        assert!(failed.to_string().contains("no longer open"), "{request}: {failed}");
        chat.until("it is closed", |c| !c.requests.contains_key(request)).await;
    }
    // It waits on where the plugin cannot take the answer now.
    let failed = chat
        .request("reply", json!({"request": "stays", "answer": {"type": "once"}}))
        .await;
    assert!(failed.to_string().contains("Not now."), "{failed}");
    assert!(chat.requests.contains_key("stays"), "{:?}", chat.requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_not_stopped_is_shown_as_running() {
    let (nexus, browser) = connected(RULES, "").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("not stopped").await;
    chat.until("it runs", |c| c.turn == "running" && c.answer().contains("[1]"))
        .await;
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    let seen = chat.answer().len();
    chat.until("it goes on", |c| c.answer().len() > seen + 10).await;
    assert_eq!(chat.turn, "running");
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    chat.until("it has ended", |c| c.turn == "idle").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_it_is_opened_nothing_is_taken_but_what_is_being_done() {
    let nexus = chat(RULES, "config.start = \"early\"").up();
    let browser = Browser::set_up(&nexus).await;
    // 25,000 events, more than wait anywhere.
    ready(&browser).await;
    assert_eq!(browser.ask("GET", "/api/v1/sessions/early", Value::Null).await.0, 404);
    let output = nexus.output();
    assert!(
        output.contains("skipped an event before `opened`. This is a bug of the plugin"),
        "{output}"
    );
    let chat = broken(&nexus, &browser, "hello").await;
    assert_eq!(chat.answer(), "done");
    // The log has as many lines of it as it has of any plugin.
    let lines = || {
        nexus
            .output()
            .lines()
            .filter(|line| line.contains("before `opened`"))
            .count()
    };
    assert!(wait::seen("there are few of them", lines, |lines| *lines < 10_000) > 0);
}
