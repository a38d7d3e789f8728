//! What every chat backend does, whatever is behind it: one suite, and a fixture for each backend. A new backend adds its fixture
//! and a line with `suite!`.

use nexus_tests::acp;
use nexus_tests::guests::builtin;
use nexus_tests::llm::Llm;
use nexus_tests::nexus::Start;
use nexus_tests::processes::signal;
use nexus_tests::stage::{Stage, asked};
use nexus_tests::world::{self, Conversation};
use serde_json::{Value, json};

/// A backend, and how it is told what to answer.
struct Backend {
    plugin: &'static str,
    start: Start,
    /// No model answers.
    example: bool,
    /// The prompt that is answered by this text.
    say: fn(&str) -> String,
    /// A prompt whose answer takes ten seconds and has several pieces.
    slow: String,
    /// Words of the command of its process. None: it has none, and what crashes is Nexus.
    process: Option<&'static str>,
    /// The stand-in for its model, for as long as the test runs.
    _llm: Option<Llm>,
}

/// `echo-too` is what each is swapped for.
fn more() -> String {
    format!(
        "[plugin.echo-too]\nsource = {:?}\nconfig.pause = 1\ngrants.store_quota = \"1 MiB\"\n",
        builtin("chat-echo")
    )
}

fn directive(text: &str) -> String {
    format!("[[say {text}]]")
}

async fn echo() -> Backend {
    let config = format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[plugin.chat-echo.config]\npause = 25\n{}",
        more()
    );
    Backend {
        plugin: "chat-echo",
        start: Start::new().config(config),
        example: true,
        say: str::to_owned,
        slow: (0..400).map(|n| format!("word{n} ")).collect(),
        process: None,
        _llm: None,
    }
}

async fn opencode() -> Backend {
    let llm = Llm::start().await;
    let (start, _) = world::start(&llm, &more());
    Backend {
        plugin: "chat-opencode",
        start,
        example: false,
        say: directive,
        slow: "[[text n=400 rate=40 size=6]]".to_owned(),
        process: Some("serve --hostname"),
        _llm: Some(llm),
    }
}

async fn acp_scripted() -> Backend {
    Backend {
        plugin: "chat-acp",
        start: acp::scripted(&[], &more()),
        example: false,
        say: directive,
        slow: "[[text n=400 rate=40]]".to_owned(),
        process: Some("scripted.mjs"),
        _llm: None,
    }
}

async fn acp_opencode() -> Backend {
    let llm = Llm::start().await;
    let (start, _) = acp::opencode(&llm, &more());
    Backend {
        plugin: "chat-acp",
        start,
        example: false,
        say: directive,
        slow: "[[text n=400 rate=40 size=6]]".to_owned(),
        process: Some("opencode acp"),
        _llm: Some(llm),
    }
}

async fn openai() -> Backend {
    let llm = Llm::start().await;
    let start = nexus_tests::openai::start(&llm, &more());
    Backend {
        plugin: "chat-openai",
        start,
        example: false,
        say: directive,
        slow: "[[text n=400 rate=40 size=6]]".to_owned(),
        process: None,
        _llm: Some(llm),
    }
}

macro_rules! suite {
    ($backend:ident $(, $ignored:meta)?) => {
        mod $backend {
            $(#[$ignored])?
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn answers_and_has_a_title_and_is_deleted() {
                super::answers(super::$backend().await).await;
            }
            $(#[$ignored])?
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn streams_is_stopped_and_goes_on() {
                super::stops(super::$backend().await).await;
            }
            $(#[$ignored])?
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn is_continued_after_a_crash() {
                super::crashes(super::$backend().await).await;
            }
            $(#[$ignored])?
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn answers_in_two_chats_at_once() {
                super::two_at_once(super::$backend().await).await;
            }
            $(#[$ignored])?
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn is_swapped_and_back() {
                super::swaps(super::$backend().await).await;
            }
        }
    };
}

suite!(echo);
suite!(opencode, ignore = "needs the real opencode: ./tests/run");
suite!(
    acp_scripted,
    ignore = "needs Node.js with the protocol's SDK: ./tests/run"
);
suite!(openai);
suite!(acp_opencode, ignore = "needs the real opencode: ./tests/run");

async fn up(backend: &Backend) -> Stage {
    Stage::up(backend.start.clone(), backend.example).await
}

async fn answers(backend: Backend) {
    let stage = up(&backend).await;
    let mut chat = stage.chat().await;
    let (first, second) = ((backend.say)("one and two"), (backend.say)("three"));
    assert_eq!(asked(&mut chat, &first).await, "one and two");
    assert_eq!(asked(&mut chat, &second).await, "three");
    let expected = [
        ("user", first.as_str()),
        ("assistant", "one and two"),
        ("user", &second),
        ("assistant", "three"),
    ];
    let expected = expected.map(|(role, text)| (role.to_owned(), text.to_owned()));
    assert_eq!(stage.read(&chat.session).await, expected);

    // It has a title by itself, and then its owner's.
    let path = format!("/api/v1/sessions/{}", chat.session);
    let session = format!("/sessions/{}", chat.session);
    let title = async || stage.get(&session).await["info"]["title"].clone();
    assert_ne!(title().await, json!(""));
    let (status, body) = stage.browser.ask("PATCH", &path, json!({"title": "Mine"})).await;
    assert!(status < 300, "{body}");
    assert_eq!(asked(&mut chat, &(backend.say)("four")).await, "four");
    assert_eq!(title().await, json!("Mine"));
    let (status, body) = stage.browser.ask("DELETE", &path, json!({})).await;
    assert!(status < 300, "{body}");
    assert_eq!(stage.browser.ask("GET", &path, Value::Null).await.0, 404);
}

/// Begins an answer that takes a while, and waits until some of it is there.
async fn streaming(backend: &Backend, chat: &mut Conversation) {
    let before = chat.answer().len();
    chat.prompt(&backend.slow).await;
    chat.until("it streams", |c| c.answer().len() > before + 60).await;
    assert_eq!(chat.turn, "running");
}

async fn stops(backend: Backend) {
    let stage = up(&backend).await;
    let mut chat = stage.chat().await;
    streaming(&backend, &mut chat).await;
    assert!(
        chat.texts.values().any(|(revision, _)| *revision > 1),
        "it came in pieces"
    );
    let seen = chat.answer();
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    chat.until("it is stopped", |c| c.turn == "idle").await;
    let kept = chat.answer();
    assert!(kept.starts_with(&seen) && kept.len() < 2_000, "{kept}");
    // Some say that it was stopped.
    let told = chat.errors();
    assert_eq!(asked(&mut chat, &(backend.say)("and on")).await, "and on");
    assert_eq!(chat.errors(), told);
    // Who comes later sees the same.
    let mut late = Conversation::look(&stage.browser, &chat.session, None).await;
    late.until("the state came", |c| c.seq > 0).await;
    assert_eq!(late.answer(), chat.answer());
}

async fn crashes(backend: Backend) {
    let mut stage = up(&backend).await;
    let mut chat = stage.chat().await;
    streaming(&backend, &mut chat).await;
    let seen = chat.answer();
    match backend.process {
        Some(words) => {
            assert!(signal(stage.process(words), libc::SIGKILL));
            chat.until("it is interrupted", Conversation::interrupted).await;
            stage.ready_with(backend.plugin).await;
        }
        None => {
            stage.start_again().await;
            chat = Conversation::look(&stage.browser, &chat.session, None).await;
            chat.until("it is interrupted", Conversation::interrupted).await;
        }
    }
    assert!(
        chat.answer().starts_with(&seen),
        "what was seen is lost: {seen:?} became {:?}",
        chat.answer()
    );
    let assistants = |chat: &Conversation| chat.messages.values().filter(|m| m["role"] == "assistant").count();
    let before = assistants(&chat);
    let answer = chat.request("continue", json!({})).await;
    assert_eq!(answer["type"], "done", "{answer}");
    chat.until("it is continued", |c| assistants(c) > before).await;
    // However it goes on; then the next prompt is answered.
    if chat.turn == "running" {
        chat.request("cancel", json!({})).await;
    }
    chat.until("it is over", |c| c.turn == "idle").await;
    assert_eq!(asked(&mut chat, &(backend.say)("and on")).await, "and on");
}

async fn two_at_once(backend: Backend) {
    let stage = up(&backend).await;
    let (mut one, mut two) = (stage.chat().await, stage.chat().await);
    streaming(&backend, &mut one).await;
    if backend.process.is_some() {
        // The example answers one after the other.
        assert_eq!(asked(&mut two, &(backend.say)("of two")).await, "of two");
        assert_eq!(one.request("cancel", json!({})).await["type"], "done");
    } else {
        two.prompt(&(backend.say)("of two")).await;
        assert_eq!(one.request("cancel", json!({})).await["type"], "done");
        two.until("it is answered", |c| c.turn == "idle" && c.answer() == "of two")
            .await;
    }
    one.until("it is stopped", |c| c.turn == "idle").await;
    assert!(!one.answer().contains("of two"), "{}", one.answer());
    assert_eq!(asked(&mut one, &(backend.say)("of one")).await, "of one");
    assert_eq!(two.answer(), "of two");
}

async fn swaps(backend: Backend) {
    let stage = up(&backend).await;
    let mut chat = stage.chat().await;
    assert_eq!(asked(&mut chat, &(backend.say)("before")).await, "before");
    let before = stage.read(&chat.session).await;
    let swap = async |plugin: &str| {
        let (status, body) = stage
            .browser
            .ask("POST", "/api/v1/backend/swap", json!({ "plugin": plugin }))
            .await;
        assert!(status < 300, "{body}");
        stage.ready_with(plugin).await;
    };
    swap("echo-too").await;
    assert_eq!(stage.read(&chat.session).await, before, "it can be read");
    let mut other = stage.chat().await;
    assert_eq!(asked(&mut other, "by another").await, "by another");
    let prompt = json!({"type": "prompt", "session": chat.session, "client_id": "other-1", "text": "go on"});
    chat.socket.send(&prompt).await;
    let refused = chat.frames_until(|frame| frame["client_id"] == "other-1").await;
    assert!(refused["cause"].as_str().unwrap().contains("belongs to"), "{refused}");

    swap(backend.plugin).await;
    let mut chat = Conversation::look(&stage.browser, &chat.session, None).await;
    chat.until("all of it is there", |c| c.answer() == "before").await;
    let prompt =
        json!({"type": "prompt", "session": chat.session, "client_id": "after-1", "text": (backend.say)("after")});
    chat.socket.send(&prompt).await;
    chat.until("it goes on", |c| c.turn == "idle" && c.answer().contains("after"))
        .await;
    let after = stage.read(&chat.session).await;
    assert!(after.starts_with(&before), "{after:?}");
}
