//! A scripted answer. Words in the prompt choose what happens: `ask`, `retry`, `interrupt`, `fail`, `long`.
#![allow(dead_code, unreachable_pub)]

use super::events::{done, message, now, part, permission, tool};
use nexus_model::chat::{Content, Event, Role, ToolState, Turn};
use nexus_plugin_traits::Prompt;
use std::time::Duration;

const ANSWER: &str = "The tests pass now. Here is **what was wrong** and what changed:\n\n\
1. `parse` treated an empty line as the end of the file.\n2. The test for it compared with itself.\n\n\
```rust\nfn parse(line: &str) -> Option<Entry> {\n    if line.trim().is_empty() {\n        return None; // was: panic!()\n    }\n    Entry::from_str(line).ok()\n}\n```\n\n\
| file | before | after |\n|---|---|---|\n| `parse.rs` | 3 failures | 0 |\n| `main.rs` | 1 warning | 0 |\n\n\
> Nothing else was touched. See [the documentation](https://example.org/parse) for the format.\n";

pub async fn answer(push: impl Fn(Event), prompt: Prompt, pace: Duration, stamp: u64) {
    let rest = || tokio::time::sleep(pace);
    let id = |name: &str| format!("{name}-{stamp}");
    let (question, answer) = (id("q"), id("a"));
    push(message(&question, Role::User, Some(prompt.client_id)));
    push(part(
        &id("qp"),
        &question,
        1,
        true,
        Content::Text {
            text: prompt.text.clone(),
        },
    ));
    push(Event::Turn { turn: Turn::Running });
    rest().await;
    if prompt.text.contains("retry") {
        let next_at = Some(now() + 4000);
        let text = "The provider is overloaded (529).".to_owned();
        push(Event::Turn {
            turn: Turn::Retrying {
                attempt: 2,
                cause: text,
                next_at,
            },
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        push(Event::Turn { turn: Turn::Running });
    }
    let begun = message(&answer, Role::Assistant, None);
    push(begun.clone());
    if prompt.text.contains("fail") {
        push(done(begun));
        push(Event::Error {
            message: Some(answer),
            text: "The provider refused the key (401).".into(),
        });
        push(Event::Turn { turn: Turn::Idle });
        return;
    }
    let thought = "The user wants the tests to pass. First I look at *what fails*, then at `parse.rs`.";
    push(part(
        &id("r"),
        &answer,
        1,
        false,
        Content::Reasoning { text: String::new() },
    ));
    stream(&push, &id("r"), &answer, thought, pace).await;
    push(part(
        &id("r"),
        &answer,
        1000,
        true,
        Content::Reasoning { text: thought.into() },
    ));
    push(part(&id("t"), &answer, 1, false, tool(ToolState::Running, None)));
    if prompt.text.contains("ask") {
        push(permission(&id("ask"), "sub"));
        return;
    }
    rest().await;
    push(part(
        &id("t"),
        &answer,
        2,
        true,
        tool(ToolState::Completed, Some("running 12 tests\ntest result: ok")),
    ));
    push(part(&id("p"), &answer, 1, false, Content::Text { text: String::new() }));
    let times = if prompt.text.contains("long") { 20 } else { 1 };
    let text = ANSWER.repeat(times);
    if prompt.text.contains("interrupt") {
        stream(&push, &id("p"), &answer, text.get(..160).unwrap_or_default(), pace).await;
        push(Event::Turn {
            turn: Turn::Interrupted,
        });
        return;
    }
    stream(&push, &id("p"), &answer, &text, pace).await;
    push(part(&id("p"), &answer, 100_000, true, Content::Text { text }));
    push(done(begun));
    push(Event::Turn { turn: Turn::Idle });
}

async fn stream(push: &impl Fn(Event), part: &str, message: &str, text: &str, pace: Duration) {
    for (n, word) in text.split_inclusive(' ').enumerate() {
        tokio::time::sleep(pace).await;
        push(Event::Delta {
            part: part.into(),
            message: message.into(),
            revision: n as u64 + 2,
            text: word.into(),
        });
    }
}
