//! What not every chat backend has, with the real opencode, which has nearly all of it, and with the example, which has little:
//! what is absent is refused in words, and nothing else breaks.

use nexus_tests::browser::Browser;
use nexus_tests::llm::Llm;
use nexus_tests::nexus::Start;
use nexus_tests::wait;
use nexus_tests::world::{self, Conversation, World, ready_example};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

/// A picture of 4 by 4 red pixels.
pub(crate) const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x04\x00\x00\x00\x04\x08\x02\x00\x00\x00&\x93\x09)\x00\x00\x00\x10IDATx\x9cc\xf8\xcf\xc0\x00G\x0c\xc4q\x00\xae\x93\x0f\xf1\xd0_#\x9e\x00\x00\x00\x00IEND\xaeB`\x82";

/// The real opencode with a project of some files and some commands of its user.
async fn with_files() -> World {
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    let project = &opencode.project;
    fs::create_dir(project.join("src")).unwrap();
    fs::write(
        project.join("src/main.rs"),
        "fn main() {\n    println!(\"pineapple\");\n}\n",
    )
    .unwrap();
    fs::write(project.join("page.html"), "<script>alert(1)</script>").unwrap();
    let secret = start.folder().join("secret.txt");
    fs::write(&secret, "not of the project").unwrap();
    symlink(&secret, project.join("link.txt")).unwrap();
    let commands = start.folder().join("home/.config/opencode/command");
    fs::create_dir_all(&commands).unwrap();
    fs::write(
        commands.join("greet.md"),
        "---\ndescription: Greets the owner\n---\nSay hello to $ARGUMENTS\n",
    )
    .unwrap();
    fs::write(
        commands.join("sly.md"),
        "---\ndescription: Runs\n---\nIt is !`touch ran-by-a-command`\n",
    )
    .unwrap();
    World::of(llm, start, opencode).await
}

/// Sends a prompt with more than its text, and gives the answer to it.
async fn send(chat: &mut Conversation, id: &str, more: Value) -> Value {
    let mut frame = json!({"type": "prompt", "session": chat.session, "client_id": id});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    chat.socket.send(&frame).await;
    chat.frames_until(|frame| {
        matches!(
            frame["type"].as_str(),
            Some("admitted" | "refused" | "deferred" | "consent")
        )
    })
    .await
}

/// Sends it, and waits for the end of its turn: what the model was asked.
async fn asked(world: &World, chat: &mut Conversation, id: &str, more: Value) -> Value {
    let before = world.llm.seen.requests.lock().unwrap().len();
    chat.turns.clear();
    let answer = send(chat, id, more).await;
    assert_eq!(answer["type"], "admitted", "{answer}");
    chat.until("the turn is over", |c| {
        c.turns.iter().any(|turn| turn == "running") && c.turn == "idle"
    })
    .await;
    let requests = world.llm.seen.requests.lock().unwrap();
    requests
        .get(before)
        .cloned()
        .unwrap_or_else(|| panic!("the model was not asked: {:?}", chat.errors()))
}

/// The last message of the user, as the model got it.
fn last_of_user(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    messages.iter().rfind(|m| m["role"] == "user").unwrap()["content"].to_string()
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| entry[key].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn models_agents_and_commands_of_opencode_are_listed_and_answer() {
    let world = with_files().await;
    let browser = &world.browser;
    let get = async |path: &str| {
        let (status, body) = browser.ask("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let backend = get("/api/v1/backend").await;
    let features: Vec<&str> = backend["features"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for feature in [
        "sessions",
        "history",
        "questions",
        "models",
        "agents",
        "commands",
        "attachments",
        "fork",
        "revert",
        "compaction",
        "archive",
        "files",
        "providers",
    ] {
        assert!(features.contains(&feature), "{feature}: {features:?}");
    }
    let models = get("/api/v1/backend/models").await;
    assert_eq!(models["default"], "stand-in/stand-in-1", "{models}");
    let two = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["id"] == "stand-in/stand-in-2")
        .unwrap();
    assert_eq!(two["title"], "Stand-in Two");
    assert_eq!(two["context_tokens"], 128_000);
    assert!(two["variants"].as_array().unwrap().contains(&json!("high")), "{two}");
    assert!(
        !models.to_string().contains("not-a-key"),
        "the key of a provider is nobody's"
    );
    let agents = get("/api/v1/backend/agents").await;
    assert_eq!(agents["default"], "build", "{agents}");
    assert_eq!(names(&agents["agents"], "id"), ["build", "plan"], "{agents}");
    let commands = get("/api/v1/backend/commands").await;
    let greet = commands
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "greet")
        .unwrap();
    assert_eq!(greet["description"], "Greets the owner");

    let mut chat = world.conversation().await;
    let request = asked(
        &world,
        &mut chat,
        "one",
        json!({"text": "Which one are you?", "model": "stand-in/stand-in-2", "variant": "high", "agent": "plan"}),
    )
    .await;
    assert_eq!(
        (&request["model"], &request["reasoning_effort"]),
        (&json!("stand-in-2"), &json!("high")),
        "{request}"
    );
    let answered = |chat: &Conversation, key: &str, value: &str| {
        chat.messages
            .values()
            .any(|m| m["role"] == "assistant" && m[key] == value)
    };
    assert!(
        answered(&chat, "model", "stand-in/stand-in-2") && answered(&chat, "agent", "plan"),
        "{:?}",
        chat.messages
    );
    // What opencode would keep for the session, and fail with.
    for wrong in [
        json!({"model": "stand-in/none"}),
        json!({"model": "none"}),
        json!({"agent": "title"}),
    ] {
        let mut prompt = json!({"text": "hi"});
        prompt
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let refused = send(&mut chat, &format!("wrong-{}", wrong.to_string().len()), prompt).await;
        assert_eq!(refused["type"], "refused", "{wrong}: {refused}");
    }

    let request = asked(
        &world,
        &mut chat,
        "two",
        json!({"command": {"name": "greet", "arguments": "the owner"}}),
    )
    .await;
    assert!(last_of_user(&request).contains("Say hello to the owner"), "{request}");
    // The prompt that the backend made took the place of what was written.
    assert!(
        chat.messages.values().filter(|m| m["client_id"] == "two").count() == 1,
        "{:?}",
        chat.messages
    );
    let again = send(
        &mut chat,
        "two",
        json!({"command": {"name": "greet", "arguments": "the owner"}}),
    )
    .await;
    assert_eq!(
        (&again["type"], &again["duplicate"]),
        (&json!("admitted"), &json!(true)),
        "{again}"
    );

    // Programs that opencode would run, and files that it would read, without a permission request.
    let refused = [
        ("greet", "x !`touch ran-by-an-argument`"),
        // A pattern of JavaScript's: what follows the placeholder, which begins with nothing here.
        ("greet", "x !$'`touch ran-by-an-argument`"),
        ("greet", "!$`"),
        ("sly", ""),
        ("none", ""),
        ("greet", "@~/.config/opencode/command/greet.md"),
        ("greet", "@../secret.txt"),
        ("greet", "@link.txt"),
        ("greet", "@/etc/hostname"),
    ];
    for (n, (name, arguments)) in refused.into_iter().enumerate() {
        let command = json!({"command": {"name": name, "arguments": arguments}});
        let refused = send(&mut chat, &format!("refused-{n}"), command).await;
        assert_eq!(refused["type"], "refused", "{name} {arguments}: {refused}");
    }
    // What is in the workspace, or nowhere, is no such file.
    let request = asked(
        &world,
        &mut chat,
        "three",
        json!({"command": {"name": "greet", "arguments": "@src/main.rs and @scope/package"}}),
    )
    .await;
    assert!(request["messages"].to_string().contains("pineapple"), "{request}");
    for ran in ["ran-by-an-argument", "ran-by-a-command"] {
        assert!(!world.opencode.project.join(ran).exists(), "{ran}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn files_of_the_project_are_found_and_nothing_outside_is_shown() {
    let world = with_files().await;
    let get = async |path: &str| {
        world
            .browser
            .ask("GET", &format!("/api/v1/backend/files{path}"), Value::Null)
            .await
    };
    let (_, found) = get("?query=main").await;
    assert_eq!(found[0], json!({"path": "src/main.rs", "folder": false}), "{found}");
    let (_, root) = get("/list").await;
    assert!(names(&root, "path").contains(&"src"), "{root}");
    let (_, src) = get("/list?folder=src").await;
    assert_eq!(names(&src, "path"), ["src/main.rs"]);
    let (_, lines) = get("/lines?text=pineapple").await;
    assert_eq!(
        (&lines[0]["path"], &lines[0]["line"]),
        (&json!("src/main.rs"), &json!(2)),
        "{lines}"
    );
    let content = world
        .browser
        .get("/api/v1/backend/files/content?path=src/main.rs")
        .await;
    assert_eq!(content.headers()["content-type"], "text/plain; charset=utf-8");
    assert!(content.text().await.unwrap().contains("pineapple"));
    // A page is shown as the text that it is.
    let page = world.browser.get("/api/v1/backend/files/content?path=page.html").await;
    assert_eq!(page.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    for outside in [
        "../secret.txt",
        "/etc/passwd",
        "link.txt",
        "none.txt",
        "src",
        "src/../../secret.txt",
    ] {
        let (status, body) = get(&format!("/content?path={outside}")).await;
        assert_eq!(status, 404, "{outside}: {body}");
    }
    for outside in ["..", "/etc", "none"] {
        let (status, body) = get(&format!("/list?folder={outside}")).await;
        let empty = status == 200 && body == json!([]);
        assert!(status == 404 || empty, "{outside}: {status} {body}");
    }
    let (status, body) = get("/content?path=src/main.rs&workspace=/etc").await;
    assert_eq!(status, 409, "{body}");

    // Pointed at, the model gets it.
    let mut chat = world.conversation().await;
    let request = asked(
        &world,
        &mut chat,
        "one",
        json!({"text": "See @src/main.rs", "files": ["src/main.rs"]}),
    )
    .await;
    assert!(request["messages"].to_string().contains("pineapple"), "{request}");
    let refused = send(&mut chat, "two", json!({"text": "See", "files": ["link.txt"]})).await;
    assert_eq!(refused["type"], "refused", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_file_is_uploaded_sent_and_comes_back_over_a_restart() {
    let mut world = with_files().await;
    let mut chat = world.conversation().await;
    let path = format!("/api/v1/sessions/{}/attachments", chat.session);
    let upload = async |browser: &Browser, name: &str, mime: &str, data: &[u8]| {
        let request = browser.script("POST", &format!("{path}?name={name}"));
        let answer = request
            .header("content-type", mime)
            .body(data.to_vec())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let kept = async |browser: &Browser, name: &str, mime: &str, data: &[u8]| -> String {
        let (status, body) = upload(browser, name, mime, data).await;
        assert_eq!(status, 201, "{body}");
        let kept: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (&kept["name"], &kept["size"]),
            (&json!(name), &json!(data.len())),
            "{kept}"
        );
        kept["id"].as_str().unwrap().to_owned()
    };
    let note = kept(&world.browser, "note.txt", "text/plain", b"the word is walnut\n").await;
    let picture = kept(&world.browser, "red.png", "image/png", PNG).await;
    let request = asked(
        &world,
        &mut chat,
        "one",
        json!({"text": "What is in them?", "attachments": [note, picture]}),
    )
    .await;
    assert!(last_of_user(&request).contains("walnut"), "{request}");
    let attachments = async |browser: &Browser| {
        let (_, state) = browser
            .ask("GET", &format!("/api/v1/sessions/{}", chat.session), Value::Null)
            .await;
        let messages = state["messages"].as_array().unwrap().clone();
        let parts = messages.iter().filter_map(|m| m["parts"].as_array()).flatten();
        let contents = parts.map(|part| {
            if part["part"].is_object() {
                &part["part"]["content"]
            } else {
                &part["content"]
            }
        });
        contents
            .filter(|c| c["type"] == "attachment")
            .cloned()
            .collect::<Vec<_>>()
    };
    let shown = attachments(&world.browser).await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    let read = async |browser: &Browser, id: &str| {
        let answer = browser.get(&format!("{path}/{id}")).await;
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.bytes().await.unwrap().to_vec())
    };
    let red = shown.iter().find(|a| a["name"] == "red.png").unwrap();
    assert_eq!((&red["mime"], &red["size"]), (&json!("image/png"), &json!(PNG.len())));
    let id = red["id"].as_str().unwrap().to_owned();
    assert_eq!(read(&world.browser, &id).await, ("image/png".to_owned(), PNG.to_vec()));

    // Texts of all types are read, by this prompt and the next ones; what no model takes is refused.
    let json_file = kept(
        &world.browser,
        "data.json",
        "application/json",
        b"{\"tree\": \"chestnut\"}",
    )
    .await;
    let request = asked(
        &world,
        &mut chat,
        "json",
        json!({"text": "And this?", "attachments": [json_file]}),
    )
    .await;
    assert!(last_of_user(&request).contains("chestnut"), "{request}");
    asked(&world, &mut chat, "later", json!({"text": "Still there?"})).await;
    let archive = kept(
        &world.browser,
        "a.zip",
        "application/zip",
        &[0x50, 0x4b, 3, 4, 0xff, 0xfe],
    )
    .await;
    let refused = send(&mut chat, "zip", json!({"text": "And this?", "attachments": [archive]})).await;
    assert_eq!(refused["type"], "refused", "{refused}");

    // A picture that is none: the owner is told, and the chat goes on.
    let broken = kept(&world.browser, "broken.png", "image/png", &PNG[..20]).await;
    let broken = send(&mut chat, "two", json!({"text": "And this?", "attachments": [broken]})).await;
    assert_eq!(broken["type"], "admitted", "{broken}");
    chat.until("the owner is told", |c| !c.errors().is_empty()).await;
    asked(&world, &mut chat, "three", json!({"text": "Still there?"})).await;

    // Too large, and no name.
    let (status, _) = upload(&world.browser, "large.bin", "text/plain", &vec![0; (8 << 20) + 1]).await;
    assert_eq!(status, 413);
    let (status, _) = upload(&world.browser, "..%2Fx", "text/plain", b"x").await;
    assert_eq!(status, 409);
    let (status, body) = world
        .browser
        .ask("GET", &format!("{path}/upload-none"), Value::Null)
        .await;
    assert_eq!(status, 404, "{body}");

    world.kill_and_start_again().await;
    world.ready().await;
    assert_eq!(read(&world.browser, &id).await, ("image/png".to_owned(), PNG.to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_session_is_forked_taken_back_restored_summarized_and_archived() {
    let world = with_files().await;
    let browser = &world.browser;
    let mut chat = world.conversation().await;
    let session = chat.session.clone();
    let post = async |what: &str, body: Value| {
        browser
            .ask("POST", &format!("/api/v1/sessions/{session}/{what}"), body)
            .await
    };
    asked(&world, &mut chat, "one", json!({"text": "[[say first answer]]"})).await;
    // A turn that changes a file, which the owner allows.
    let written = world.opencode.project.join("made.txt");
    let tool = format!(
        "[[tool name=write args={}]]",
        json!({"filePath": written, "content": "made\n"})
    );
    assert_eq!(send(&mut chat, "two", json!({"text": tool})).await["type"], "admitted");
    chat.until("it asks", |c| !c.requests.is_empty()).await;
    let request = chat.requests.keys().next().unwrap().clone();
    let answer = chat
        .request("reply", json!({"request": request, "answer": {"type": "once"}}))
        .await;
    assert_eq!(answer["type"], "done", "{answer}");
    chat.until("the turn is over", |c| c.turn == "idle" && c.requests.is_empty())
        .await;
    wait::seen("the file is written", || written.exists(), |there| *there);
    let second = chat.messages.values().find(|m| m["client_id"] == "two").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let has_the_first_answer_alone = async |status: u16, fork: Value| {
        assert_eq!(status, 201, "{fork}");
        let path = format!("/api/v1/sessions/{}", fork["id"].as_str().unwrap());
        let (_, forked) = browser.ask("GET", &path, Value::Null).await;
        assert!(
            forked.to_string().contains("first answer") && !forked.to_string().contains("made.txt"),
            "{forked}"
        );
    };

    // A fork has what came before, and leaves the session as it is.
    let (status, fork) = post("fork", json!({"before": second})).await;
    has_the_first_answer_alone(status, fork).await;
    let (status, none) = post("fork", json!({"before": "msg_none"})).await;
    assert_eq!(status, 404, "{none}");

    // A fork of what is taken back does not bring it back.
    let (status, _) = post("revert", json!({"message": second})).await;
    assert_eq!(status, 200);
    let (status, fork) = post("fork", json!({})).await;
    has_the_first_answer_alone(status, fork).await;
    let (status, _) = post("restore", json!({})).await;
    assert_eq!(status, 200);

    // What is taken back is gone, with its file; restored, both are there again.
    let (status, info) = post("revert", json!({"message": second})).await;
    assert_eq!((status, &info["reverted"]), (200, &json!(second)), "{info}");
    chat.until("its messages are gone", |c| !c.messages.contains_key(&second))
        .await;
    wait::seen("the file is gone", || written.exists(), |there| !*there);
    let (status, info) = post("restore", json!({})).await;
    assert_eq!((status, info["reverted"].is_null()), (200, true), "{info}");
    chat.until("its messages are back", |c| c.messages.contains_key(&second))
        .await;
    wait::seen("the file is back", || written.exists(), |there| *there);
    let (status, _) = post("revert", json!({"message": "msg_none"})).await;
    assert_eq!(status, 404);

    // A summary in place of the messages, for the model.
    let before = world.llm.requests();
    let (status, body) = post("compact", json!({})).await;
    assert_eq!(status, 202, "{body}");
    let state = async || {
        browser
            .ask("GET", &format!("/api/v1/sessions/{session}"), Value::Null)
            .await
            .1
    };
    wait::seen_async("it says so", state, |state| {
        state.to_string().contains("\"compacted\"") && state["turn"]["state"] == "idle"
    })
    .await;
    assert!(world.llm.requests() > before);

    // Archived, in the list and in opencode itself.
    let archived = async |wanted: bool| {
        let (status, body) = browser
            .ask(
                "PATCH",
                &format!("/api/v1/sessions/{session}"),
                json!({"archived": wanted}),
            )
            .await;
        assert_eq!(status, 204, "{body}");
        let listed = async || browser.ask("GET", "/api/v1/sessions", Value::Null).await.1;
        wait::seen_async("the list says so", listed, |list| {
            let listed = list.as_array().unwrap().iter().find(|s| s["id"] == session.as_str());
            listed.is_some_and(|s| s["archived"] == wanted || (!wanted && s["archived"].is_null()))
        })
        .await;
    };
    archived(true).await;
    archived(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_key_for_a_provider_reaches_the_provider_and_nothing_else() {
    const KEY: &str = "sk-a-key-of-the-owner";
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    // A provider without a key of its own.
    let file = start.folder().join("opencode.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let mut keyed = config["provider"]["stand-in"].clone();
    keyed["options"].as_object_mut().unwrap().remove("apiKey");
    keyed["name"] = json!("Keyed");
    config["provider"]["keyed"] = keyed;
    config["enabled_providers"] = json!(["stand-in", "keyed"]);
    fs::write(&file, config.to_string()).unwrap();
    let world = World::of(llm, start, opencode).await;
    let browser = &world.browser;
    let provider = async || {
        let (status, all) = browser.ask("GET", "/api/v1/backend/providers", Value::Null).await;
        assert_eq!(status, 200, "{all}");
        let keyed = all.as_array().unwrap().iter().find(|p| p["id"] == "keyed");
        keyed.cloned().unwrap_or_else(|| panic!("{all}"))
    };
    let found = provider().await;
    assert_eq!(
        (&found["title"], &found["methods"][0]["kind"]),
        (&json!("Keyed"), &json!("key")),
        "{found}"
    );
    let method = found["methods"][0]["id"].clone();
    let sign_in = async |body: Value| {
        browser
            .ask("POST", "/api/v1/backend/providers/keyed/sign-in", body)
            .await
    };
    let (status, body) = sign_in(json!({"method": method, "values": {}})).await;
    assert_eq!(status, 409, "a key is missing: {body}");
    let (status, body) = sign_in(json!({"method": "none", "values": {"key": KEY}})).await;
    assert_eq!(status, 409, "{body}");

    // Not while an answer runs, which it would end.
    let mut chat = world.conversation().await;
    let slow = send(&mut chat, "slow", json!({"text": "[[text n=400 rate=20]]"})).await;
    assert_eq!(slow["type"], "admitted");
    chat.until("it runs", |c| c.turn == "running").await;
    let (status, body) = sign_in(json!({"method": method, "values": {"key": KEY}})).await;
    assert_eq!(status, 503, "{body}");
    chat.request("cancel", json!({})).await;
    chat.until("it has stopped", |c| c.turn != "running").await;

    let signed_in = async || sign_in(json!({"method": method, "values": {"key": KEY}})).await.0;
    wait::seen_async("it is signed in", signed_in, |status| *status == 204).await;
    asked(
        &world,
        &mut chat,
        "one",
        json!({"text": "hi", "model": "keyed/stand-in-1"}),
    )
    .await;
    let keys = world.llm.seen.keys.lock().unwrap().clone();
    assert!(keys.contains(&format!("Bearer {KEY}")), "{keys:?}");
    let (status, body) = browser
        .ask("DELETE", "/api/v1/backend/providers/keyed", Value::Null)
        .await;
    assert_eq!(status, 204, "{body}");
    world.llm.seen.keys.lock().unwrap().clear();
    asked(
        &world,
        &mut chat,
        "two",
        json!({"text": "hi", "model": "keyed/stand-in-1"}),
    )
    .await;
    let keys = world.llm.seen.keys.lock().unwrap().clone();
    assert!(!keys.iter().any(|key| key.contains(KEY)), "{keys:?}");
    assert!(!world.nexus.output().contains(KEY), "it is in the log");
    let data = fs::read_dir(world.start.data_dir()).unwrap().filter_map(Result::ok);
    for file in data.filter(|file| file.path().is_file()) {
        let bytes = fs::read(file.path()).unwrap();
        assert!(
            !bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes()),
            "{:?} has the key",
            file.path()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_example_does_not_have_is_refused_and_what_it_has_works() {
    let start = Start::new().config("[chat.main]\nplugin = \"chat-echo\"\n[plugin.chat-echo.config]\npause = 1\n");
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    ready_example(&browser).await;
    let (_, backend) = browser.ask("GET", "/api/v1/backend", Value::Null).await;
    assert_eq!(
        backend["features"],
        json!(["sessions", "history", "commands"]),
        "{backend}"
    );
    let mut chat = Conversation::create(&browser, &nexus).await;
    let session = format!("/api/v1/sessions/{}", chat.session);
    for (method, path) in [
        ("GET", "/api/v1/backend/models".to_owned()),
        ("GET", "/api/v1/backend/agents".to_owned()),
        ("GET", "/api/v1/backend/workspaces".to_owned()),
        ("GET", "/api/v1/backend/files?query=a".to_owned()),
        ("GET", "/api/v1/backend/files/list".to_owned()),
        ("GET", "/api/v1/backend/files/content?path=a".to_owned()),
        ("GET", "/api/v1/backend/files/lines?text=a".to_owned()),
        ("GET", "/api/v1/backend/providers".to_owned()),
        ("DELETE", "/api/v1/backend/providers/acme".to_owned()),
        ("POST", format!("{session}/fork")),
        ("POST", format!("{session}/restore")),
        ("POST", format!("{session}/compact")),
        ("POST", format!("{session}/attachments?name=a")),
        ("GET", format!("{session}/attachments/a")),
    ] {
        let (status, body) = browser.ask(method, &path, Value::Null).await;
        assert_eq!(status, 409, "{method} {path}: {body}");
        assert!(
            !body["detail"].as_str().unwrap_or_default().is_empty(),
            "{method} {path}: {body}"
        );
    }
    for lost in [
        json!({"model": "a/b"}),
        json!({"agent": "plan"}),
        json!({"variant": "high"}),
        json!({"files": ["a"]}),
    ] {
        let mut prompt = json!({"text": "hi"});
        prompt
            .as_object_mut()
            .unwrap()
            .extend(lost.as_object().unwrap().clone());
        let refused = send(&mut chat, "lost", prompt).await;
        assert_eq!(refused["type"], "refused", "{lost}: {refused}");
    }
    let (_, commands) = browser.ask("GET", "/api/v1/backend/commands", Value::Null).await;
    assert_eq!(names(&commands, "name"), ["repeat"]);
    let admitted = send(
        &mut chat,
        "c1",
        json!({"command": {"name": "repeat", "arguments": "3 plum"}}),
    )
    .await;
    assert_eq!(admitted["type"], "admitted", "{admitted}");
    chat.until("it is answered", |c| {
        c.answer().contains("plum plum plum") && c.turn == "idle"
    })
    .await;
    let refused = send(&mut chat, "c2", json!({"command": {"name": "none"}})).await;
    assert_eq!(refused["type"], "refused", "{refused}");
    // And the chat goes on.
    chat.prompt("still here").await;
    chat.until("it is answered", |c| {
        c.answer().contains("still here") && c.turn == "idle"
    })
    .await;
}
