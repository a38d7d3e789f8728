//! Agents that speak the Agent Client Protocol behind `chat-acp`: one on the protocol's own SDK that does what its prompts say, and
//! the real opencode.

use nexus_tests::acp;
use nexus_tests::browser::Browser;
use nexus_tests::llm::Llm;
use nexus_tests::nexus::Start;
use nexus_tests::processes::signal;
use nexus_tests::stage::{Stage, asked, send, turn_over};
use nexus_tests::wait;
use nexus_tests::world::Conversation;
use serde_json::{Value, json};
use std::time::Duration;

async fn scripted(args: &[&str]) -> Stage {
    Stage::up(acp::scripted(args, ""), false).await
}

async fn request(chat: &mut Conversation) -> Value {
    chat.until("the agent asks", |c| !c.requests.is_empty()).await;
    chat.requests.values().next().unwrap().clone()
}

async fn reply(chat: &mut Conversation, request: &Value, answer: Value) {
    let answer = json!({"request": request["id"], "answer": answer});
    let done = chat.request("reply", answer).await;
    assert_eq!(done["type"], "done", "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn an_answer_has_all_that_the_agent_reports() {
    let stage = scripted(&[]).await;
    let backend = stage.get("/backend").await;
    assert_eq!(backend["version"], "Scripted 1.2.3", "{backend}");
    let mut chat = stage.chat().await;
    let answer = asked(
        &mut chat,
        "[[think hm]] [[plan]] [[tool]] [[say hello world]] [[mode ask]] [[title About it]] [[spend 0.25]] [[image]]",
    )
    .await;
    assert_eq!(answer, "hello world");
    let tool = chat.tools.values().next().unwrap();
    assert_eq!(
        (&tool["name"], &tool["state"], &tool["output"], &tool["title"]),
        (
            &json!("read"),
            &json!("completed"),
            &json!("three lines"),
            &json!("Read notes.txt")
        )
    );
    let message = chat.messages.values().find(|m| m["role"] == "assistant").unwrap();
    assert_eq!(
        (&message["agent"], &message["usage"]["cost"]),
        (&json!("ask"), &json!(0.25)),
        "{message}"
    );
    let state = stage.get(&format!("/sessions/{}", chat.session)).await;
    assert_eq!(state["info"]["title"], "About it", "{state}");
    let todo: Vec<&str> = state["todo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["state"].as_str().unwrap())
        .collect();
    assert_eq!(todo, ["completed", "in_progress", "pending"]);
    let parts = state["messages"].to_string();
    assert!(parts.contains("\"reasoning\"") && parts.contains("hm"), "{parts}");
    // The image can be looked at.
    let image = parts.split("\"attachment\"").nth(1).expect("there is an attachment");
    let id = image
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let file = stage
        .browser
        .get(&format!("/api/v1/sessions/{}/attachments/{id}", chat.session))
        .await;
    assert!(file.bytes().await.unwrap().starts_with(b"\x89PNG"));
    // What the agent writes to standard error is in the log, once.
    let log = stage.nexus.output();
    assert!(log.contains("ACP agent: the scripted agent has started"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn permissions_are_asked_and_odd_ones_are_choices() {
    let stage = scripted(&[]).await;
    for (answer, chosen) in [("once", "yes"), ("always", "always"), ("reject", "no")] {
        let mut chat = stage.chat().await;
        chat.prompt("[[edit]]").await;
        let ask = request(&mut chat).await;
        assert_eq!(
            (&ask["permission"], &ask["subject"]),
            (&json!(true), &json!("edit")),
            "{ask}"
        );
        assert_eq!(ask["always"], json!(["Always allow"]));
        assert_eq!(
            ask["changes"][0]["diff"],
            "--- notes.txt\n+++ notes.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+zwei\n"
        );
        reply(&mut chat, &ask, json!({"type": answer})).await;
        chat.until_idle().await;
        assert!(chat.requests.is_empty());
        assert_eq!(chat.answer(), format!("edit: {chosen}"));
        let tool = chat.tools.values().next().unwrap();
        let state = if answer == "reject" { "rejected" } else { "completed" };
        assert_eq!(tool["state"], state, "{tool}");
        assert_eq!(
            (&tool["changes"][0]["added_lines"], &tool["changes"][0]["deleted_lines"]),
            (&json!(1), &json!(1))
        );
    }
    // Two options of one kind are no permission: the owner chooses by name.
    let mut chat = stage.chat().await;
    chat.prompt("[[ask odd]]").await;
    let ask = request(&mut chat).await;
    let labels: Vec<&str> = ask["questions"][0]["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["label"].as_str().unwrap())
        .collect();
    assert_eq!(labels, ["Yes", "Yes, and accept edits", "No"], "{ask}");
    reply(
        &mut chat,
        &ask,
        json!({"type": "answers", "answers": [["Yes, and accept edits"]]}),
    )
    .await;
    chat.until_idle().await;
    assert_eq!(chat.answer(), "chosen: yes-edits");
    // A reason reaches nobody, and that is told.
    chat.prompt("[[ask plain]]").await;
    let ask = request(&mut chat).await;
    assert_eq!(ask["detail"], "touch a");
    reply(&mut chat, &ask, json!({"type": "reject", "message": "not today"})).await;
    chat.until("the turn is over", |c| {
        c.turn == "idle" && c.answer().contains("chosen: no")
    })
    .await;
    chat.until("a note is there", |c| {
        c.messages.values().any(|m| m["role"] == "system")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn a_stop_answers_what_waits_and_the_turn_ends_when_the_agent_says_so() {
    let stage = scripted(&[]).await;
    let mut chat = stage.chat().await;
    chat.prompt("[[ask plain]]").await;
    request(&mut chat).await;
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    chat.until("it ended", |c| c.turn == "idle" && c.requests.is_empty())
        .await;
    assert!(chat.answer().contains("chosen: cancelled"), "{}", chat.answer());
    // One that goes on is shown as running, and what it still asks is answered for the owner.
    chat.prompt("[[deaf 1500]]").await;
    chat.until("it runs", |c| c.turn == "running").await;
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    chat.until("it asked, and was answered", |c| c.answer().contains("late: cancelled"))
        .await;
    assert_eq!((chat.turn.as_str(), chat.requests.len()), ("running", 0));
    chat.until("it ended", |c| c.turn == "idle").await;
    assert_eq!(chat.errors(), "");
    assert_eq!(asked(&mut chat, "[[say and on]]").await, "and on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn a_crash_is_told_and_the_chat_goes_on_in_a_new_session() {
    let mut stage = scripted(&[]).await;
    let mut chat = stage.chat().await;
    assert_eq!(
        asked(&mut chat, "[[say the word is walnut]]").await,
        "the word is walnut"
    );
    let before = stage.process("scripted.mjs");
    chat.prompt("[[say half of]] [[crash]]").await;
    chat.until("the answer is marked as interrupted", Conversation::interrupted)
        .await;
    wait::seen(
        "the crash is told, with the agent's last words",
        || stage.nexus.output(),
        |log| log.contains("The agent exited (exit code 7)") && log.contains("crashes as it was told"),
    );
    stage.ready_with("chat-acp").await;
    let answer = asked(&mut chat, "[[history]] [[blocks]]").await;
    // It is a new session of the agent, which knows what the chat was about.
    assert!(answer.starts_with("prompts: 1"), "{answer}");
    assert!(
        answer.contains("the word is walnut") && answer.contains("half of"),
        "{answer}"
    );
    let read = stage.read(&chat.session).await;
    let note = read.iter().find(|(role, _)| role == "system").expect("a note says so");
    assert!(note.1.contains("goes on in a new session"), "{note:?}");
    assert_ne!(stage.process("scripted.mjs"), before);
    // A chat that nobody goes on with stays as it was.
    assert_eq!(read[1], ("assistant".to_owned(), "the word is walnut".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn a_session_that_the_agent_keeps_is_loaded_and_nothing_is_doubled() {
    for more in [vec![], vec!["--resume"]] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("sessions.json");
        let mut args = vec!["--store", store.to_str().unwrap()];
        args.extend(more);
        let mut stage = scripted(&args).await;
        let mut chat = stage.chat().await;
        assert_eq!(asked(&mut chat, "[[say one]]").await, "one");
        stage.start_again().await;
        let mut chat = Conversation::look(&stage.browser, &chat.session, None).await;
        let answer = send(&mut chat, "later-1", json!({"text": "[[history]]"})).await;
        assert_eq!(answer["type"], "admitted", "{answer}");
        chat.until("the session goes on", |c| {
            c.turn == "idle" && c.answer().contains("prompts: 2")
        })
        .await;
        let expected = [
            ("user", "[[say one]]"),
            ("assistant", "one"),
            ("user", "[[history]]"),
            ("assistant", "prompts: 2"),
        ];
        let found = stage.read(&chat.session).await;
        assert_eq!(
            found,
            expected.map(|(role, text)| (role.to_owned(), text.to_owned())),
            "{args:?}"
        );
        // The same prompt again is none.
        let again = send(&mut chat, "later-1", json!({"text": "[[history]]"})).await;
        assert_ne!(again["type"], "refused", "{again}");
        assert_eq!(stage.read(&chat.session).await.len(), 4);
        // Its agent has forgotten it: the chat stays, and goes on.
        std::fs::remove_file(&store).unwrap();
        stage.start_again().await;
        assert_eq!(stage.read(&chat.session).await.len(), 4);
        let mut chat = Conversation::look(&stage.browser, &chat.session, None).await;
        send(&mut chat, "later-2", json!({"text": "[[history]]"})).await;
        chat.until("another session goes on", |c| {
            c.turn == "idle" && c.answer().contains("prompts: 1")
        })
        .await;
        let found = stage.read(&chat.session).await;
        assert!(
            found
                .iter()
                .any(|(role, text)| role == "system" && text.contains("does not know this chat")),
            "{found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn what_is_no_message_costs_nothing_but_itself() {
    let stage = scripted(&[]).await;
    let mut chat = stage.chat().await;
    let too_long = 17 << 20;
    let text = format!("[[say a]] [[garbage]] [[say b]] [[long {too_long}]] [[say c]] [[fs]]");
    assert_eq!(
        asked(&mut chat, &text).await,
        "abcerror: -32601",
        "{}",
        stage.nexus.output()
    );
    let log = stage.nexus.output();
    for words in [
        "it is no JSON",
        "it is no JSON object",
        "a request that nobody made: 99999",
        "with 17825792 bytes was left out",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    for (prompt, words) in [
        ("[[say a]] [[stop max_tokens]]", "most tokens"),
        ("[[stop max_turn_requests]]", "most requests"),
        ("[[stop refusal]]", "refused to go on"),
        ("[[fail -32603 no credit left]]", "Scripted: no credit left"),
        (
            "[[fail -32000 Authentication required]]",
            "An API key (Set SCRIPTED_KEY)",
        ),
    ] {
        let mut chat = stage.chat().await;
        asked(&mut chat, prompt).await;
        assert!(chat.errors().contains(words), "{prompt}: {}", chat.errors());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn what_the_owner_chooses_and_adds_reaches_the_agent() {
    let stage = scripted(&[]).await;
    let agents = stage.get("/backend/agents").await;
    assert_eq!(
        (&agents["default"], agents["agents"].as_array().unwrap().len()),
        (&json!("code"), 2),
        "{agents}"
    );
    let commands = stage.get("/backend/commands").await.to_string();
    assert!(commands.contains("repeat") && commands.contains("TEXT"), "{commands}");
    let mut chat = stage.chat().await;
    let asked_with = async |chat: &mut Conversation, id: &str, more: Value| {
        let before = chat.answer().len();
        let answer = send(chat, id, more).await;
        assert_eq!(answer["type"], "admitted", "{answer}");
        turn_over(chat).await;
        chat.answer()[before..].to_owned()
    };
    let answer = asked_with(
        &mut chat,
        "one",
        json!({"text": "see @src/main.rs [[blocks]] [[history]]", "agent": "ask"}),
    )
    .await;
    assert!(
        answer.contains("resource_link") && answer.contains("/project/src/main.rs"),
        "{answer}"
    );
    // The session that was opened to see what there is became the chat's.
    assert!(answer.contains("prompts: 1"), "{answer}");
    let message = chat.messages.values().find(|m| m["role"] == "assistant").unwrap();
    assert_eq!(message["agent"], "ask", "{message}");
    let answer = asked_with(
        &mut chat,
        "two",
        json!({"command": {"name": "repeat", "arguments": "after me"}}),
    )
    .await;
    assert_eq!(answer, "after me");
    let refused = send(&mut chat, "three", json!({"text": "x", "agent": "none"})).await;
    assert!(
        refused["cause"].as_str().unwrap().contains("no mode \"none\""),
        "{refused}"
    );
    let refused = send(&mut chat, "none", json!({"command": {"name": "none", "arguments": ""}})).await;
    assert!(
        refused["cause"].as_str().unwrap().contains("no command /none"),
        "{refused}"
    );

    let upload = async |stage: &Stage, chat: &Conversation, name: &str, mime: &str, data: &[u8]| -> String {
        let path = format!("/api/v1/sessions/{}/attachments?name={name}", chat.session);
        let request = stage
            .browser
            .script("POST", &path)
            .header("content-type", mime)
            .body(data.to_vec());
        let kept: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        kept["id"].as_str().unwrap_or_else(|| panic!("{kept}")).to_owned()
    };
    let note = upload(&stage, &chat, "note.txt", "text/plain", b"walnut").await;
    let picture = upload(&stage, &chat, "red.png", "image/png", crate::optional_interfaces::PNG).await;
    let answer = asked_with(
        &mut chat,
        "four",
        json!({"text": "[[blocks]]", "attachments": [note, picture]}),
    )
    .await;
    assert!(
        answer.contains("walnut") && answer.contains("\"type\":\"image\"") && answer.contains("iVBOR"),
        "{answer}"
    );

    // An agent that takes no files is not sent any.
    let stage = scripted(&["--plain"]).await;
    let mut chat = stage.chat().await;
    let picture = upload(&stage, &chat, "red.png", "image/png", crate::optional_interfaces::PNG).await;
    let refused = send(&mut chat, "one", json!({"text": "look", "attachments": [picture]})).await;
    assert!(
        refused["cause"].as_str().unwrap().contains("takes no images"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Node.js with the protocol's SDK: ./tests/run"]
async fn an_agent_that_cannot_begin_is_told_with_what_to_do() {
    let stage = scripted(&["--no-login"]).await;
    let mut chat = stage.chat().await;
    let refused = send(&mut chat, "one", json!({"text": "hi"})).await;
    assert!(refused["cause"].as_str().unwrap().contains("sign in"), "{refused}");
    assert!(
        refused["fix"]
            .as_str()
            .unwrap()
            .contains("An API key (Set SCRIPTED_KEY)"),
        "{refused}"
    );
    drop(stage);

    let state = async |start: &Start| {
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        let backend = async || browser.ask("GET", "/api/v1/backend", Value::Null).await.1;
        let over =
            |backend: &Value| ["failed", "reconnecting"].contains(&backend["state"].as_str().unwrap_or_default());
        let found = wait::seen_async("it is known why", backend, over).await;
        (found.to_string(), nexus.output())
    };
    let (backend, log) = state(&acp::scripted(&["--version", "2"], "")).await;
    assert!(backend.contains("speaks version 2"), "{backend}\n{log}");
    // A program that is none, and says so.
    let other = acp::scripted(&[], "").config(format!(
        "[chat.main]\nplugin = \"chat-acp\"\nfallback = \"\"\n[plugin.chat-acp.grants.process.acp-agent]\npath = {:?}\n\
         [plugin.chat-acp.config]\nargs = [\"--eval\", \"console.error('no such option'); process.exit(3)\"]\n",
        nexus_tests::part(acp::NODE)
    ));
    let (backend, log) = state(&other).await;
    assert!(
        backend.contains("exit code 3") && backend.contains("no such option"),
        "{backend}\n{log}"
    );
    // None at all: the example answers meanwhile, and the page names the keys.
    let none = acp::scripted(&[], "").config("[chat.main]\nplugin = \"chat-acp\"\nfallback = \"\"\n");
    let nexus = none.up();
    let browser = Browser::set_up(&nexus).await;
    let backend = async || browser.ask("GET", "/api/v1/backend", Value::Null).await.1.to_string();
    wait::seen_async("the keys are named", backend, |text| {
        text.contains("[plugin.chat-acp.grants.process.acp-agent]") && text.contains("args")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn opencode_answers_asks_and_goes_on_after_a_restart() {
    let llm = Llm::start().await;
    // `opencode acp` allows commands unless its configuration says otherwise.
    let (start, _opencode) = acp::opencode(
        &llm,
        "extra_env = { OPENCODE_PERMISSION = '{\"bash\":\"ask\",\"edit\":\"ask\"}' }\n",
    );
    let mut stage = Stage::up(start, false).await;
    let backend = stage.get("/backend").await;
    assert_eq!(backend["version"], "OpenCode 1.18.33", "{backend}");
    let models = stage.get("/backend/models").await;
    assert!(
        models["models"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["id"] == "stand-in/stand-in-2"),
        "{models}"
    );
    let agents = stage.get("/backend/agents").await.to_string();
    assert!(agents.contains("build") && agents.contains("plan"), "{agents}");

    let mut chat = stage.chat().await;
    assert_eq!(asked(&mut chat, "[[say hello there]]").await, "hello there");
    let prompt = r#"[[tool name=bash args={"command":"echo 4711 > made.txt","description":"x"}]]"#;
    chat.prompt(prompt).await;
    let ask = request(&mut chat).await;
    assert_eq!(ask["detail"], "echo 4711 > made.txt", "{ask}");
    reply(&mut chat, &ask, json!({"type": "once"})).await;
    chat.until("the turn is over", |c| {
        c.turn == "idle" && c.answer().contains("tool done")
    })
    .await;
    let made = stage.start.folder().join("project/made.txt");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "4711\n");
    assert!(
        chat.tools
            .values()
            .any(|tool| tool["state"] == "completed" && tool["name"] == "bash"),
        "{:?}",
        chat.tools
    );

    // Another model, by its name.
    let answer = send(
        &mut chat,
        "other-model",
        json!({"text": "[[say by another]]", "model": "stand-in/stand-in-2"}),
    )
    .await;
    assert_eq!(answer["type"], "admitted", "{answer}");
    chat.until("it answers", |c| c.turn == "idle" && c.answer().contains("by another"))
        .await;
    assert!(
        llm.seen
            .requests
            .lock()
            .unwrap()
            .iter()
            .any(|request| request["model"] == "stand-in-2")
    );

    // It is stopped in the middle, and goes on.
    chat.prompt("[[text n=400 rate=40 size=6]]").await;
    let before = chat.answer().len();
    chat.until("it streams", |c| c.answer().len() > before + 60).await;
    assert_eq!(chat.request("cancel", json!({})).await["type"], "done");
    chat.until("it is stopped", |c| c.turn == "idle").await;
    assert_eq!(asked(&mut chat, "[[say still here]]").await, "still here");

    // opencode is killed while it answers; then Nexus is. The session of opencode goes on.
    let pid = stage.process("opencode acp");
    chat.prompt("[[text n=400 rate=40 size=6]]").await;
    let before = chat.answer().len();
    chat.until("it streams", |c| c.answer().len() > before + 60).await;
    assert!(signal(pid, libc::SIGKILL));
    chat.until("it is interrupted", Conversation::interrupted).await;
    stage.start_again().await;
    let messages = stage.read(&chat.session).await.len();
    let mut chat = Conversation::look(&stage.browser, &chat.session, None).await;
    let answer = send(&mut chat, "after-all", json!({"text": "[[say and on it goes]]"})).await;
    assert_eq!(answer["type"], "admitted", "{answer}");
    chat.until("it goes on", |c| {
        c.turn == "idle" && c.answer().contains("and on it goes")
    })
    .await;
    let found = stage.read(&chat.session).await;
    assert_eq!(
        found.len(),
        messages + 2,
        "nothing is doubled, and no note is needed: {found:?}"
    );
    let last = llm
        .seen
        .requests
        .lock()
        .unwrap()
        .iter()
        .rfind(|r| r.to_string().contains("and on it goes"))
        .cloned()
        .unwrap();
    assert!(
        last.to_string().contains("hello there"),
        "opencode has the earlier messages: {last}"
    );
    assert_eq!(stage.nexus.terminate(Duration::from_secs(25)).unwrap().code(), Some(0));
    assert_eq!(stage.nexus.survivors(), []);
}
