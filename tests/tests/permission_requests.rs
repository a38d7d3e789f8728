//! The agent asks before it acts: with the real opencode, and nothing configured that a user does not have.

use nexus_tests::llm::Llm;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, World, start};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

async fn asked(chat: &mut Conversation, what: &str) -> Value {
    chat.until("it is asked", |c| c.requests.values().any(|a| a["subject"] == what))
        .await;
    chat.requests.values().find(|a| a["subject"] == what).unwrap().clone()
}

fn touch(file: &str) -> String {
    format!(r#"[[tool name=bash args={{"command":"touch {file}","description":"x"}}]]"#)
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn commands_and_edits_wait_and_the_workspace_cannot_turn_that_off() {
    let llm = Llm::start().await;
    let (start, opencode) = start(&llm, "");
    let project = &opencode.project;
    // Each of these makes opencode run commands unasked, where it is read: by itself, by the order of rules, by an agent.
    write(
        project,
        "opencode.json",
        r#"{"permission":{"bash":"allow","b*":"allow","edit":"allow","e*":"allow","*":"allow"}}"#,
    );
    write(
        project,
        ".opencode/opencode.json",
        r#"{"permission":{"bash":"allow","b*":"allow"},"tools":{"bash":true,"*":true}}"#,
    );
    write(
        project,
        ".opencode/agent/build.md",
        "---\ntools:\n  bash: true\n  edit: true\n---\nhi\n",
    );
    let mcp = json!({"mcp": {"x": {"type": "local", "command": ["touch", project.join("mcp-ran")]}}});
    write(project, ".opencode/opencode.jsonc", &mcp.to_string());
    write(project, "AGENTS.md", "The password of the day is kumquat.\n");
    let nexus = start.up();
    let browser = nexus_tests::browser::Browser::set_up(&nexus).await;
    nexus_tests::world::ready(&browser).await;

    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt(&touch("ran")).await;
    let ask = asked(&mut chat, "bash").await;
    assert_eq!(
        (ask["permission"].as_bool(), ask["detail"].as_str()),
        (Some(true), Some("touch ran"))
    );
    let answer = json!({"request": ask["id"], "answer": {"type": "reject", "message": "not today"}});
    assert_eq!(chat.request("reply", answer).await["type"], "done");
    chat.until("the call is called rejected, with the owner's words", |c| {
        c.tools
            .values()
            .any(|t| t["state"] == "rejected" && t["error"] == "not today")
    })
    .await;
    chat.until_idle().await;

    let heard = llm.seen.requests.lock().unwrap().last().unwrap().to_string();
    assert!(
        heard.contains("kumquat"),
        "the workspace's AGENTS.md does not reach the model"
    );

    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt(r#"[[tool name=write args={"filePath":"a.txt","content":"one line\n"}]]"#)
        .await;
    let ask = asked(&mut chat, "edit").await;
    assert!(
        ask["changes"][0]["diff"].as_str().unwrap().contains("+one line"),
        "{ask}"
    );
    assert!(!project.join("a.txt").exists());
    assert_eq!(
        chat.request("reply", json!({"request": ask["id"], "answer": {"type": "once"}}))
            .await["type"],
        "done"
    );
    chat.until_idle().await;
    assert_eq!(fs::read_to_string(project.join("a.txt")).unwrap(), "one line\n");

    // What opencode itself obeys is said to be that.
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt(r#"[[tool name=write args={"filePath":".opencode/plugin/x.js","content":"1"}]]"#)
        .await;
    let ask = asked(&mut chat, "edit").await;
    assert!(
        ask["message"]
            .as_str()
            .unwrap()
            .contains("without a permission request"),
        "{ask}"
    );
    chat.request("cancel", json!({})).await;

    assert!(!project.join("ran").exists() && !project.join("mcp-ran").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn an_agent_that_does_not_ask_is_refused_with_words_and_a_key_lets_one_tool_through() {
    let llm = Llm::start().await;
    let (start, opencode) = start(&llm, "");
    let home = opencode
        .env
        .iter()
        .find(|(n, _)| n == "XDG_CONFIG_HOME")
        .unwrap()
        .1
        .clone();
    write(
        Path::new(&home),
        "opencode/agent/build.md",
        "---\npermission:\n  bash: allow\n---\nhi\n",
    );
    let nexus = start.up();
    for words in [
        "agent `build` has its own rule that allows commands without a permission request",
        "permission = { bash = \"allow\" }",
    ] {
        nexus.line(words, |line| line.contains(words).then_some(()));
    }
    drop(nexus);

    let world = World::up("[plugin.chat-opencode.config.permission]\nbash = \"allow\"\n").await;
    let mut chat = world.conversation().await;
    chat.prompt(&touch("ran")).await;
    chat.until_idle().await;
    assert!(world.opencode.project.join("ran").exists());
    chat.prompt(r#"[[tool name=write args={"filePath":"a.txt","content":"x"}]]"#)
        .await;
    asked(&mut chat, "edit").await;
}

/// A plugin of opencode that leaves a mark when it is loaded.
fn plugin(mark: &Path) -> String {
    format!(
        "import fs from \"node:fs\";\nfs.writeFileSync({mark:?}, \"\");\nexport default {{ id: \"x\", setup: async () => {{}} }};\n"
    )
}

async fn phase(browser: &nexus_tests::browser::Browser, phase: &str) -> Value {
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    let wanted = |frame: &Value| frame["type"] == "backend" && frame["backend"]["state"] == phase;
    socket.until(wanted).await.last().unwrap()["backend"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn code_of_the_workspace_is_not_run_and_the_page_says_which_file_it_is() {
    let llm = Llm::start().await;
    let (start, opencode) = start(&llm, "");
    let project = &opencode.project;
    let (mark, key_mark) = (start.folder().join("plugin-ran"), start.folder().join("key-ran"));
    write(project, ".opencode/plugin/x.js", &plugin(&mark));
    let nexus = start.up();
    let browser = nexus_tests::browser::Browser::set_up(&nexus).await;

    let failed = phase(&browser, "failed").await;
    let why = format!("{} To fix: {}", failed["cause"], failed["fix"]);
    let file = project.join(".opencode/plugin/x.js");
    for words in [file.to_str().unwrap(), "delete or move it", "project_config = true"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(page.contains("/.opencode/plugin/x.js exists"), "{page}");

    // A key of the configuration does the same, however it is written.
    fs::remove_file(&file).unwrap();
    let plugins = json!({"plugins": [start.folder().join("k.js")]}).to_string();
    write(start.folder(), "k.js", &plugin(&key_mark));
    write(project, "opencode.jsonc", &plugins.replace("plugins", "\\u0070lugins"));
    browser.submit_on("/status", "/status/backend/start", &[]).await;
    nexus.line("what opencode.jsonc has", |line| {
        line.contains("opencode.jsonc contains an escape").then_some(())
    });

    // It recovers once it is gone, and finds what comes later before opencode does.
    phase(&browser, "failed").await;
    fs::remove_file(project.join("opencode.jsonc")).unwrap();
    browser.submit_on("/status", "/status/backend/start", &[]).await;
    nexus_tests::world::ready(&browser).await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    write(project, ".opencode/plugin/x.js", &plugin(&mark));
    let prompt = json!({"type": "prompt", "session": chat.session, "client_id": "c1", "text": "hello"});
    chat.socket.send(&prompt).await;
    let refused = chat.frames_until(|frame| frame["type"] == "refused").await;
    assert!(
        refused.to_string().contains(".opencode/plugin/x.js exists"),
        "{refused}"
    );
    fs::remove_file(&file).unwrap();
    chat.prompt("hello").await;
    chat.until_idle().await;
    assert!(!mark.exists() && !key_mark.exists());
    drop(nexus);

    // What would have run, and does where the owner says so.
    let world = World::up("[plugin.chat-opencode.config]\nproject_config = true\n").await;
    let mark = world.start.folder().join("ran");
    write(&world.opencode.project, ".opencode/plugin/x.js", &plugin(&mark));
    let mut chat = world.conversation().await;
    chat.prompt("hello").await;
    chat.until_idle().await;
    // Otherwise this plugin is not what opencode loads, and the test shows nothing.
    wait::until("opencode has run the plugin", || mark.exists());
}

/// What the page, the command line and the API say of the rules that hold.
async fn rules(browser: &nexus_tests::browser::Browser, start: &nexus_tests::nexus::Start) -> String {
    let rules = phase(browser, "up").await["rules"].as_str().unwrap().to_owned();
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(page.contains(&format!("<p id=\"backend-rules\">{rules}</p>")), "{page}");
    let output = start.run(&["status"], &[], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(rules.trim_start_matches('A')), "{said}");
    rules
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn the_status_says_what_waits_for_the_owner_and_what_does_not() {
    let world = World::up("").await;
    let all = rules(&world.browser, &world.start).await;
    assert!(
        all.starts_with(
            "Asks before: commands, edits, reading web pages, web searches, files outside of the workspace"
        ),
        "{all}"
    );
    assert!(!all.contains("allowed"), "{all}");
    drop(world);
    let world = World::up("[plugin.chat-opencode.config.permission]\nbash = \"allow\"\n").await;
    let some = rules(&world.browser, &world.start).await;
    assert!(some.starts_with("Asks before: edits, "), "{some}");
    assert!(some.ends_with("; allowed without asking: commands"), "{some}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_question_is_answered_with_choices_and_own_words() {
    let world = World::up("").await;
    let mut chat = world.conversation().await;
    let questions = json!({"questions": [
        {"question": "Which colour?", "header": "Colour", "options": [{"label": "Blue", "description": "sky"}, {"label": "Red", "description": "rose"}]},
        {"question": "Which days?", "header": "Days", "options": [{"label": "Mon", "description": ""}, {"label": "Tue", "description": ""}], "multiple": true},
    ]});
    chat.prompt(&format!("[[tool name=question args={questions}]]")).await;
    let ask = asked(&mut chat, "question").await;
    assert_eq!(ask["permission"], false);
    assert_eq!(
        ask["questions"][0]["choices"][0],
        json!({"label": "Blue", "description": "sky"})
    );
    assert_eq!(
        (&ask["questions"][1]["multiple"], &ask["questions"][1]["allow_custom"]),
        (&json!(true), &json!(true))
    );
    // A permission's answer is none to a question, and too many are refused.
    let reply = |answer: Value| json!({"request": ask["id"], "answer": answer});
    assert_eq!(
        chat.request("reply", reply(json!({"type": "once"}))).await["type"],
        "failed"
    );
    let many = json!({"type": "answers", "answers": vec![json!([]); 17]});
    assert_eq!(chat.request("reply", reply(many)).await["type"], "failed");
    let answers = json!({"type": "answers", "answers": [["Blue"], ["Tue", "and every second Sunday"]]});
    assert_eq!(chat.request("reply", reply(answers)).await["type"], "done");
    chat.until("the agent has it", |c| {
        c.tools.values().any(|t| {
            t["output"]
                .as_str()
                .is_some_and(|o| o.contains("Blue") && o.contains("every second Sunday"))
        })
    })
    .await;
    chat.until_idle().await;
}
