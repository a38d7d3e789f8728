//! `chat`: how a plugin begins, and how its connection ends.

use super::{broken, chat, connected, health, until_backend};
use nexus_tests::browser::Browser;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};
use serde_json::{Value, json};
use std::time::Duration;

const RULES: &str = "rules-chat";

/// (how `events` ends though nobody cancelled it, the state of the backend then, what the owner reads)
const ENDS: [(&str, &str, &str); 4] = [
    ("end ok", "up", ""),
    ("end retry", "up", ""),
    ("end later", "reconnecting", "It ended: end later⟨U+202E⟩."),
    ("end for good", "failed", "It ended: end for good⟨U+202E⟩."),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_by_itself_is_opened_again_as_its_failure_says() {
    let (nexus, browser) = connected(RULES, "").await;
    for (end, state, says) in ENDS {
        let mut chat = Conversation::create(&browser, &nexus).await;
        chat.prompt(end).await;
        let now = until_backend(&browser, end, |b| b["state"] == state).await;
        assert!(now["cause"].as_str().unwrap_or_default().contains(says), "{end}: {now}");
        if state == "failed" {
            let fix = now["fix"].as_str().unwrap_or_default();
            assert!(fix.starts_with("change something, then run `nexus chat start"), "{now}");
        }
        if state != "up" {
            // The owner need not wait for it.
            let (status, body) = browser.ask("POST", "/api/v1/backend/restart", Value::Null).await;
            assert_eq!(status, 200, "{end}: {body}");
            ready(&browser).await;
        } else {
            chat.until("the turn is interrupted", |c| c.turn == "interrupted").await;
        }
        assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done", "{end}");
    }
    assert_eq!(health(&nexus, RULES).await["restarts"], 0, "none of it is a crash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_without_an_outcome_is_a_crash() {
    let (nexus, browser) = connected(RULES, "").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("end without an outcome").await;
    wait::until_async("it is restarted", async || health(&nexus, RULES).await["restarts"] == 1).await;
    ready(&browser).await;
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(
        page.contains("it stopped reporting events and gave no outcome within 20 s"),
        "{page}"
    );
    chat.until("the turn is interrupted", |c| c.turn == "interrupted").await;
    assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_hears_why_it_is_cancelled_and_one_that_does_not_listen_is_stopped() {
    let (mut nexus, browser) = connected(RULES, "").await;
    let stop = async || browser.ask("POST", "/api/v1/backend/stop", Value::Null).await;
    assert_eq!(stop().await.1["state"], "stopped");
    let heard = |reason: &str| nexus.output().contains(&format!("cancelled: CancelReason::{reason}"));
    wait::until("it hears that it is stopped", || heard("Stop"));
    browser.ask("POST", "/api/v1/backend/start", Value::Null).await;
    ready(&browser).await;
    let restart = async || browser.ask("POST", "/api/v1/backend/restart", Value::Null).await;
    assert_eq!(restart().await.0, 200);
    wait::until("it hears that another instance goes on", || heard("Replace"));
    ready(&browser).await;

    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("deaf").await;
    chat.until("it is deaf", |c| c.answer().contains("deaf") && c.turn == "idle")
        .await;
    assert_eq!(stop().await.1["state"], "stopped");
    browser.ask("POST", "/api/v1/backend/start", Value::Null).await;
    ready(&browser).await;
    assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done");

    // One that does not listen is replaced all the same.
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("deaf").await;
    chat.until("it is deaf", |c| c.answer().contains("deaf") && c.turn == "idle")
        .await;
    let asked = || nexus.output().matches("asked for its events").count();
    let before = asked();
    assert_eq!(restart().await.0, 200);
    wait::until("another instance goes on", || asked() > before);
    ready(&browser).await;
    assert_eq!(broken(&nexus, &browser, "hello").await.answer(), "done");

    assert!(nexus.terminate(Duration::from_secs(30)).unwrap().success());
    let output = nexus.output();
    assert!(output.contains("cancelled: CancelReason::HostEnds"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_whose_program_is_not_fit_is_not_asked_for_events() {
    for (start, says) in [("missing", "Rules is not installed: "), ("unsuitable", "")] {
        let nexus = chat(RULES, &format!("config.start = {start:?}")).up();
        let browser = Browser::set_up(&nexus).await;
        let now = until_backend(&browser, start, |b| !b["missing"].is_null()).await;
        assert_eq!(
            (&now["missing"]["cause"], &now["missing"]["fix"]),
            (&json!(format!("{says}It is not there⟨U+202E⟩.")), &json!("install it")),
            "{now}"
        );
        let output = nexus.output();
        assert!(output.contains("asked whether it is fit"), "{output}");
        assert!(!output.contains("asked for its events"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_refuses_its_settings_is_not_used_and_the_owner_reads_why() {
    let start = chat(RULES, "config.start = \"refused\"");
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let now = until_backend(&browser, "it is refused", |b| b["state"] == "failed").await;
    let cause = now["cause"].as_str().unwrap();
    assert!(cause.contains("`start` is refused⟨U+001B⟩[2J"), "{now}");
    assert!(now.to_string().len() < 20_000, "{} bytes", now.to_string().len());
    assert!(now["fix"].as_str().unwrap().contains("choose another"), "{now}");
    assert!(!nexus.output().contains("asked for its events"));
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
    let output = start.run(&["doctor"], &[], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("is refused⟨U+001B⟩[2J"), "{text}");
}
