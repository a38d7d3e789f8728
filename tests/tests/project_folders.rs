//! Several project folders, with the real opencode: each session works in its own, and none works elsewhere.

use nexus_tests::browser::Browser;
use nexus_tests::llm::Llm;
use nexus_tests::opencode::Opencode;
use nexus_tests::world::{self, Conversation, World};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The real opencode with its project, a second folder with a repository of its own, and a third one without.
async fn with_folders() -> (World, [PathBuf; 3]) {
    let llm = Llm::start().await;
    let (start, opencode) = world::start(&llm, "");
    let root = start.folder().canonicalize().unwrap();
    let folders = [root.join("project"), root.join("second"), root.join("third")];
    for (n, folder) in folders.iter().enumerate() {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("only-in-{n}.txt")), format!("pineapple {n}\n")).unwrap();
    }
    let git = std::process::Command::new("git")
        .args(["init", "-q", "-b", "trunk"])
        .current_dir(&folders[1])
        .status();
    assert!(git.unwrap().success());
    let config = config(&opencode, &folders[1..]);
    let start = start.config(config);
    (World::of(llm, start, opencode).await, folders)
}

fn config(opencode: &Opencode, others: &[PathBuf]) -> String {
    format!(
        "[chat.main]\nplugin = \"chat-opencode\"\nworkspace = {:?}\nworkspaces = {others:?}\n\
         [plugin.chat-opencode.grants.process.opencode]\npath = {:?}\ninherit_env = true\n",
        opencode.project, opencode.binary
    )
}

async fn get(browser: &Browser, path: &str) -> Value {
    let (status, body) = browser.ask("GET", path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// A new session in a folder.
async fn create(browser: &Browser, folder: &Path) -> String {
    let (status, made) = browser
        .ask("POST", "/api/v1/sessions", json!({ "workspace": folder.join("") }))
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["workspace"], json!(folder), "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// Lets the agent run a command in a session, once it has asked.
async fn run(chat: &mut Conversation, id: &str, command: &str) {
    asked_and_answered(chat, id, command, "once").await;
}

async fn asked_and_answered(chat: &mut Conversation, id: &str, command: &str, decision: &str) {
    let text = format!(r#"[[tool name=bash args={{"command":"{command}","description":"x"}}]]"#);
    let prompt = json!({"type": "prompt", "session": chat.session, "client_id": id, "text": text});
    chat.socket.send(&prompt).await;
    let answer = chat
        .frames_until(|frame| matches!(frame["type"].as_str(), Some("admitted" | "refused" | "deferred")))
        .await;
    assert_eq!(answer["type"], "admitted", "{answer}");
    chat.until("it is asked", |c| c.requests.values().any(|a| a["subject"] == "bash"))
        .await;
    let id = chat.requests.values().next().unwrap()["id"].clone();
    let answer = json!({"request": id, "answer": {"type": decision}});
    assert_eq!(chat.request("reply", answer).await["type"], "done");
    chat.until_idle().await;
}

/// The workspace of each listed session.
async fn listed(browser: &Browser) -> Vec<(String, String)> {
    let all = get(browser, "/api/v1/sessions").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = all
        .as_array()
        .unwrap_or_else(|| panic!("{all}"))
        .iter()
        .map(|s| (text(&s["id"]), text(&s["workspace"])))
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn each_session_works_in_its_folder_and_none_in_another_one() {
    let (mut world, folders) = with_folders().await;
    let all = get(&world.browser, "/api/v1/backend/workspaces").await;
    let found = |key: &str| -> Vec<Value> { all.as_array().unwrap().iter().map(|w| w[key].clone()).collect() };
    assert_eq!(found("path"), folders.each_ref().map(|path| json!(path)), "{all}");
    assert_eq!(found("title"), ["project", "second", "third"].map(Value::from));
    assert_eq!(
        (&all[1]["branch"], &all[2]["branch"]),
        (&json!("trunk"), &Value::Null),
        "{all}"
    );

    let mut made = Vec::new();
    for (n, folder) in folders.iter().enumerate() {
        let session = create(&world.browser, folder).await;
        let mut chat = world.look(&session, None).await;
        run(&mut chat, "one", "pwd > ran-here").await;
        assert_eq!(
            fs::read_to_string(folder.join("ran-here")).unwrap().trim(),
            folder.to_str().unwrap()
        );
        // What it writes is shown by its path in its own folder.
        chat.prompt(r#"[[tool name=write args={"filePath":"made.txt","content":"one line\n"}]]"#)
            .await;
        chat.until("it is asked", |c| c.requests.values().any(|a| a["subject"] == "edit"))
            .await;
        let ask = chat.requests.values().next().unwrap().clone();
        assert_eq!(ask["changes"][0]["path"], "made.txt", "{ask}");
        let refused = json!({"request": ask["id"], "answer": {"type": "reject"}});
        assert_eq!(chat.request("reply", refused).await["type"], "done");
        chat.until_idle().await;

        // With a slash behind it, as a shell completes it, it is the same folder.
        let at = format!("workspace={}/", folder.display());
        let files = get(&world.browser, &format!("/api/v1/backend/files/list?{at}")).await;
        assert!(files.to_string().contains(&format!("only-in-{n}.txt")), "{files}");
        assert!(
            !files.to_string().contains(&format!("only-in-{}.txt", (n + 1) % 3)),
            "{files}"
        );
        let lines = get(
            &world.browser,
            &format!("/api/v1/backend/files/lines?text=pineapple&{at}"),
        )
        .await;
        assert_eq!(
            (&lines[0]["path"], lines.as_array().unwrap().len()),
            (&json!(format!("only-in-{n}.txt")), 1),
            "{lines}"
        );
        for list in ["models", "agents", "commands"] {
            get(&world.browser, &format!("/api/v1/backend/{list}?{at}")).await;
        }
        made.push((session, folder.to_str().unwrap().to_owned()));
    }
    for (n, folder) in folders.iter().enumerate() {
        let other = format!("only-in-{}.txt", (n + 1) % 3);
        let up = format!("../{}/{other}", folders[(n + 1) % 3].file_name().unwrap().display());
        for path in [other, up] {
            let path = format!(
                "/api/v1/backend/files/content?path={path}&workspace={}",
                folder.display()
            );
            assert_eq!(world.browser.ask("GET", &path, Value::Null).await.0, 404, "{path}");
        }
    }
    made.sort();
    assert_eq!(listed(&world.browser).await, made);

    // What is not configured is refused, a folder below one that is among it.
    for other in [Path::new("/etc"), world.start.folder(), &folders[1].join(".git")] {
        let (status, body) = world
            .browser
            .ask("POST", "/api/v1/sessions", json!({ "workspace": other }))
            .await;
        assert_eq!(status, 409, "{body}");
        assert!(
            body["detail"].as_str().unwrap().contains("does not work in the folder"),
            "{body}"
        );
    }

    // Another Nexus on the same data knows them, and goes on where they are.
    world.kill_and_start_again().await;
    world.ready().await;
    assert_eq!(listed(&world.browser).await, made);
    let (session, folder) = made.iter().find(|(_, folder)| folder.ends_with("third")).unwrap();
    let mut chat = world.look(session, None).await;
    run(&mut chat, "two", "pwd > ran-again").await;
    assert_eq!(
        fs::read_to_string(Path::new(folder).join("ran-again")).unwrap().trim(),
        folder
    );
}

/// As the page says of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn what_is_always_allowed_is_so_in_the_chats_of_one_folder() {
    let (world, folders) = with_folders().await;
    let mut first = world.look(&create(&world.browser, &folders[1]).await, None).await;
    asked_and_answered(&mut first, "one", "touch always-1", "always").await;
    // Another chat of the folder is not asked.
    let mut same = world.look(&create(&world.browser, &folders[1]).await, None).await;
    same.prompt(r#"[[tool name=bash args={"command":"touch always-2","description":"x"}]]"#)
        .await;
    same.until("it has run or is asked", |c| {
        c.turn == "idle" && !c.tools.is_empty() || !c.requests.is_empty()
    })
    .await;
    assert!(
        same.requests.is_empty() && folders[1].join("always-2").exists(),
        "{:?}",
        same.requests
    );
    // One of another folder is.
    for folder in [&folders[0], &folders[2]] {
        let mut other = world.look(&create(&world.browser, folder).await, None).await;
        asked_and_answered(&mut other, "one", "touch always-3", "reject").await;
        assert!(!folder.join("always-3").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn code_in_one_of_the_folders_is_not_run_whichever_one_is_used() {
    let (world, folders) = with_folders().await;
    let mark = world.start.folder().join("plugin-ran");
    let code = folders[2].join(".opencode/plugin/x.js");
    fs::create_dir_all(code.parent().unwrap()).unwrap();
    fs::write(
        &code,
        format!("import fs from 'node:fs'; fs.writeFileSync({mark:?}, ''); export const X = async () => ({{}});"),
    )
    .unwrap();
    // In the folder that has it, and in the one that has not: nothing is asked of opencode meanwhile.
    for folder in &folders[1..] {
        let (status, body) = world
            .browser
            .ask("POST", "/api/v1/sessions", json!({ "workspace": folder }))
            .await;
        assert!(status >= 400, "{body}");
        let why = body.to_string();
        for words in [
            "third/.opencode/plugin/x.js exists",
            "delete or move it",
            "`workspaces`",
        ] {
            assert!(why.contains(words), "{words}: {why}");
        }
    }
    fs::remove_file(&code).unwrap();
    create(&world.browser, &folders[2]).await;
    assert!(!mark.exists());
}
