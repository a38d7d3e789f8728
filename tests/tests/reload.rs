//! The configuration's file is edited while Nexus runs.

use nexus_tests::bore::Server;
use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::guests::builtin;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::{action, chats, stop, tunnel, watch};
use nexus_tests::wait;
use nexus_tests::world::World;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};

fn edit(start: &Start, text: &str) {
    fs::write(start.folder().join("nexus.toml"), format!("config_version = 1\n{text}")).unwrap();
}

/// What the file says that does not count, once it is as `takes` wants it.
async fn pending(owner: &Browser, takes: impl Fn(&Value) -> bool) -> Value {
    let pending = async || {
        let file: Value = owner.get("/api/v1/config").await.json().await.unwrap();
        file["pending"].clone()
    };
    wait::seen_async("the file is read", pending, takes).await
}

async fn apply(owner: &Browser) {
    let answer = owner.submit_on("/status", "/status/config/apply", &[]).await;
    assert_eq!(answer.headers()["location"], "/status");
}

fn keys(changes: &Value) -> Vec<&str> {
    let changes = changes.as_array().unwrap();
    changes.iter().map(|change| change["key"].as_str().unwrap()).collect()
}

async fn lines_until(nexus: &Nexus, text: &str) {
    nexus.line(text, |line| line.contains(text).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn a_tunnel_moves_to_a_plugin_that_the_file_did_not_have_once_that_is_confirmed() {
    let server = Server::start(None);
    let before = format!(
        "{}[plugin.chat-echo.config]\npause = 1\n",
        server.config("public_check = \"off\"")
    );
    let start = Start::new().config(&before);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    let old = tunnel(&owner, |t| t["state"] == "up").await["url"].clone();

    let after = format!(
        "{}[plugin.bore-too]\nsource = {:?}\nconfig.server = \"{}\"\ngrants.process.bore.path = {:?}\n[log]\nfilter = \
         \"debug\"\n[web]\nhosts = [\"nexus.example\"]\n",
        before.replace("plugin = \"tunnel-bore\"", "plugin = \"bore-too\""),
        builtin("tunnel-bore"),
        server.address,
        nexus_tests::part("NEXUS_TEST_BORE"),
    );
    edit(&start, &after);
    let shown = pending(&owner, |pending| !pending.is_null()).await;
    assert!(keys(&shown["confirm"]).contains(&"tunnel.home.plugin"), "{shown}");
    assert_eq!(keys(&shown["restart"]), ["web.hosts"], "{shown}");
    lines_until(&nexus, "the configuration changed").await;
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(
        page.contains("<code>tunnel.home.plugin</code> was <code>&#34;tunnel-bore&#34;</code>"),
        "{page}"
    );
    assert_eq!(
        tunnel(&owner, |_| true).await["plugin"],
        "tunnel-bore",
        "an edit alone moves nothing"
    );
    // The file says what `start` would write, so that asking does not change it.
    let start = start.config(&after);
    let status = start.run(&["status"], &[], "");
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(
        said.contains("tunnel.home.plugin: \"tunnel-bore\" → \"bore-too\"") && said.contains("at the next start"),
        "{said}"
    );

    let mut live = watch(&owner).await;
    apply(&owner).await;
    let moved = live
        .until(|f| {
            f["type"] == "status" && f["tunnels"][0]["plugin"] == "bore-too" && f["tunnels"][0]["swap"].is_null()
        })
        .await;
    assert_ne!(moved.last().unwrap()["tunnels"][0]["url"], old);
    let left = pending(&owner, |p| {
        !p["applying"].as_bool().unwrap_or(true) && keys(&p["confirm"]).is_empty()
    })
    .await;
    assert_eq!(keys(&left["restart"]), ["web.hosts"]);
    let url = tunnel(&owner, |t| t["state"] == "up").await["url"].clone();
    let there = Browser::new(url.as_str().unwrap());
    assert!(there.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    chats(&there).await;
    let status = start.run(&["status"], &["--json"], "");
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["pending"]["state"], "changed", "{status}");
    stop(nexus);

    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    assert_eq!(tunnel(&owner, |t| t["state"] == "up").await["plugin"], "bore-too");
    assert_eq!(pending(&owner, |_| true).await, Value::Null);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_socket_confirms_nothing_and_a_broken_file_is_not_applied() {
    let before = "[chat.main]\nplugin = \"chat-echo\"\n";
    let start = Start::new().config(before);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    edit(
        &start,
        &format!("{before}[plugin.tunnel-ssh.config]\nservice = \"localhost.run\"\n"),
    );
    let shown = pending(&owner, |pending| !pending.is_null()).await;
    let socket = start.data_dir().join("control.sock");
    let body = format!("{{\"id\":{}}}", shown["id"]);
    let request = format!(
        "POST /api/v1/config/apply HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("login from the last five minutes"),
        "{answer}"
    );
    edit(&start, &before.replace("chat-echo", "chat-nowhere"));
    let broken = pending(&owner, |pending| pending["state"] == "invalid").await;
    let why = broken["cause"].as_str().unwrap();
    assert!(why.contains("nexus.toml:3:") && why.contains("chat-nowhere"), "{why}");
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(
        page.contains(">Invalid<") && !page.contains("/status/config/apply"),
        "{page}"
    );
    edit(&start, before);
    pending(&owner, Value::is_null).await;
    chats(&owner).await;
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_backend_gets_other_limits_between_two_answers_and_the_conversation_goes_on() {
    let mut world = World::up("").await;
    let opencode = world.opencode_pid();
    let mut chat = world.conversation().await;
    chat.prompt("[[text n=60 rate=20 size=6]]").await;
    chat.until("it streams", |c| c.answer().len() > 30).await;
    let file = world.start.folder().join("nexus.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        format!("{text}\n[plugin.chat-opencode.limits]\nmemory = \"200 MiB\"\n"),
    )
    .unwrap();
    let owner = world.browser.clone();
    let shown = pending(&owner, |pending| !pending.is_null()).await;
    assert_eq!(keys(&shown["confirm"]), ["plugin.chat-opencode.limits.memory"]);
    apply(&owner).await;
    chat.until_idle().await;
    assert_eq!(
        (chat.answer().len(), chat.interrupted()),
        (60 * 6, false),
        "the answer that ran is whole"
    );
    pending(&owner, Value::is_null).await;
    world.ready().await;
    assert!(!nexus_tests::processes::alive(opencode), "its processes were restarted");
    let details: Value = owner.get("/api/v1/plugins/details").await.json().await.unwrap();
    let chats: Vec<_> = details
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| p["name"] == "chat-opencode")
        .collect();
    assert!(
        chats.len() == 1 && chats[0].to_string().contains("200 MiB of memory"),
        "{details}"
    );
    chat.prompt("[[say and on it goes]]").await;
    chat.until("it goes on", |c| c.answer().contains("and on it goes"))
        .await;
    stop(world.nexus);
}
