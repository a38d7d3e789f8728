//! Nexus with a chat backend, whichever it is, and an owner who is logged in.

use crate::browser::Browser;
use crate::nexus::{Nexus, Start};
use crate::processes::command_line;
use crate::wait;
use crate::world::{Conversation, ready, ready_example};
use serde_json::{Value, json};

pub struct Stage {
    /// To start it again on the same data.
    pub start: Start,
    pub nexus: Nexus,
    pub browser: Browser,
    /// No model answers.
    example: bool,
}

impl Stage {
    pub async fn up(start: Start, example: bool) -> Self {
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        let stage = Self {
            start,
            nexus,
            browser,
            example,
        };
        stage.ready().await;
        stage
    }

    /// Waits until the backend is up.
    pub async fn ready(&self) {
        if self.example {
            ready_example(&self.browser).await;
        } else {
            ready(&self.browser).await;
        }
    }

    /// Waits until the backend of this plugin is up.
    pub async fn ready_with(&self, plugin: &str) {
        let backend = async || self.browser.ask("GET", "/api/v1/backend", Value::Null).await.1;
        wait::seen_async("the backend is up", backend, |backend| {
            backend["plugin"] == plugin && backend["state"] == "up"
        })
        .await;
    }

    /// A new chat and a client that looks at it.
    pub async fn chat(&self) -> Conversation {
        Conversation::create(&self.browser, &self.nexus).await
    }

    /// What the API answers, which has to be 200.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.browser.ask("GET", &format!("/api/v1{path}"), Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// kill -9 of Nexus; nothing of it may be left. Then another on the same data, for the same browser.
    pub async fn start_again(&mut self) {
        self.nexus.kill();
        let left = self.nexus.survivors();
        assert!(left.is_empty(), "survived their Nexus: {left:?}");
        self.nexus = self.start.up();
        self.browser = self.browser.at(&self.nexus.url);
        self.ready().await;
    }

    /// The process whose command has these words, neither its shim nor a wrapper.
    pub fn process(&mut self, words: &str) -> u32 {
        let all = self.nexus.descendants();
        let found = all.into_iter().rfind(|pid| {
            let line = command_line(*pid);
            line.contains(words) && !line.contains("__shim")
        });
        found.unwrap_or_else(|| panic!("{words} does not run.\n{}", self.nexus.output()))
    }

    /// The messages of a chat as their role and text, as somebody reads them who comes later.
    pub async fn read(&self, session: &str) -> Vec<(String, String)> {
        let state = self.get(&format!("/sessions/{session}")).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let inner = |value: &Value, name: &str| {
            if value[name].is_object() {
                value[name].clone()
            } else {
                value.clone()
            }
        };
        let messages = state["messages"].as_array().unwrap().iter();
        messages
            .map(|entry| {
                let parts = entry["parts"].as_array().unwrap().iter();
                let texts = parts.map(|part| text(&inner(part, "part")["content"]["text"]));
                (text(&inner(entry, "message")["role"]), texts.collect())
            })
            .collect()
    }
}

/// Sends a prompt, and waits for the end of its turn: the text that it added.
pub async fn asked(chat: &mut Conversation, text: &str) -> String {
    let before = chat.answer();
    chat.turns.clear();
    chat.prompt(text).await;
    turn_over(chat).await;
    let after = chat.answer();
    after.strip_prefix(&before).unwrap_or(&after).to_owned()
}

/// Waits for the end of a turn that begins after `turns` was cleared.
pub async fn turn_over(chat: &mut Conversation) {
    chat.until("the turn is over", |c| {
        c.turns.iter().any(|turn| turn == "running") && c.turn == "idle"
    })
    .await;
}

/// Sends a prompt with more than its text, and gives the answer to it.
pub async fn send(chat: &mut Conversation, id: &str, more: Value) -> Value {
    let mut frame = json!({"type": "prompt", "session": chat.session, "client_id": id});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    chat.turns.clear();
    chat.socket.send(&frame).await;
    chat.frames_until(|frame| {
        matches!(
            frame["type"].as_str(),
            Some("admitted" | "refused" | "deferred" | "consent")
        )
    })
    .await
}
