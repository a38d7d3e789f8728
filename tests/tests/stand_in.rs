//! The stand-in for the model does what its directives say: a test that leans on it must be able to.

use nexus_tests::llm::{Llm, MARKDOWN};
use nexus_tests::wait;
use serde_json::{Value, json};

/// (the stream's deltas, whether the body ended as HTTP says)
async fn ask(llm: &Llm, prompt: &str) -> (Vec<Value>, bool) {
    let body = json!({"model": "stand-in-1", "stream": true, "messages": [{"role": "user", "content": prompt}]});
    let client = nexus_tests::http().build().unwrap();
    let mut response = client
        .post(format!("{}/chat/completions", llm.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let mut text = Vec::new();
    let whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(text).unwrap();
    let data = text.lines().filter_map(|l| l.strip_prefix("data: "));
    (
        data.map(|d| serde_json::from_str(d).unwrap_or(Value::String(d.to_owned())))
            .collect(),
        whole,
    )
}

fn text(events: &[Value], key: &str) -> String {
    events
        .iter()
        .filter_map(|e| e["choices"][0]["delta"][key].as_str())
        .collect()
}

fn finish(events: &[Value]) -> Option<&str> {
    events.iter().find_map(|e| e["choices"][0]["finish_reason"].as_str())
}

#[tokio::test]
async fn answers_stream_and_finish() {
    let llm = Llm::start().await;
    let (events, whole) = ask(
        &llm,
        "[[reason n=3 rate=0]] [[say two words]] [[text n=4 rate=0 size=3]]",
    )
    .await;
    assert!(whole && events.last().unwrap() == "[DONE]");
    assert_eq!(text(&events, "reasoning_content").split_whitespace().count(), 3);
    assert_eq!(text(&events, "content"), "thought it over. two wordsaldbircedelm");
    assert_eq!(finish(&events), Some("stop"));
    let (events, _) = ask(&llm, "[[markdown]]").await;
    assert_eq!(text(&events, "content"), MARKDOWN);
    let (events, _) = ask(&llm, "[[length]]").await;
    assert_eq!(finish(&events), Some("length"));
    assert_eq!(llm.requests(), 3);
}

#[tokio::test]
async fn a_tool_call_comes_in_pieces() {
    let llm = Llm::start().await;
    let (events, _) = ask(
        &llm,
        "[[tool name=bash args={\"command\":\"echo a rather long command\"}]]",
    )
    .await;
    let pieces: String = events
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(
        serde_json::from_str::<Value>(&pieces).unwrap()["command"],
        "echo a rather long command"
    );
    assert_eq!(finish(&events), Some("tool_calls"));
}

#[tokio::test]
async fn each_cut_looks_as_it_is_called() {
    let llm = Llm::start().await;
    for (how, ends) in [("chunk", false), ("eof", true), ("rst", false)] {
        let (events, whole) = ask(&llm, &format!("[[cut after=3 rate=0 how={how}]]")).await;
        assert_eq!(whole, ends, "{how}");
        assert_eq!(finish(&events), None, "{how}");
        // A reset may overtake what was sent before it.
        assert!(
            how == "rst" || text(&events, "content").split_whitespace().count() == 3,
            "{how}"
        );
    }
    let (events, _) = ask(&llm, "[[garbage after=1 rate=0]]").await;
    assert!(events.iter().any(|e| e == "{this is not json"));
}

#[tokio::test]
async fn errors_come_as_often_as_the_directive_says() {
    let llm = Llm::start().await;
    let body = json!({"messages": [{"role": "user", "content": "[[error status=429 retry_after=7 times=2]]"}]});
    let client = nexus_tests::http().build().unwrap();
    let ask = || async {
        client
            .post(format!("{}/chat/completions", llm.url()))
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    for _ in 0..2 {
        let refused = ask().await;
        assert_eq!(
            (
                refused.status().as_u16(),
                refused.headers()["retry-after"].to_str().unwrap()
            ),
            (429, "7")
        );
    }
    let answer: Value = ask().await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "recovered after 3 attempts");
}

#[tokio::test]
async fn a_title_request_does_not_use_up_a_directive() {
    let llm = Llm::start().await;
    let messages = json!([
        {"role": "system", "content": "You write a title for the conversation."},
        {"role": "user", "content": "fix the roof [[error status=500 times=1]]"},
    ]);
    let client = nexus_tests::http().build().unwrap();
    let body = json!({"messages": messages});
    let answer = client
        .post(format!("{}/chat/completions", llm.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "Title: fix the roof");
    assert_eq!(llm.requests(), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_while_it_is_silent() {
    let llm = Llm::start().await;
    let client = nexus_tests::http().build().unwrap();
    let body = json!({"stream": true, "messages": [{"role": "user", "content": "[[hang after=1 rate=0 secs=60]]"}]});
    let mut response = client
        .post(format!("{}/chat/completions", llm.url()))
        .json(&body)
        .send()
        .await
        .unwrap();
    response.chunk().await.unwrap().unwrap();
    drop((response, client));
    let aborted = async || llm.seen.aborted.load(std::sync::atomic::Ordering::SeqCst);
    wait::seen_async("it is noticed", aborted, |times| *times > 0).await;
}
