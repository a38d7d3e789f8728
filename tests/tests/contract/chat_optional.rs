//! The optional interfaces of a chat backend: lists with more than there may be and with what is none, files that are too large,
//! sessions that are another plugin's, and each error.

use super::{broken, connected, health, marked};
use nexus_tests::browser::Browser;
use nexus_tests::world::Conversation;
use serde_json::{Value, json};

const RULES: &str = "rules-chat";

async fn get(browser: &Browser, path: &str) -> (u16, Value) {
    browser
        .ask("GET", &format!("/api/v1/backend/{path}"), Value::Null)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_list_the_first_are_kept_and_what_is_none_is_left_out() {
    let (nexus, browser) = connected(RULES, "").await;
    // (the list, where it is in the answer, the key by which one is named, how many are kept, the first)
    for (path, at, key, most, first) in [
        ("models", "models", "id", 2_000, "acme/m0"),
        ("agents", "agents", "id", 256, "a0"),
        ("commands", "", "name", 1_000, "c0"),
        ("workspaces", "", "path", 256, "/w0"),
        ("files?query=a&limit=10", "", "path", 10, "f0"),
        ("files?query=a&limit=1000", "", "path", 500, "f0"),
        ("files/list", "", "path", 10_000, "f0"),
        ("files/lines?text=a&limit=10", "", "path", 10, "f"),
        ("providers", "", "id", 500, "p0"),
    ] {
        let (status, answer) = get(&browser, path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        let list = if at.is_empty() { &answer } else { &answer[at] };
        let list = list.as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        // What is none may have taken the place of one.
        assert!(
            (most - 2..=most).contains(&list.len()),
            "{path}: {} of {most}",
            list.len()
        );
        assert_eq!(list[0][key], first, "{path}");
        assert!(list.iter().all(|one| !one[key].as_str().unwrap().is_empty()), "{path}");
        let text = answer.to_string();
        assert!(!text.contains('\u{202e}'), "{path}");
    }
    let (_, models) = get(&browser, "models").await;
    let model = &models["models"][0];
    assert!(model["title"].as_str().unwrap().len() <= 512, "{model}");
    for list in ["variants", "reads"] {
        assert_eq!(model[list].as_array().unwrap().len(), 32, "{model}");
    }
    assert!(
        model["input_price"].is_null() && model["output_price"].is_null(),
        "{model}"
    );
    let (_, providers) = get(&browser, "providers").await;
    let method = &providers[0]["methods"][0];
    assert_eq!(method["fields"].as_array().unwrap().len(), 16, "{method}");
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_error_has_its_meaning_and_the_owner_reads_the_sentence() {
    let (nexus, browser) = connected(RULES, "").await;
    let chat = broken(&nexus, &browser, "hello").await;
    let session = format!("/api/v1/sessions/{}", chat.session);
    for (error, status) in [
        ("not-found", 404),
        ("invalid", 409),
        ("denied", 409),
        ("limited", 409),
        ("timeout", 503),
        ("unavailable", 503),
        ("cancelled", 503),
        ("other", 503),
    ] {
        let backend = |path: &str| format!("/api/v1/backend/{path}");
        for (method, path, body) in [
            ("GET", backend(&format!("files?query={error}")), Value::Null),
            ("GET", backend(&format!("files/list?folder={error}")), Value::Null),
            ("GET", backend(&format!("files/content?path={error}")), Value::Null),
            ("GET", backend(&format!("files/lines?text={error}")), Value::Null),
            ("GET", format!("{session}/attachments/{error}"), Value::Null),
            ("POST", format!("{session}/fork"), json!({"before": error})),
            ("POST", format!("{session}/revert"), json!({"message": error})),
            ("POST", format!("{session}/compact"), json!({"model": error})),
            (
                "POST",
                backend(&format!("providers/{error}/sign-in")),
                json!({"method": "m0", "values": {}}),
            ),
            (
                "POST",
                backend(&format!("providers/{error}/begin")),
                json!({"method": "m0", "values": {}}),
            ),
            (
                "POST",
                backend(&format!("providers/{error}/finish")),
                json!({"method": "m0"}),
            ),
            ("DELETE", backend(&format!("providers/{error}")), Value::Null),
        ] {
            let (found, answer) = browser.ask(method, &path, body).await;
            assert_eq!(found, status, "{method} {path}: {answer}");
            assert!(marked(&answer.to_string()), "{method} {path}: {answer}");
        }
    }
    let (status, answer) = browser.ask("POST", &format!("{session}/restore"), Value::Null).await;
    assert_eq!(status, 503, "{answer}");
    let (status, answer) = browser.ask("PATCH", &session, json!({"archived": true})).await;
    assert_eq!(status, 503, "{answer}");
    // Out of the archive, where it is not: no error.
    let (status, answer) = browser.ask("PATCH", &session, json!({"archived": false})).await;
    assert!((200..300).contains(&status), "{answer}");
    assert_eq!(health(&nexus, RULES).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_too_large_is_not_shown_and_none_acts_on_the_page() {
    let (nexus, browser) = connected(RULES, "").await;
    let chat = broken(&nexus, &browser, "hello").await;
    let attachment = format!("/api/v1/sessions/{}/attachments", chat.session);
    for path in ["/api/v1/backend/files/content?path=", &format!("{attachment}/")] {
        let (status, answer) = browser.ask("GET", &format!("{path}giant"), Value::Null).await;
        assert_eq!(status, 409, "{path}: {answer}");
        assert!(answer.to_string().contains("larger than 8 MiB"), "{answer}");
        // It says that it is HTML.
        let shown = browser.get(&format!("{path}small")).await;
        assert_eq!(shown.status(), 200, "{path}");
        let kind = shown.headers()["content-type"].to_str().unwrap();
        assert!(!kind.starts_with("text/html"), "{path}: {kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_to_sign_in_at_is_one_of_the_web() {
    let (_nexus, browser) = connected(RULES, "").await;
    let begin = async |method: &str| {
        let body = json!({"method": method, "values": {}});
        browser.ask("POST", "/api/v1/backend/providers/acme/begin", body).await
    };
    for method in ["script", "plain"] {
        let (status, answer) = begin(method).await;
        assert!(status >= 400, "{method}: {answer}");
        assert!(answer.to_string().contains("This is a bug of the plugin"), "{answer}");
    }
    let (status, answer) = begin("good").await;
    assert_eq!(status, 200, "{answer}");
    assert!(marked(&answer.to_string()), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_of_a_session_is_a_new_one() {
    let (nexus, browser) = connected(RULES, "").await;
    let chat = broken(&nexus, &browser, "hello").await;
    let session = format!("/api/v1/sessions/{}", chat.session);
    let fork = async |before: &str| {
        browser
            .ask("POST", &format!("{session}/fork"), json!({"before": before}))
            .await
    };
    for (before, says) in [
        ("itself", "the chat itself back"),
        ("nothing", "a session whose ids are"),
    ] {
        let (status, answer) = fork(before).await;
        assert!(status >= 400, "{before}: {answer}");
        assert!(answer.to_string().contains(says), "{before}: {answer}");
        assert!(answer.to_string().contains("This is a bug of the plugin"), "{answer}");
    }
    let (status, answer) = fork("as another").await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["id"], "another");
    // What was taken back is of this session, whatever the plugin calls it.
    let (status, answer) = browser
        .ask("POST", &format!("{session}/revert"), json!({"message": "elsewhere"}))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["id"], chat.session.as_str());
    let mut seen = Conversation::look(&browser, &chat.session, None).await;
    seen.until("nothing of it was lost", |c| c.answer() == "done").await;
}
