//! `sessions` and `history`: what is listed, made and read.

use super::{chat, connected, health, marked};
use nexus_tests::browser::Browser;
use nexus_tests::nexus::Nexus;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready, ready_example};
use serde_json::{Value, json};
use std::time::Duration;

const RULES: &str = "rules-sessions";

async fn create(browser: &Browser, title: &str) -> (u16, Value) {
    browser.ask("POST", "/api/v1/sessions", json!({"title": title})).await
}

async fn made(browser: &Browser, title: &str) -> String {
    let (status, made) = create(browser, title).await;
    assert_eq!(status, 201, "{title}: {made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn listed(browser: &Browser) -> Vec<String> {
    let (_, list) = browser.ask("GET", "/api/v1/sessions", Value::Null).await;
    let list = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned());
    list.collect()
}

/// A session whose reading breaks the rule that its title names, as somebody sees it who opens it.
async fn read(browser: &Browser, title: &str) -> Conversation {
    let session = made(browser, title).await;
    let mut chat = Conversation::look(browser, &session, None).await;
    chat.frames_until(|frame| frame["type"] == "state").await;
    chat
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_of_a_session_is_of_that_session() {
    let (nexus, browser) = connected(RULES, "").await;

    let mut chat = read(&browser, "another session").await;
    chat.until("nothing is shown", |c| c.messages.is_empty()).await;
    wait::until("it is logged", || {
        let output = nexus.output();
        let mut lines = output
            .lines()
            .filter(|line| line.contains("answered with another session"));
        lines.any(|line| line.contains(RULES) && line.contains("This is a bug of the plugin"))
    });
    assert!(!listed(&browser).await.contains(&"another".to_owned()));

    let mut chat = read(&browser, "foreign ids").await;
    chat.until("it is read", |c| c.answer().contains("[twice]")).await;
    let answer = chat.answer();
    assert!(answer.contains("[of the session that was asked for]"), "{answer}");
    assert!(answer.contains("[of another message]"), "{answer}");
    assert!(!answer.contains("WRONG"), "{answer}");
    let output = nexus.output();
    let mut lines = output
        .lines()
        .filter(|line| line.contains("left out 4 messages, parts and requests of a session"));
    assert!(
        lines.any(|line| line.contains(RULES) && line.contains("This is a bug of the plugin")),
        "{output}"
    );

    let mut chat = read(&browser, "pages without end").await;
    chat.until("it is read", |c| c.answer().contains("[page]")).await;
    assert_eq!(chat.answer(), "[page]");
    let asked = || nexus.output().matches("asked for the page Some").count();
    assert!(wait::seen("an older page was asked for", asked, |asked| *asked >= 1) < 20);
    assert!(
        nexus
            .output()
            .contains("Sessions leads back to a page of older messages"),
        "{}",
        nexus.output()
    );

    // A turn that is none, and a request of another session: shown where it was asked for, until the next reading.
    let mut chat = read(&browser, "a turn that is none").await;
    chat.until("it is read", |c| c.turn == "running" && c.requests.len() == 1)
        .await;

    // What ran and waited in a session that nobody has is none.
    let (status, body) = browser.ask("GET", "/api/v1/sessions/ghost", Value::Null).await;
    assert_eq!(status, 404, "{body}");
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listed_is_listed_once_and_has_an_end() {
    let (nexus, browser) = connected(RULES, "").await;
    let (status, answer) = create(&browser, "none").await;
    assert!(
        status >= 400 && answer.to_string().contains("This is a bug of the plugin"),
        "{answer}"
    );
    let many = made(&browser, "too many").await;
    // Read again where somebody opens the list.
    let browser = browser.at(&nexus.url);
    let list = async || {
        let mut socket = browser.socket("/live").await.unwrap();
        socket.send(&json!({"type": "hello", "protocol": 3})).await;
        socket.until(|frame| frame["type"] == "list").await;
        socket.send(&json!({"type": "list"})).await;
        listed(&browser).await
    };
    let all = wait::seen_async("the list is read", list, |all| all.len() > 100).await;
    assert!(all.len() <= 1_001, "{}", all.len());
    assert_eq!(all.iter().filter(|id| **id == many).count(), 1);
    assert!(
        nexus.output().contains("left out 3 sessions of a list: their ids are"),
        "{}",
        nexus.output()
    );
    assert!(
        all.iter()
            .all(|id| (1..=512).contains(&id.len()) && !id.contains('\u{202e}'))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_change_is_shown_and_what_is_gone_is_deleted() {
    let (_nexus, browser) = connected(RULES, "").await;
    let session = made(&browser, "plain").await;
    let path = format!("/api/v1/sessions/{session}");
    let (status, answer) = browser.ask("PATCH", &path, json!({"title": "new"})).await;
    assert_eq!(status, 503, "{answer}");
    assert!(marked(&answer.to_string()), "{answer}");
    let (status, answer) = browser.ask("PATCH", &path, json!({"title": "not found"})).await;
    assert_eq!(status, 404, "{answer}");
    // It has no such session: then it is gone here too.
    assert_eq!(browser.ask("DELETE", &path, Value::Null).await.0, 204);
    assert!(!listed(&browser).await.contains(&session));
    let kept = made(&browser, "kept").await;
    let (status, answer) = browser
        .ask("DELETE", &format!("/api/v1/sessions/{kept}"), Value::Null)
        .await;
    assert_eq!(status, 503, "{answer}");
    assert!(listed(&browser).await.contains(&kept));
    // Its own parent: deleted all the same.
    let own = made(&browser, "its own parent").await;
    assert_eq!(
        browser
            .ask("DELETE", &format!("/api/v1/sessions/{own}"), Value::Null)
            .await
            .0,
        204
    );
}

async fn example(nexus: &Nexus) -> (Browser, String) {
    let browser = Browser::set_up(nexus).await;
    ready_example(&browser).await;
    let mut theirs = Conversation::create(&browser, nexus).await;
    theirs.prompt("what I wrote").await;
    theirs.until_idle().await;
    (browser, theirs.session)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_another_plugin_is_not_given_for_a_new_one() {
    for plugin in [RULES, "rules-chat"] {
        let start = chat(plugin, "");
        let mut nexus = start.clone().config("[chat.main]\nplugin = \"chat-echo\"\n").up();
        let (browser, theirs) = example(&nexus).await;
        let path = format!("/api/v1/sessions/{theirs}");
        let before = browser.ask("GET", &path, Value::Null).await;
        nexus.terminate(Duration::from_secs(30));
        let nexus = start.up();
        let browser = browser.at(&nexus.url);
        ready(&browser).await;
        let (status, answer) = if plugin == RULES {
            create(&browser, &format!("as {theirs}")).await
        } else {
            let (_, own) = browser.ask("POST", "/api/v1/sessions", json!({})).await;
            let fork = format!("/api/v1/sessions/{}/fork", own["id"].as_str().unwrap());
            browser
                .ask("POST", &fork, json!({"before": format!("as {theirs}")}))
                .await
        };
        assert_eq!(status, 409, "{plugin}: {answer}");
        assert!(
            answer
                .to_string()
                .contains("gave a chat of the plugin chat-echo for a new one of its own"),
            "{answer}"
        );
        assert_eq!(browser.ask("GET", &path, Value::Null).await, before, "{plugin}");
    }
}
