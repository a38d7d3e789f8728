//! The sentences of the contract (`plugin-api/wit`), each broken by a plugin of `tests/guests/rules-…` across the real boundary: what
//! the plugin does, what the host answers, and what the user sees. What harms others than the plugin itself is in `containment`.

mod auth;
mod chat;
mod chat_ends;
mod chat_optional;
mod host_functions;
mod records;
mod sessions;
mod tunnel;

use nexus_tests::browser::Browser;
use nexus_tests::guests::guest;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};
use serde_json::{Value, json};

/// A chat of `tests/guests/rules-…`, with these lines in the plugin's table.
fn chat(plugin: &str, more: &str) -> Start {
    let source = guest(plugin);
    Start::new().config(format!(
        "[chat.main]\nplugin = {plugin:?}\nfallback = \"\"\n[plugin.{plugin}]\nsource = {source:?}\n{more}\n"
    ))
}

/// The same, up, with an owner who is logged in.
async fn connected(plugin: &str, more: &str) -> (Nexus, Browser) {
    let nexus = chat(plugin, more).up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    (nexus, browser)
}

/// A prompt with an id of its own, and the host's answer to it: `admitted`, `refused`, `deferred` or `consent`.
async fn send(chat: &mut Conversation, id: &str, more: Value) -> Value {
    let mut frame = json!({"type": "prompt", "session": chat.session, "client_id": id});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    chat.socket.send(&frame).await;
    chat.frames_until(|frame| frame["client_id"] == id && frame["type"] != "event")
        .await
}

/// A chat in which a turn broke this rule, and ended.
async fn broken(nexus: &Nexus, browser: &Browser, rule: &str) -> Conversation {
    let mut chat = Conversation::create(browser, nexus).await;
    chat.prompt(rule).await;
    chat.until("the turn is over", |c| c.turn == "idle" && c.answer().contains("done"))
        .await;
    assert!(!chat.answer().contains("WRONG"), "{rule}: {}", chat.answer());
    chat
}

async fn backend(browser: &Browser) -> Value {
    browser.ask("GET", "/api/v1/backend", Value::Null).await.1
}

async fn until_backend(browser: &Browser, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    wait::seen_async(what, async || backend(browser).await, done).await
}

/// What `/healthz` says of a plugin.
async fn health(nexus: &Nexus, plugin: &str) -> Value {
    let answer = nexus_tests::http()
        .build()
        .unwrap()
        .get(format!("{}/healthz", nexus.url))
        .send()
        .await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    let plugins = answer["plugins"].as_array().unwrap();
    plugins
        .iter()
        .find(|p| p["name"] == plugin)
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

/// Text of a plugin, as people see it: `⟨U+202E⟩` in place of what reorders it, and nothing that does.
fn marked(text: &str) -> bool {
    text.contains("⟨U+202E⟩") && !text.contains('\u{202e}')
}
