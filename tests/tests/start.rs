//! What keeps Nexus from starting, or the backend from being used, is said in words; and the names that scripts use.

use nexus_tests::browser::Browser;
use nexus_tests::nexus::{Start, binary};
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";

fn start() -> Start {
    Start::new().config(ECHO)
}

/// `nexus …` on its own: (exit code, stdout, stderr).
fn nexus(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The first state of the backend that `takes` it.
async fn backend(browser: &Browser, takes: impl Fn(&Value) -> bool) -> Value {
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    let frames = socket
        .until(|frame| frame["type"] == "backend" && takes(&frame["backend"]))
        .await;
    frames.last().unwrap()["backend"].clone()
}

/// A built-in component's file in the repository.
fn component(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../host/builtin/{name}.wasm"))
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = start().arg("--listen").arg(&address).refused();
    assert_eq!(code, Some(1), "{said}");
    for word in [address.as_str(), "stop the program", "--listen 127.0.0.1:0"] {
        assert!(said.contains(word), "{word:?} is missing:\n{said}");
    }
    assert!(!said.contains("out "), "stdout is for the readiness line:\n{said}");
}

#[test]
fn a_second_nexus_on_the_same_data_names_the_first() {
    let start = start();
    let first = start.up();
    let (code, said) = start.refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&first.url), "{said}");
    assert!(said.contains(&first.pid().to_string()), "{said}");
    stop(first);
    // The lock ends with its process, however that ends.
    let mut second = start.up();
    second.kill();
    assert!(second.survivors().is_empty());
    stop(start.up());
}

#[test]
fn an_address_open_to_the_network_needs_a_word_of_the_operator() {
    let (code, said) = start().arg("--listen").arg("0.0.0.0:0").refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("insecure_listen = true"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readiness_line_stands_alone_on_stdout_and_healthz_tells_scripts_what_runs() {
    let nexus = start().up();
    let browser = Browser::set_up(&nexus).await;
    backend(&browser, |b| b["state"] == "up").await;
    assert_eq!(nexus.stdout(), [format!("nexus listening on {}", nexus.url)]);
    let port = nexus.url.strip_prefix("http://127.0.0.1:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
    // Without a login.
    let health: Value = Browser::new(&nexus.url).get("/healthz").await.json().await.unwrap();
    let mut keys: Vec<_> = health.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["plugins", "status", "version"]);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let plugins = health["plugins"].as_array().unwrap();
    let kinds: Vec<_> = plugins
        .iter()
        .map(|p| {
            (
                p["name"].as_str().unwrap(),
                p["kind"].as_str().unwrap(),
                p["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(kinds.contains(&("auth-local", "auth", "running")), "{kinds:?}");
    assert!(kinds.contains(&("chat-echo", "chat", "running")), "{kinds:?}");
    assert!(
        plugins
            .iter()
            .all(|p| p["version"].as_str().is_some_and(|v| v.split('.').count() == 3))
    );
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_missing_opencode_is_reported_replaced_by_the_example_and_used_once_it_is_there() {
    let bin = tempfile::tempdir().unwrap();
    for tool in ["git", "sh", "rg", "env", "uname"] {
        let path = Command::new("which").arg(tool).output().unwrap();
        if path.status.success() {
            symlink(String::from_utf8(path.stdout).unwrap().trim(), bin.path().join(tool)).unwrap();
        }
    }
    symlink(nexus_tests::part("NEXUS_TEST_NODE"), bin.path().join("node")).unwrap();
    let llm = nexus_tests::llm::Llm::start().await;
    let start = Start::new();
    let opencode = nexus_tests::opencode::Opencode::prepare(start.folder(), &llm.url());
    let config = format!("[chat.main]\nworkspace = {:?}\n", opencode.project);
    let start = start
        .config(config)
        .envs(&opencode.env)
        .env("PATH", bin.path().to_str().unwrap());
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    let example = backend(&browser, |b| b["state"] == "up").await;
    assert_eq!(example["example"], true);
    assert_eq!(example["missing"]["title"], "opencode");
    let missing = format!("{} To fix: {}", example["missing"]["cause"], example["missing"]["fix"]);
    assert!(missing.contains("nexus setup opencode"), "{missing}");
    for page in ["/", "/status"] {
        let html = browser.get(page).await.text().await.unwrap();
        assert!(
            html.contains("without a model"),
            "{page} does not say that it is an example:\n{html}"
        );
    }
    // Somebody installs it.
    let tools = start.data_dir().join("tools/bin");
    fs::create_dir_all(&tools).unwrap();
    let begin = Instant::now();
    symlink(fs::canonicalize(&opencode.binary).unwrap(), tools.join("opencode")).unwrap();
    let real = backend(&browser, |b| b["state"] == "up" && b["example"] == false).await;
    println!(
        "opencode was used {:.1} s after it appeared",
        begin.elapsed().as_secs_f64()
    );
    assert_eq!(real["missing"], Value::Null);
    assert_eq!(real["version"], nexus_tests::opencode::VERSION);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opencode_that_is_too_old_or_another_program_is_reported() {
    for (prints, said) in [
        ("echo 1.0.0", "opencode 1.0.0 is too old: 1.2.1 or newer is required"),
        ("echo 2.0.0", "has another interface"),
        ("echo a game called opencode", "opencode"),
        ("exit 3", "opencode"),
    ] {
        let start = Start::new();
        let old = start.folder().join("opencode");
        fs::write(&old, format!("#!/bin/sh\n{prints}\n")).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        let start = start.config(format!(
            "[plugin.chat-opencode.grants.process.opencode]\npath = {old:?}\n"
        ));
        let nexus = start.up();
        let browser = Browser::set_up(&nexus).await;
        let example = backend(&browser, |b| b["state"] == "up" && !b["missing"].is_null()).await;
        assert_eq!(example["example"], true);
        let missing = format!("{} To fix: {}", example["missing"]["cause"], example["missing"]["fix"]);
        assert!(missing.contains(said), "{prints}: {missing}");
        stop(nexus);
    }
}

#[test]
fn a_broken_configuration_is_refused_with_file_line_and_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("n.toml");
    let path = file.to_str().unwrap();
    for (text, place, words) in [
        (
            "config_version = 1\n[web]\nlisten = 7860\n",
            ":3:",
            &["listen", "127.0.0.1:7860"][..],
        ),
        (
            "config_version = 1\n[chat.main]\nplugin = \"chat-opencod\"\n",
            ":3:",
            &["chat-opencode"],
        ),
        (
            "config_version = 1\n[web]\nlistn = \"127.0.0.1:1\"\n",
            ":3:",
            &["`listn`", "listen"],
        ),
        ("config_version = 1\n[web\n", ":2:", &[]),
        ("config_version = 9\n", ":1:", &["9", "1"]),
        (
            "config_version = 1\n[tunnel.a]\nplugin = \"auth-local\"\n",
            ":3:",
            &["auth", "tunnel"],
        ),
    ] {
        fs::write(&file, text).unwrap();
        let (code, out, err) = nexus(&["config", "check", path]);
        assert_eq!(code, Some(2), "{text}\n{out}{err}");
        assert!(err.contains(&format!("{path}{place}")), "{text}\n{err}");
        for word in words {
            assert!(err.contains(word), "{word:?} is missing for {text}\n{err}");
        }
        assert_eq!(out, "");
        // `up` says the same.
        let (code, _, up) = nexus(&["up", "--config", path, "--data-dir", folder.path().to_str().unwrap()]);
        assert_eq!((code, up.as_str()), (Some(2), err.as_str()));
    }
    fs::write(&file, "config_version = 1\n").unwrap();
    let (code, out, err) = nexus(&["config", "check", path]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("is valid"), "{out}");
    let (code, _, err) = nexus(&["config", "check", "/nowhere/nexus.toml"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("/nowhere/nexus.toml"), "{err}");
    assert_eq!(nexus(&["--nonsense"]).0, Some(2));
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_the_chmod_to_run_and_only_its_tunnel_fails() {
    let start = Start::new();
    let secret = start.folder().join("bore.secret");
    fs::write(&secret, "the-secret-value").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let start = start.config(format!(
        "{ECHO}[tunnel.home]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
         [plugin.tunnel-bore.secrets]\nsecret = {{ file = {secret:?} }}\n"
    ));
    // The tunnel's plugin is loaded while the page is there already.
    let nexus = start.up();
    nexus.line("what to run", |line| line.contains("chmod 600").then_some(()));
    let said = stop(nexus);
    assert!(said.contains("bore.secret"), "{said}");
    assert!(!said.contains("the-secret-value"), "{said}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let nexus = start.up();
    // It is opened: what comes of it (no bore is named here) is said without the secret too.
    let command = start.run(&["tunnel", "start"], &["home"], "");
    let said = format!("{}{}", stop(nexus), String::from_utf8_lossy(&command.stderr));
    assert!(!said.contains("chmod"), "{said}");
    assert!(!said.contains("the-secret-value"), "{said}");
}

#[test]
fn a_damaged_component_is_reported_by_each_check() {
    let good = fs::read(component("chat-echo")).unwrap();
    let start = Start::new();
    let file = start.folder().join("mine.wasm");
    let start = start.config(format!(
        "[chat.main]\nplugin = \"mine\"\n[plugin.mine]\nsource = {file:?}\n"
    ));
    for (bytes, why) in [
        (&good[..good.len() / 2], "damaged"),
        (b"\x7fELF\x02\x01\x01 not a component", "damaged"),
        (b"", "damaged"),
    ] {
        fs::write(&file, bytes).unwrap();
        let output = start.run(&["config", "check"], &[], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("mine.wasm") && said.contains(why), "{why}: {said}");
        let (code, out, _) = nexus(&["plugin", "check", file.to_str().unwrap(), "--json"]);
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &out["ok"]), (Some(1), &json!(false)));
        assert!(out["cause"].as_str().unwrap().contains("mine.wasm"), "{out}");
    }
}

#[test]
fn a_damaged_cache_file_is_refused_and_made_again() {
    let start = start().cold();
    let cache = start.data_dir().join("cache/wasm");
    // The chat's plugin is compiled while the page is there already.
    let cached = || -> Vec<std::path::PathBuf> {
        let files = fs::read_dir(&cache).unwrap().map(|e| e.unwrap().path());
        files.filter(|f| f.extension().is_some_and(|e| e == "cwasm")).collect()
    };
    let nexus = start.up();
    wait::seen("both plugins are cached", cached, |files| files.len() >= 2);
    stop(nexus);
    let files = cached();
    let before: Vec<_> = files.iter().map(|f| fs::read(f).unwrap()).collect();
    let damage = |bytes: &Vec<u8>| {
        let mut bytes = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        bytes
    };
    let damaged: Vec<_> = before.iter().map(damage).collect();
    for (file, bytes) in files.iter().zip(&damaged) {
        fs::write(file, bytes).unwrap();
    }
    let nexus = start.up();
    wait::until("both files are made again", || {
        let now = |file| fs::read(file).unwrap_or_default();
        files.iter().zip(&damaged).all(|(file, bytes)| now(file) != *bytes)
    });
    let said = stop(nexus);
    assert!(said.contains("damaged"), "{said}");
    for (file, bytes) in files.iter().zip(&before) {
        assert_eq!(fs::read(file).unwrap().len(), bytes.len());
    }
    let said = stop(start.up());
    assert!(!said.contains("damaged"), "{said}");
    fs::remove_dir_all(&cache).unwrap();
    stop(start.up());
}

#[test]
fn plugins_are_listed_described_and_checked_for_scripts() {
    let (code, out, err) = nexus(&["plugin", "list", "--json"]);
    assert_eq!(code, Some(0), "{err}");
    let list: Value = serde_json::from_str(&out).unwrap();
    let row = |name: &str| {
        list["plugins"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["name"] == name)
            .cloned()
            .unwrap()
    };
    for (name, kind) in [
        ("auth-local", "auth"),
        ("chat-echo", "chat"),
        ("chat-opencode", "chat"),
        ("tunnel-bore", "tunnel"),
    ] {
        assert_eq!(row(name)["kind"], kind);
        let (code, out, _) = nexus(&["plugin", "info", name, "--json"]);
        let info: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &info["sha256"]), (Some(0), &row(name)["sha256"]));
        let (code, out, _) = nexus(&["plugin", "check", component(name).to_str().unwrap(), "--json"]);
        let check: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (code, &check["ok"], &check["name"]),
            (Some(0), &json!(true), &json!(name))
        );
    }
    let (code, out, _) = nexus(&["plugin", "info", "chat-opencode"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("run opencode"), "{out}");
    let (code, _, err) = nexus(&["plugin", "info", "chat-opencod"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("chat-opencode"), "{err}");
}

/// opencode says nothing until it is ready; what it waits for may never come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_start_that_takes_long_says_what_it_may_be() {
    use nexus_tests::opencode::{Opencode, VARIABLE};
    let llm = nexus_tests::llm::Llm::start().await;
    let start = Start::new();
    let slow = start.folder().join("slow-opencode");
    let real = nexus_tests::part(VARIABLE);
    let script = format!("#!/bin/sh\n[ \"$1\" = serve ] && sleep 14\nexec {real:?} \"$@\"\n");
    fs::write(&slow, script).unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let opencode = Opencode::with_binary(slow, start.folder(), &llm.url());
    let config = format!(
        "[chat.main]\nplugin = \"chat-opencode\"\nworkspace = {:?}\n\
         [plugin.chat-opencode.grants.process.opencode]\npath = {:?}\ninherit_env = true\n",
        opencode.project, opencode.binary
    );
    let nexus = start.config(config).envs(&opencode.env).up();
    let browser = Browser::set_up(&nexus).await;
    let mut socket = browser.socket("/live").await.unwrap();
    socket.send(&json!({"type": "hello", "protocol": 3})).await;
    let what = |frame: &Value| frame["backend"]["progress"].as_str().unwrap_or_default().to_owned();
    let said = socket.until(|frame| what(frame).contains("is not ready")).await;
    let said = what(said.last().unwrap());
    assert!(said.contains("registry") && said.contains("MCP server"), "{said}");
    nexus_tests::world::ready(&browser).await;
}
