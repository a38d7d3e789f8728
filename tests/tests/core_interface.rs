//! Plugins that have nothing but what their kind must have: for the rest there is the host.

use nexus_tests::browser::Browser;
use nexus_tests::guests::guest;
use nexus_tests::nexus::Start;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};
use serde_json::{Value, json};

async fn sessions(browser: &Browser) -> Vec<(String, String)> {
    let list: Value = browser.get("/api/v1/sessions").await.json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = list.as_array().or_else(|| list["sessions"].as_array()).unwrap();
    list.iter().map(|s| (text(&s["id"]), text(&s["title"]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_backend_with_the_core_alone_has_sessions_and_a_history() {
    let start = Start::new().config(format!(
        "[chat.main]\nplugin = \"core-chat\"\n[plugin.core-chat]\nsource = {:?}\n",
        guest("core-chat")
    ));
    let mut nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let backend: Value = browser.get("/api/v1/backend").await.json().await.unwrap();
    assert_eq!(backend["features"], json!([]), "{backend}");

    let mut first = Conversation::create(&browser, &nexus).await;
    first.prompt("one").await;
    first.until_idle().await;
    assert_eq!(first.answer(), "user: one");
    first.prompt("two").await;
    first
        .until("it has every earlier message", |c| {
            c.answer().contains("user: one | core: user: one | user: two")
        })
        .await;
    // Of another session it hears nothing.
    let mut second = Conversation::create(&browser, &nexus).await;
    second.prompt("three").await;
    second.until_idle().await;
    assert_eq!(second.answer(), "user: three");
    let (one, two) = (first.session.clone(), second.session.clone());
    let both = [(two.clone(), "three".to_owned()), (one.clone(), "one".to_owned())];
    assert_eq!(sessions(&browser).await, both, "named by what was asked first");

    // A crash of Nexus: the plugin kept nothing, and has it all again.
    nexus.kill();
    let nexus = start.up();
    let browser = browser.at(&nexus.url);
    ready(&browser).await;
    let mut first = Conversation::look(&browser, &one, None).await;
    let again = json!({"type": "prompt", "session": one, "client_id": "test-later", "text": "four"});
    first.socket.send(&again).await;
    first
        .until("it is answered with all that was before", |c| {
            c.answer().contains("user: two | core: ") && c.answer().ends_with("user: four") && c.turn == "idle"
        })
        .await;
    let order = async || {
        sessions(&browser)
            .await
            .into_iter()
            .map(|(id, _)| id)
            .collect::<Vec<_>>()
    };
    wait::seen_async("the one that was used last comes first", order, |ids| {
        *ids == [one.clone(), two.clone()]
    })
    .await;
}
