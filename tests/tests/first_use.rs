//! What somebody reads who configures Nexus for the first time and gets it wrong: where it is, and what to do.

use nexus_tests::browser::Browser;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use serde_json::Value;
use std::fs;

const ECHO: &str = "[web]\nlisten = \"127.0.0.1:0\"\n[chat.main]\nplugin = \"chat-echo\"\n";

/// The exit code, and all that a command printed.
fn run(start: &Start, args: &[&str]) -> (Option<i32>, String) {
    let output = start.run(args, &[], "");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word}:\n{said}");
    }
}

#[test]
fn project_folders_that_do_not_exist_are_each_reported_once_with_their_line_and_found_once_they_are_made() {
    let start = Start::new();
    let gone = ["gone", "lost"].map(|name| start.folder().join(name));
    let start = start.config(format!("{ECHO}workspaces = [{:?},\n{:?}]\n", gone[0], gone[1]));
    let places = ["nexus.toml:6:", "nexus.toml:7:"];
    let missing = gone
        .each_ref()
        .map(|path| format!("the workspace {} does not exist", path.display()));
    let make = gone
        .each_ref()
        .map(|path| format!("run `mkdir -p {}`, or correct the path", path.display()));
    for command in [&["config", "check"][..], &["doctor"]] {
        let (code, said) = run(&start, command);
        assert_ne!(code, Some(0), "{said}");
        says(&said, &places);
        says(&said, &["found: nothing is there", "expected: a folder that exists"]);
        for words in missing.iter().chain(&make) {
            assert_eq!(said.matches(words.as_str()).count(), 1, "{words}:\n{said}");
        }
    }
    let nexus = start.up();
    let status = || run(&start, &["status"]).1;
    let said = wait::seen("the chat has failed", status, |said| said.contains("not running: "));
    says(
        &said,
        &[
            "nexus.toml:6)",
            "nexus.toml:7)",
            "Then run `nexus chat start",
            "if you change the configuration instead, restart Nexus",
        ],
    );
    for folder in &gone {
        fs::create_dir(folder).unwrap();
    }
    let (code, said) = run(&start, &["chat", "start"]);
    assert_eq!(code, Some(0), "{said}");
    stop(nexus);
}

#[test]
fn project_folders_that_the_backend_does_not_use_are_mentioned() {
    let start = Start::new();
    let other = start.folder().join("other");
    fs::create_dir(&other).unwrap();
    let start = start.config(format!("{ECHO}workspaces = [{other:?}]\n"));
    for command in [&["config", "check"][..], &["doctor"]] {
        let (code, said) = run(&start, command);
        assert_eq!(code, Some(0), "{said}");
        says(
            &said,
            &[
                "chat-echo works in one project folder only",
                "`workspaces`",
                "To fix: remove `workspaces`",
                "nexus.toml",
            ],
        );
    }
    let (_, said) = run(&start.config(ECHO), &["config", "check"]);
    assert!(!said.contains("project folder"), "{said}");
}

#[test]
fn a_trace_without_a_nexus_and_a_tunnel_without_a_table_say_what_to_do() {
    let start = Start::new().config(ECHO);
    let (code, said) = run(&start, &["trace", "--seconds", "1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("Nexus is not running") && !said.contains("tracing"),
        "{said}"
    );
    let nexus = start.up();
    for command in [&["tunnel", "start", "home"][..], &["tunnel", "list"]] {
        let (_, said) = run(&start, command);
        says(
            &said,
            &[
                "To fix: add these lines to",
                "nexus.toml",
                "choose Apply on the status page or restart Nexus",
                "[tunnel.",
            ],
        );
    }
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_a_wrong_name_says_where_the_right_ones_are() {
    let start = Start::new().config(ECHO);
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    nexus_tests::world::ready_example(&browser).await;
    let (_, made) = browser.ask("POST", "/api/v1/sessions", serde_json::json!({})).await;
    let session = made["id"].as_str().unwrap();
    let prompts = format!("/api/v1/sessions/{session}/prompts");
    let prompt = |more: Value| {
        let mut prompt = serde_json::json!({ "client_id": "a" });
        prompt
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        prompt
    };
    let folder = serde_json::json!({ "workspace": "/etc" });
    for (method, path, body, status, words) in [
        (
            "GET",
            "/api/v1/sessions/none",
            Value::Null,
            404,
            "`GET /api/v1/sessions`",
        ),
        (
            "GET",
            "/api/v1/sessions/none/parts/x",
            Value::Null,
            404,
            "`GET /api/v1/sessions/{session}`",
        ),
        ("GET", "/api/v1/tunnels/none", Value::Null, 404, "`GET /api/v1/tunnels`"),
        (
            "POST",
            &prompts,
            prompt(serde_json::json!({ "command": { "name": "none" } })),
            409,
            "`GET /api/v1/backend/commands`",
        ),
        (
            "POST",
            &prompts,
            prompt(serde_json::json!({ "text": "a", "agent": "x" })),
            409,
            "without `agent`",
        ),
        ("POST", "/api/v1/sessions", folder, 409, "leave `workspace` out."),
        (
            "GET",
            "/api/v1/status?verbose=1",
            Value::Null,
            400,
            "unknown key \"verbose\"",
        ),
        (
            "GET",
            "/api/v1/log?line=3",
            Value::Null,
            400,
            "Known keys: `plugin`, `tunnel`, `lines`",
        ),
        (
            "POST",
            "/api/v1/backend/start?now",
            Value::Null,
            400,
            "this operation has no query",
        ),
        ("GET", "/api/v1/openapi.json?x=1", Value::Null, 400, "unknown key"),
    ] {
        let (answered, problem) = browser.ask(method, path, body).await;
        assert_eq!(answered, status, "{method} {path}: {problem}");
        says(problem["detail"].as_str().unwrap(), &[words]);
    }
    let (status, lines) = browser.ask("GET", "/api/v1/log?lines=3", Value::Null).await;
    assert_eq!(status, 200, "{lines}");
    stop(nexus);
}
