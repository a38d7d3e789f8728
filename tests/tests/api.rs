//! `/api/v1` and the commands that use it, against the real Nexus.

use nexus_tests::bore::Server;
use nexus_tests::browser::Browser;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use nexus_tests::world::{World, ready};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Asks on the control socket: the status and the body.
pub(crate) fn operator(data_dir: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut socket = UnixStream::connect(data_dir.join("control.sock")).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: nexus\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // It may have answered and hung up before it read the body.
    let _ = socket.write_all(request.as_bytes());
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn run(start: &Start, args: &[&str]) -> (Option<i32>, String, String) {
    let output = start.run(args, &[], "");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn echo(more: &str) -> (Start, Nexus, Browser) {
    let start = Start::new().config(format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[plugin.chat-echo.config]\npause = 1\n{more}"
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    (start, nexus, browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_converses_and_learns_what_it_did_wrong() {
    let (start, nexus, owner) = echo("").await;
    let data = start.data_dir();
    let ask =
        |method: &str, path: &str, body: Value| operator(&data, method, &format!("/api/v1{path}"), &body.to_string());
    let get = |path: &str| operator(&data, "GET", &format!("/api/v1{path}"), "");
    wait::seen("the backend is up", || get("/backend").1, |b| b["state"] == "up");
    let (status, session) = ask("POST", "/sessions", json!({ "title": "from a script" }));
    assert_eq!(status, 201, "{session}");
    let id = session["id"].as_str().unwrap();
    let prompt = json!({ "client_id": "script-1", "text": "one two three" });
    let (status, first) = ask("POST", &format!("/sessions/{id}/prompts"), prompt.clone());
    assert_eq!((status, &first["duplicate"]), (202, &json!(false)), "{first}");
    let (status, again) = ask("POST", &format!("/sessions/{id}/prompts"), prompt);
    assert_eq!(
        (status, &again["duplicate"]),
        (202, &json!(true)),
        "the same id is admitted once"
    );
    let state = || get(&format!("/sessions/{id}"));
    let (status, whole) = wait::seen("the turn is over", state, |(status, state)| {
        *status != 200 || state["turn"]["state"] == "idle" && state["messages"].as_array().unwrap().len() == 2
    });
    assert_eq!(status, 200, "{whole}");
    assert!(whole["messages"][1].to_string().contains("one two three"), "{whole}");
    let (status, _) = ask("PATCH", &format!("/sessions/{id}"), json!({ "title": "renamed" }));
    assert_eq!(status, 204);
    // The list follows what is written.
    wait::seen(
        "it has its new name",
        || get("/sessions").1,
        |list| list[0]["title"] == "renamed",
    );

    for (method, path, body, expected, words) in [
        ("POST", "/sessions", "{", 400, "The body is not valid"),
        ("POST", "/sessions", "{\"tittle\": \"x\"}", 400, "tittle"),
        ("POST", "/sessions/none/cancel", "{}", 404, "does not exist"),
        ("PATCH", "/sessions/none", "{\"title\": \" \"}", 409, "title"),
        ("GET", "/tunnels/none", "", 404, "Configured tunnels: none"),
        (
            "POST",
            "/backend/swap",
            "{\"plugin\": \"chat-none\"}",
            409,
            "[plugin.chat-none]",
        ),
        ("POST", "/backend/swap", "{\"plugin\": \"chat-echo\"}", 409, "already"),
        ("DELETE", "/status", "", 405, "Method not allowed"),
        ("GET", "/nowhere", "", 404, "openapi.json"),
    ] {
        let (status, problem) = operator(&data, method, &format!("/api/v1{path}"), body);
        assert_eq!(status, expected, "{method} {path}: {problem}");
        assert_eq!(problem["status"], expected, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
    let (status, _) = ask("DELETE", &format!("/sessions/{id}"), json!({}));
    assert_eq!(status, 204);
    assert_eq!(get(&format!("/sessions/{id}")).0, 404);
    let page = owner.get(&format!("/s/{id}")).await;
    assert_eq!(page.status(), 404, "what is deleted is no page");
    assert!(page.text().await.unwrap().contains("No such chat"));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_describes_every_path_and_the_pages_need_a_login() {
    let (start, nexus, owner) = echo("").await;
    let mode = std::fs::metadata(start.data_dir().join("control.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let stranger = Browser::new(&nexus.url);
    let document: Value = stranger.get("/api/v1/openapi.json").await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15);
    let words = document.to_string();
    for (path, operations) in paths {
        let path = path
            .replace("{session}", "none")
            .replace("{name}", "none")
            .replace("{request}", "none");
        for (method, operation) in operations.as_object().unwrap() {
            let (status, answer) = operator(&start.data_dir(), &method.to_uppercase(), &path, "{}");
            let documented = operation["responses"].as_object().unwrap();
            assert!(
                documented.contains_key(&status.to_string()),
                "{method} {path}: {status} {answer}"
            );
        }
        // Without a login there is nothing but the document; with one, and of the page's own Origin, all of it.
        let status = match path.as_str() {
            "/api/v1/openapi.json" => 200,
            // The control socket's alone.
            "/api/v1/trace" => 404,
            _ => 401,
        };
        assert_eq!(stranger.get(&path).await.status(), status, "{path}");
    }
    for name in words
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let mine: Value = owner.get("/api/v1/status").await.json().await.unwrap();
    assert_eq!(mine["backend"]["plugin"], "chat-echo");
    let foreign = owner.post_from("https://evil.example", "/api/v1/backend/stop").await;
    assert_eq!(foreign.status(), 403);
    let own = owner.post_from(&nexus.url, "/api/v1/backend/stop").await;
    assert_eq!(own.status(), 200);
    assert_eq!(own.json::<Value>().await.unwrap()["state"], "stopped");
    let page = owner.get("/").await.text().await.unwrap();
    assert!(page.contains("is stopped"), "{page}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn the_command_line_starts_swaps_and_stops_a_tunnel_and_the_backend() {
    let server = Server::start(None);
    let start = Start::new().config(server.config(""));
    let (code, _, words) = run(&start, &["status"]);
    assert_eq!(code, Some(1));
    assert!(
        words.contains("Nexus is not running with") && words.contains("nexus up"),
        "{words}"
    );
    let nexus = start.up();
    let (code, said, _) = run(&start, &["tunnel", "start", "home"]);
    assert!(code == Some(0) && said.contains("nexus user add"), "{said}");
    let _owner = Browser::set_up(&nexus).await;
    let (code, said, words) = run(&start, &["tunnel", "start", "home"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(
        said.contains(&format!("home is open at http://{}:", server.address)),
        "{said}"
    );
    let (code, _, words) = run(&start, &["tunnel", "swap", "home", "tunnel-nowhere"]);
    assert!(code == Some(1) && words.contains("[plugin.tunnel-nowhere]"), "{words}");
    let (_, said, _) = run(&start, &["status"]);
    assert!(
        said.contains("home by tunnel-bore, open at") && said.contains("Echo"),
        "{said}"
    );
    let (code, said, _) = run(&start, &["tunnel", "list", "--json"]);
    let list: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &list[0]["state"]), (Some(0), &json!("up")), "{said}");
    assert_eq!(run(&start, &["tunnel", "stop", "home"]).0, Some(0));
    assert!(
        run(&start, &["tunnel", "list"])
            .1
            .contains("home by tunnel-bore, closed")
    );
    let (code, said, words) = run(&start, &["chat", "restart"]);
    assert!(code == Some(0) && said.contains("running"), "{said}{words}");
    let (code, said, _) = run(&start, &["status", "--json"]);
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &status["backend"]["state"]), (Some(0), &json!("up")));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn what_the_agent_runs_does_not_command_its_host() {
    let world = World::up("").await;
    let nexus = nexus_tests::nexus::binary();
    let data = world.start.data_dir();
    let file = world.start.folder().join("nexus.toml");
    // From outside it is answered.
    assert_eq!(run(&world.start, &["status"]).0, Some(0));
    let command = format!(
        "{} status --config {} --data-dir {} 2>&1; echo ended with $?",
        nexus.display(),
        file.display(),
        data.display()
    );
    let mut chat = world.conversation().await;
    chat.prompt(&format!(
        "[[tool name=bash args={}]]",
        json!({ "command": command, "description": "look" })
    ))
    .await;
    chat.until("it asks", |c| {
        !c.requests.is_empty() || c.turn == "idle" && !c.tools.is_empty()
    })
    .await;
    if let Some(ask) = chat.requests.keys().next().cloned() {
        chat.request("reply", json!({ "request": ask, "answer": { "type": "once" } }))
            .await;
    }
    chat.until("the tool has run", |c| {
        c.tools.values().any(|tool| tool["state"] == "completed")
    })
    .await;
    let output = chat.tools.values().next().unwrap()["output"].to_string();
    assert!(
        output.contains("ended with 1")
            && output.contains("processes of the agent must not act for the operator")
            && !output.contains("workspace"),
        "{output}"
    );
    let log = world.nexus.output();
    assert!(
        log.contains("processes of the agent must not act for the operator"),
        "{log}"
    );
    ready(&world.browser).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn the_chat_is_given_to_another_plugin_and_back_and_an_answer_that_runs_is_finished() {
    let mut world = World::up("").await;
    let opencode = world.opencode_pid();
    let mut chat = world.conversation().await;
    chat.prompt("[[text n=60 rate=20 size=6]]").await;
    chat.until("it streams", |c| c.answer().len() > 30).await;
    let start = world.start.clone();
    let swapping = tokio::task::spawn_blocking(move || run(&start, &["chat", "swap", "chat-echo"]));
    chat.until_idle().await;
    assert_eq!(chat.answer().len(), 60 * 6, "the answer that ran is whole");
    let (code, said, words) = swapping.await.unwrap();
    assert!(code == Some(0) && said.contains("Echo"), "{said}{words}");
    assert!(!nexus_tests::processes::alive(opencode));
    // What was said can be read, and is not continued by another.
    let whole = world.look(&chat.session, None).await;
    drop(whole);
    chat.socket
        .send(&json!({"type": "prompt", "session": chat.session, "client_id": "other-1", "text": "go on"}))
        .await;
    let refused = chat.frames_until(|f| f["client_id"] == "other-1").await;
    assert!(
        refused["cause"].as_str().unwrap().contains("belongs to chat-opencode"),
        "{refused}"
    );
    // After a restart it is as it was swapped; then back.
    world.kill_and_start_again().await;
    // It is loaded while the page is there already.
    let status = || run(&world.start, &["status"]).1;
    wait::seen("the example answers", status, |said| said.contains("Echo"));
    let (code, said, words) = run(&world.start, &["chat", "swap", "chat-opencode"]);
    assert!(code == Some(0) && said.contains("opencode"), "{said}{words}");
    world.ready().await;
    let mut again = world.look(&chat.session, None).await;
    again.until("all of it is there", |c| c.answer().len() == 60 * 6).await;
    let prompt =
        json!({"type": "prompt", "session": chat.session, "client_id": "after-1", "text": "[[say and on it goes]]"});
    again.socket.send(&prompt).await;
    again
        .until("it goes on", |c| c.answer().contains("and on it goes"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs schemathesis: ./tests/run"]
async fn schemathesis_finds_nothing() {
    let (_start, nexus, owner) = echo("[tunnel.main]\nplugin = \"tunnel-cloudflared\"\npublic_check = \"off\"\n").await;
    // It leaves a cache where it runs.
    let scratch = tempfile::tempdir().unwrap();
    // A prompt can be taken back while it waits, and is gone from there once it is sent.
    let options = "[[operations]]\ninclude-operation-id = \"take_back_prompt\"\nchecks.ensure_resource_availability.enabled = false\n";
    std::fs::write(scratch.path().join("schemathesis.toml"), options).unwrap();
    let output = Command::new(nexus_tests::part("NEXUS_TEST_SCHEMATHESIS"))
        .current_dir(scratch.path())
        .args([
            "run",
            "--no-color",
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--generation-database",
            "none",
        ])
        .args(["--request-timeout", "60", "--suppress-health-check", "all"])
        // While the backend is unavailable the others rightly say 503, which it would count as a fault.
        .args([
            "--exclude-operation-id",
            "stop_backend",
            "--exclude-operation-id",
            "restart_backend",
        ])
        // On the control socket alone.
        .args(["--exclude-operation-id", "trace"])
        .args(["--url", &nexus.url, "-H", &format!("Origin: {}", nexus.url)])
        .args(["-H", &format!("Cookie: {}", owner.cookies())])
        .arg(format!("{}/api/v1/openapi.json", nexus.url))
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!nexus.output().contains("panicked"), "{}", nexus.output());
    stop(nexus);
}
