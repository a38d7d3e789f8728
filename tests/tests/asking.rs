//! The agent asks before it acts: with the real opencode, and nothing configured that a user does not have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use nexus_tests::llm::Llm;
use nexus_tests::world::{Conversation, World, start};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

async fn asked(chat: &mut Conversation, what: &str) -> Value {
    chat.until("it is asked", |c| c.asks.values().any(|a| a["subject"] == what))
        .await;
    chat.asks.values().find(|a| a["subject"] == what).unwrap().clone()
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
    let answer = json!({"ask": ask["id"], "answer": {"type": "reject", "message": "not today"}});
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
    assert!(ask["change"].as_str().unwrap().contains("+one line"), "{ask}");
    assert!(!project.join("a.txt").exists());
    assert_eq!(
        chat.request("reply", json!({"ask": ask["id"], "answer": {"type": "once"}}))
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
    assert!(ask["message"].as_str().unwrap().contains("without a question"), "{ask}");
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
        "agent `build` has a rule of its own that lets commands through",
        "permission = { bash = \"allow\" }",
    ] {
        let said = nexus.wait_for_line(Duration::from_secs(90), |line| line.contains(words).then_some(()));
        assert!(said.is_some(), "{words}\n{}", nexus.output());
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
        (&ask["questions"][1]["multiple"], &ask["questions"][1]["own"]),
        (&json!(true), &json!(true))
    );
    // A permission's answer is none to a question, and too many are refused.
    let reply = |answer: Value| json!({"ask": ask["id"], "answer": answer});
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
