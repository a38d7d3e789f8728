//! Chat with a server that speaks OpenAI's chat completions: the plugin as it is built in, its settings as a person writes them, and
//! the stand-in for a model, or a server that answers what a test has written down.

use crate::optional_interfaces::PNG;
use nexus_tests::browser::Browser;
use nexus_tests::canned::Canned;
use nexus_tests::llm::Llm;
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::openai::{self, config};
use nexus_tests::port::Port;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready, ready_example};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

struct World {
    llm: Llm,
    start: Start,
    nexus: Nexus,
    browser: Browser,
}

impl World {
    async fn up(more: &str) -> Self {
        let llm = Llm::start().await;
        let start = openai::start(&llm, more);
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        ready(&browser).await;
        Self {
            llm,
            start,
            nexus,
            browser,
        }
    }

    async fn chat(&self) -> Conversation {
        Conversation::create(&self.browser, &self.nexus).await
    }

    /// What the model was asked last.
    fn request(&self) -> Value {
        self.llm.seen.requests.lock().unwrap().last().unwrap().clone()
    }
}

/// Sends a prompt and waits for the end of its turn.
async fn ask(chat: &mut Conversation, id: &str, more: Value) {
    chat.turns.clear();
    let answer = send(chat, id, more).await;
    assert_eq!(answer["type"], "admitted", "{answer}");
    over(chat).await;
}

async fn send(chat: &mut Conversation, id: &str, more: Value) -> Value {
    let mut frame = json!({"type": "prompt", "session": chat.session, "client_id": id});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    chat.socket.send(&frame).await;
    chat.frames_until(|frame| matches!(frame["type"].as_str(), Some("admitted" | "refused" | "deferred")))
        .await
}

async fn over(chat: &mut Conversation) {
    chat.until("the turn is over", |c| {
        c.turns.iter().any(|turn| turn == "running") && c.turn == "idle"
    })
    .await;
}

fn roles(request: &Value) -> Vec<(String, String)> {
    let messages = request["messages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    messages.map(|m| (text(&m["role"]), text(&m["content"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = all.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned()));
    owned.collect()
}

async fn state(browser: &Browser, session: &str) -> Value {
    let (status, state) = browser
        .ask("GET", &format!("/api/v1/sessions/{session}"), Value::Null)
        .await;
    assert_eq!(status, 200, "{state}");
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_answered_with_all_that_was_before_over_a_kill_of_nexus_too() {
    let llm = Llm::start().await;
    let settings = "model = \"stand-in-2\"\nsystem_prompt = \"Be brief.\"\nparameters = { temperature = \"0.5\", stop = \
                    \"[\\\"END\\\"]\" }\n[plugin.chat-openai.secrets]\napi_key = { file = \"openai.key\" }\n";
    let start = openai::start(&llm, settings);
    nexus_tests::write_with_mode(&start.folder().join("openai.key"), "sk-very-secret\n", 0o600);
    let mut nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let backend: Value = browser.get("/api/v1/backend").await.json().await.unwrap();
    assert_eq!(backend["features"], json!(["models", "attachments"]), "{backend}");

    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("[[reason n=3 rate=0]] Why is the sky blue").await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "thought it over. ");
    chat.turns.clear();
    chat.prompt("[[say second]]").await;
    over(&mut chat).await;
    let first = ("user", "[[reason n=3 rate=0]] Why is the sky blue");
    let until = [
        ("system", "Be brief."),
        first,
        ("assistant", "thought it over. "),
        ("user", "[[say second]]"),
    ];
    let request = llm.seen.requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(roles(&request), pairs(&until));
    assert_eq!(
        (
            &request["model"],
            &request["temperature"],
            &request["stop"],
            &request["stream_options"]
        ),
        (
            &json!("stand-in-2"),
            &json!(0.5),
            &json!(["END"]),
            &json!({"include_usage": true})
        )
    );
    let keys = llm.seen.keys.lock().unwrap().clone();
    assert!(keys.iter().all(|key| key == "Bearer sk-very-secret"), "{keys:?}");
    // Of another chat it hears nothing.
    let mut other = Conversation::create(&browser, &nexus).await;
    other.prompt("[[say third]]").await;
    other.until_idle().await;
    let request = llm.seen.requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        roles(&request),
        pairs(&[("system", "Be brief."), ("user", "[[say third]]")])
    );

    // What was counted, reasoned and named is in the record.
    let before = state(&browser, &chat.session).await;
    let text = before.to_string();
    assert!(
        text.contains("127.0.0.1/stand-in-2") && text.contains("\"reasoning\""),
        "{text}"
    );
    assert!(text.contains("\"input\"") && text.contains("\"output\":3"), "{text}");
    let (_, list) = browser.ask("GET", "/api/v1/sessions", Value::Null).await;
    assert!(list.to_string().contains("Why is the sky blue"), "{list}");

    nexus.kill();
    let nexus = start.up();
    let browser = browser.at(&nexus.url);
    ready(&browser).await;
    let mut chat = Conversation::look(&browser, &chat.session, None).await;
    chat.until("the chat is there", |c| c.answer().contains("second")).await;
    ask(&mut chat, "after-the-kill", json!({"text": "[[say fourth]]"})).await;
    let request = llm.seen.requests.lock().unwrap().last().unwrap().clone();
    let all = [&until[..], &[("assistant", "second"), ("user", "[[say fourth]]")]].concat();
    assert_eq!(roles(&request), pairs(&all));
    // The key is in no log and no page.
    let page = browser.get("/status").await.text().await.unwrap();
    let log = std::fs::read_to_string(start.data_dir().join("logs/nexus.log")).unwrap();
    for text in [&page, &log, &nexus.output()] {
        assert!(!text.contains("sk-very-secret"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_is_retried_or_reported_with_its_words() {
    let world = World::up("").await;
    // Too many requests, and its own fault: tried again, seen, then the answer.
    for (prompt, answer, requests) in [
        (
            "[[error status=429 retry_after=1 times=2]] [[say at last]]",
            "at last",
            3,
        ),
        ("[[error status=500 times=1]] [[say after a fault]]", "after a fault", 5),
    ] {
        let mut chat = world.chat().await;
        chat.prompt(prompt).await;
        chat.until("it is seen that it is tried again", |c| {
            c.turns.iter().any(|t| t == "retrying")
        })
        .await;
        over(&mut chat).await;
        assert_eq!((chat.answer().as_str(), world.llm.requests()), (answer, requests));
        assert_eq!(chat.errors(), "");
    }
    // What no second try helps: once, with what the server says and what to do.
    let begun = Instant::now();
    for (status, more, fix) in [
        (401, "", "add api_key"),
        (402, "", "add credit"),
        (404, "", "correct `model`"),
        (400, "message=maximum_context_length_is_4096", "start a new chat"),
        (429, "retry_after=120", "wait 120 s"),
    ] {
        let before = world.llm.requests();
        let mut chat = world.chat().await;
        chat.prompt(&format!("[[error status={status} times=1 {more}]] [[say and on]]"))
            .await;
        over(&mut chat).await;
        chat.until("the error is shown", |c| !c.errors().is_empty()).await;
        let errors = chat.errors();
        assert!(
            errors.contains(&format!("told to answer {status}")) && errors.contains(fix),
            "{errors}"
        );
        assert_eq!(world.llm.requests(), before + 1, "{status}");
        // Who comes late reads it too, and the chat goes on.
        let mut late = Conversation::look(&world.browser, &chat.session, None).await;
        late.until("the error is in the state", |c| c.errors().contains(fix))
            .await;
        ask(&mut chat, "next", json!({"text": "please"})).await;
        assert_eq!(chat.answer(), "and on");
    }
    println!("refused five times in {:.1} s", begun.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_cut_is_tried_again_and_reported_where_that_does_not_help() {
    let world = World::up("").await;
    for how in ["rst", "chunk", "eof"] {
        let mut chat = world.chat().await;
        chat.prompt(&format!("[[cut after=20 how={how} times=1]] [[say whole at last]]"))
            .await;
        chat.until("it is seen that it is tried again", |c| {
            c.turns.iter().any(|t| t == "retrying")
        })
        .await;
        over(&mut chat).await;
        assert_eq!(chat.answer(), "whole at last", "{how}");
        let mut late = Conversation::look(&world.browser, &chat.session, None).await;
        late.until("the state came", |c| c.seq > 0).await;
        assert_eq!(late.answer(), "whole at last", "{how}");
    }
    let mut chat = world.chat().await;
    chat.prompt("[[errmid after=3]]").await;
    over(&mut chat).await;
    assert!(chat.errors().contains("an error amid the answer"), "{}", chat.errors());
    assert_eq!(chat.answer(), "alder birch cedar ", "what came of the last try stays");
    // Garbage costs nothing but itself, and an odd end is put into words.
    for (prompt, answer, words) in [
        ("[[garbage after=1]] [[say fine]]", "alder fine", ""),
        ("[[say a]] [[length]]", "a", "truncated"),
        ("[[say a]] [[finish reason=content_filter]]", "a", "content filter"),
        ("[[say a]] [[tool name=bash]]", "a", "called a tool"),
    ] {
        let mut chat = world.chat().await;
        chat.prompt(prompt).await;
        over(&mut chat).await;
        chat.until("the message has ended", |c| {
            c.messages
                .values()
                .any(|m| m["role"] == "assistant" && !m["completed_at"].is_null())
        })
        .await;
        assert_eq!(chat.answer(), answer);
        assert!(
            chat.errors().contains(words) && chat.errors().is_empty() == words.is_empty(),
            "{}",
            chat.errors()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_hangs_up_at_once_and_the_next_prompt_is_answered() {
    let world = World::up("").await;
    let aborted = || world.llm.seen.aborted.load(Ordering::SeqCst);
    let mut chat = world.chat().await;
    // While it streams, while it is silent, before its first word, and while the next try is waited for.
    for (n, prompt) in [
        "[[text n=800 rate=40 size=6]]",
        "[[hang after=5 secs=600]]",
        "[[delay secs=600]]",
        "[[error status=503 retry_after=50]]",
    ]
    .into_iter()
    .enumerate()
    {
        let (before, asked) = (aborted(), world.llm.requests());
        chat.turns.clear();
        let seen = chat.answer();
        let admitted = send(&mut chat, &format!("long-{n}"), json!({"text": prompt})).await;
        assert_eq!(admitted["type"], "admitted", "{admitted}");
        chat.until("it has begun", |c| match n {
            0 | 1 => c.answer().len() > seen.len() + 20,
            2 => c.turn == "running",
            _ => c.turn == "retrying",
        })
        .await;
        if n == 2 {
            wait::until("the server was asked", || world.llm.requests() > asked);
        }
        let seen = chat.answer();
        let watch = Stopwatch::start();
        let done = chat.request("cancel", json!({})).await;
        assert_eq!(done["type"], "done", "{done}");
        over(&mut chat).await;
        watch.stop().assert_within("a stop", Duration::from_secs(5));
        assert!(
            chat.answer().starts_with(&seen) && !chat.interrupted(),
            "a stop is no accident"
        );
        assert_eq!(chat.errors(), "", "{prompt}");
        if n < 3 {
            wait::until("the server hears that nobody listens", || aborted() > before);
        }
        // A prompt that got no answer is one message with the next, whose directives the stand-in follows all.
        let mut next = world.chat().await;
        ask(&mut next, &format!("next-{n}"), json!({"text": "[[say and on]]"})).await;
        assert_eq!(next.answer(), "and on");
        if n < 2 {
            ask(&mut chat, &format!("same-{n}"), json!({"text": "[[say and on]]"})).await;
            assert!(chat.answer().ends_with("and on"), "{}", chat.answer());
        } else {
            chat = world.chat().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_chats_are_answered_beside_each_other_and_what_is_sent_meanwhile_after_each_other() {
    let world = World::up("").await;
    let (mut slow, mut fast) = (world.chat().await, world.chat().await);
    slow.prompt("[[text n=200 rate=40 size=6]]").await;
    slow.until("it streams", |c| !c.answer().is_empty()).await;
    fast.prompt("[[say beside it]]").await;
    fast.until_idle().await;
    assert_eq!(fast.answer(), "beside it");
    slow.until("it goes on", |c| c.answer().len() > 120).await;
    assert_eq!(slow.turn, "running");
    // The same prompt twice is one, and one that is sent meanwhile is answered too.
    let again = send(&mut slow, "the-same", json!({"text": "[[say the second]]"})).await;
    assert!(
        matches!(again["type"].as_str(), Some("admitted" | "deferred")),
        "{again}"
    );
    send(&mut slow, "the-same", json!({"text": "[[say the second]]"})).await;
    slow.until("both are answered", |c| {
        c.turn == "idle" && c.answer().ends_with("the second")
    })
    .await;
    assert_eq!(slow.answer().len(), 200 * 6 + "the second".len());
    assert_eq!(world.llm.requests(), 3);
    let last = roles(&world.request());
    assert_eq!(last.len(), 3, "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_listed_and_the_chosen_one_answers() {
    let world = World::up("").await;
    let (status, list) = world.browser.ask("GET", "/api/v1/backend/models", Value::Null).await;
    assert_eq!(status, 200, "{list}");
    let ids: Vec<_> = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].clone())
        .collect();
    assert_eq!(
        ids,
        [
            "127.0.0.1/stand-in-1",
            "127.0.0.1/stand-in-2",
            "127.0.0.1/stand-in-small"
        ]
    );
    assert_eq!(list["default"], "127.0.0.1/stand-in-1");
    let mut chat = world.chat().await;
    ask(&mut chat, "one", json!({"text": "[[say a]]", "model": ids[1]})).await;
    assert_eq!(world.request()["model"], "stand-in-2");
    ask(&mut chat, "two", json!({"text": "[[say b]]"})).await;
    assert_eq!(
        world.request()["model"],
        "stand-in-1",
        "the default, where none is chosen"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_and_texts_are_sent_and_sent_again_with_the_next_prompts() {
    let world = World::up("").await;
    let mut chat = world.chat().await;
    let path = format!("/api/v1/sessions/{}/attachments", chat.session);
    let kept = async |name: &str, mime: &str, data: &[u8]| -> String {
        let request = world.browser.script("POST", &format!("{path}?name={name}"));
        let answer = request
            .header("content-type", mime)
            .body(data.to_vec())
            .send()
            .await
            .unwrap();
        let body = answer.text().await.unwrap();
        let kept: Value = serde_json::from_str(&body).unwrap();
        kept["id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    };
    let picture = kept("red.png", "image/png", PNG).await;
    let note = kept("note.txt", "text/plain", b"the word is walnut\n").await;
    ask(
        &mut chat,
        "one",
        json!({"text": "[[say seen]]", "attachments": [picture, note]}),
    )
    .await;
    let url = {
        let content = world.request()["messages"][0]["content"].clone();
        let parts = content.as_array().unwrap().clone();
        assert_eq!(parts.len(), 3, "{content}");
        assert!(
            parts[1]["text"]
                .as_str()
                .unwrap()
                .starts_with("The file note.txt:\n```\nthe word is walnut\n```")
        );
        assert_eq!(parts[2]["text"], "[[say seen]]");
        parts[0]["image_url"]["url"].as_str().unwrap().to_owned()
    };
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{url}");
    ask(&mut chat, "two", json!({"text": "[[say again]]"})).await;
    let request = world.request();
    assert_eq!(request["messages"][0]["content"][0]["image_url"]["url"], url.as_str());
    assert_eq!(request["messages"][2]["content"], "[[say again]]");
    // A file without a word is a prompt too; what no model reads is refused, and the chat goes on.
    let archive = kept("a.zip", "application/zip", b"PK\x03\x04\xff\xfe").await;
    let refused = send(&mut chat, "zip", json!({"text": "And this?", "attachments": [archive]})).await;
    assert_eq!(refused["type"], "refused", "{refused}");
    assert!(refused.to_string().contains("a.zip is neither an image"), "{refused}");
    let mut next = world.chat().await;
    ask(&mut next, "next", json!({"text": "[[say and on]]"})).await;
    assert_eq!(next.answer(), "and on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_kill_interrupted_is_marked_and_continued() {
    let mut world = World::up("").await;
    let mut chat = world.chat().await;
    chat.prompt("[[text n=400 rate=40 size=6]]").await;
    chat.until("some text came", |c| c.answer().len() > 60).await;
    world.nexus.kill();
    assert_eq!(world.nexus.survivors(), []);
    world.nexus = world.start.up();
    world.browser = world.browser.at(&world.nexus.url);
    ready(&world.browser).await;
    let mut chat = Conversation::look(&world.browser, &chat.session, None).await;
    chat.until("it is marked", |c| c.interrupted() || c.turn == "interrupted")
        .await;
    let half = chat.answer();
    assert!(half.len() > 60, "{half}");
    chat.turns.clear();
    let done = chat.request("continue", json!({})).await;
    assert_eq!(done["type"], "done", "{done}");
    over(&mut chat).await;
    let asked = roles(&world.request());
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(
        (asked[1].0.as_str(), half.starts_with(&asked[1].1)),
        ("assistant", true),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_backend_takes_its_place_and_the_chat_goes_on_when_it_is_back() {
    let world = World::up("").await;
    let mut chat = world.chat().await;
    chat.prompt("[[say before]]").await;
    chat.until_idle().await;
    let swap = |plugin: &'static str| {
        let start = world.start.clone();
        tokio::task::spawn_blocking(move || start.run(&["chat"], &["swap", plugin], ""))
    };
    let swapped = swap("chat-echo").await.unwrap();
    assert!(swapped.status.success(), "{swapped:?}");
    ready_example(&world.browser).await;
    let mut old = Conversation::look(&world.browser, &chat.session, None).await;
    old.until("the old chat can be read", |c| c.answer() == "before").await;
    let swapped = swap("chat-openai").await.unwrap();
    assert!(swapped.status.success(), "{swapped:?}");
    ready(&world.browser).await;
    ask(&mut old, "back", json!({"text": "[[say after]]"})).await;
    assert!(
        old.answer().contains("before") && old.answer().contains("after"),
        "{}",
        old.answer()
    );
    assert_eq!(roles(&world.request()).len(), 3);
    // A chat is deleted with its answer running.
    old.turns.clear();
    send(&mut old, "last", json!({"text": "[[hang after=1 secs=600]]"})).await;
    old.until("it runs", |c| c.turn == "running").await;
    let path = format!("/api/v1/sessions/{}", old.session);
    let (status, body) = world.browser.ask("DELETE", &path, Value::Null).await;
    assert!(status < 300, "{status} {body}");
    wait::until("the server hears that nobody listens", || {
        world.llm.seen.aborted.load(Ordering::SeqCst) > 0
    });
}

/// Waits until the backend has failed, or connects again, with such words.
async fn trouble(browser: &Browser, words: &str) -> String {
    let backend = async || browser.ask("GET", "/api/v1/backend", Value::Null).await.1.to_string();
    wait::seen_async("its trouble is reported", backend, |backend| backend.contains(words)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_reported_and_used_once_it_is() {
    let port = Port::reserve();
    let address = SocketAddr::from(([127, 0, 0, 1], port.number));
    let nexus = Start::new().config(config(address, "")).up();
    let browser = Browser::set_up(&nexus).await;
    let backend = trouble(&browser, "Connection refused").await;
    assert!(backend.contains(&address.to_string()), "{backend}");
    let _llm = Llm::listen(address).await.unwrap();
    ready(&browser).await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("[[say here]]").await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_waited_for_and_a_silent_one_is_given_up() {
    let world = World::up("").await;
    let mut chat = world.chat().await;
    // Longer than the host waits for other requests.
    chat.prompt("[[delay secs=35]] [[say slow but sure]]").await;
    over(&mut chat).await;
    assert_eq!((chat.answer().as_str(), chat.errors().as_str()), ("slow but sure", ""));
    let world = World::up("timeout = 2\n").await;
    for prompt in ["[[delay secs=600]]", "[[hang after=3 secs=600]]"] {
        let mut chat = world.chat().await;
        chat.prompt(prompt).await;
        over(&mut chat).await;
        chat.until("it is reported", |c| c.errors().contains("sent nothing for 2 s"))
            .await;
        assert!(chat.errors().contains("raise `timeout`"), "{}", chat.errors());
    }
    assert_eq!(world.llm.requests(), 2, "who is silent once is not asked again");
}

/// An answer of HTTP, closed at its end.
fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_servers_are_understood_or_reported() {
    let stream = "\u{feff}: hello\r\n\r\nevent: x\rdata: {\"choices\":\rdata: [{\"delta\":{\"content\":\"multi-\"}}]}\r\r\
                  data:{\"choices\":[{\"delta\":{\"content\":\"line\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]";
    let whole = r#"{"choices":[{"message":{"role":"assistant","content":"all at once"},"finish_reason":"stop"}]}"#;
    let canned = Canned::start(vec![
        (
            "/models",
            http("404 Not Found", "application/json", "{\"detail\":\"Not Found\"}"),
        ),
        ("first", http("200 OK", "text/event-stream; charset=utf-8", stream)),
        ("second", http("200 OK", "application/json", whole)),
        ("third", http("200 OK", "text/html", "<html>welcome</html>")),
        (
            "fourth",
            "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://elsewhere.example/v1\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        ),
        (
            "stream_options",
            http(
                "400 Bad Request",
                "application/json",
                "{\"detail\":\"extra: stream_options\"}",
            ),
        ),
        (
            "fifth",
            http(
                "200 OK",
                "text/event-stream",
                "data: {\"choices\":[{\"delta\":{\"content\":\"uncounted\"}}]}\n\ndata: [DONE]\n\n",
            ),
        ),
    ])
    .await;
    let nexus = Start::new()
        .config(config(canned.address, "model = \"the-only-one\"\n"))
        .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let (status, list) = browser.ask("GET", "/api/v1/backend/models", Value::Null).await;
    assert_eq!(
        (status, &list["default"]),
        (200, &json!("127.0.0.1/the-only-one")),
        "{list}"
    );
    for (prompt, answer, words) in [
        ("first", "multi-line", ""),
        ("second", "all at once", ""),
        ("third", "", "answered with a page"),
        ("fourth", "", "https://elsewhere.example/v1"),
        ("fifth", "uncounted", ""),
    ] {
        let mut chat = Conversation::create(&browser, &nexus).await;
        chat.prompt(prompt).await;
        over(&mut chat).await;
        chat.until("the message has ended", |c| {
            c.messages
                .values()
                .any(|m| m["role"] == "assistant" && !m["completed_at"].is_null())
        })
        .await;
        assert_eq!(chat.answer(), answer, "{prompt}: {}", chat.errors());
        assert!(chat.errors().contains(words), "{prompt}: {}", chat.errors());
        assert_eq!(
            chat.errors().is_empty(),
            words.is_empty(),
            "{prompt}: {}",
            chat.errors()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_wrong_is_said_with_what_to_write() {
    // A private address needs its word, and the lines are there.
    let llm = Llm::start().await;
    let plain = format!(
        "[chat.main]\nplugin = \"chat-openai\"\n[plugin.chat-openai.config]\nbase_url = \"{}\"\n",
        llm.url()
    );
    let start = Start::new().config(&plain);
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let backend = trouble(&browser, "private = true").await;
    assert!(backend.contains(&format!("http://{}", llm.address)), "{backend}");
    let check = |config: &str| {
        let start = Start::new().config(config);
        let output = start.run(&["config", "check"], &[], "");
        [output.stdout, output.stderr]
            .map(|text| String::from_utf8(text).unwrap())
            .concat()
    };
    // Settings that cannot be: those that only the plugin knows all at once.
    let odd = "base_url = \"http://localhost/v1/chat/completions\"\ntimeout = 0\nmodel = \" \"\nparameters = { temperature = \
               \"warm\" }";
    for (written, words) in [
        (
            "base_url = \"localhost:11434\"",
            &["it does not start with https:// or http://"][..],
        ),
        ("parameters = { temperature = 0.2 }", &["a table of strings"]),
        (
            odd,
            &[
                "leave out its end",
                "`timeout` is 0",
                "`model` is empty",
                "not a number",
            ],
        ),
        // With nothing but its one line it says what it needs.
        ("", &["api_key", "openai.key"]),
    ] {
        let text = format!("[chat.main]\nplugin = \"chat-openai\"\n[plugin.chat-openai.config]\n{written}\n");
        let found = check(&text);
        for words in words {
            assert!(
                found.contains(words) && found.contains("plugin.chat-openai"),
                "{written}: {found}"
            );
        }
    }
    // A wrong key is known before the first prompt.
    let canned = Canned::start(vec![(
        "/models",
        http(
            "401 Unauthorized",
            "application/json",
            "{\"error\":{\"message\":\"Incorrect API key provided\"}}",
        ),
    )])
    .await;
    let nexus = Start::new().config(config(canned.address, "")).up();
    let browser = Browser::set_up(&nexus).await;
    let backend = trouble(&browser, "Incorrect API key provided").await;
    assert!(backend.contains("api_key"), "{backend}");
    // No model at all.
    let canned = Canned::start(vec![("/models", http("200 OK", "application/json", "{\"data\":[]}"))]).await;
    let nexus = Start::new().config(config(canned.address, "")).up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    let refused = send(&mut chat, "one", json!({"text": "hello"})).await;
    assert!(
        refused["type"] == "refused" && refused.to_string().contains("set `model`"),
        "{refused}"
    );
}
