//! How others hear of a running Nexus: metrics for Prometheus, and messages to an owner who is away.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use nexus_tests::bore::Server;
use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::{action, stop, tunnel};
use nexus_tests::{wait, write_with_mode};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ECHO: &str = "[chat.main]\nplugin = \"chat-echo\"\n";
const BOUND: Duration = Duration::from_secs(30);

/// The listening TCP ports of a process.
fn listeners(pid: u32) -> usize {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let sockets: BTreeSet<String> = links
        .filter_map(|fd| std::fs::read_link(fd.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|to| Some(to.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let listening = |table: &str| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let lines = table
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.filter(|f| f[3] == "0A" && sockets.contains(f[9])).count()
    };
    listening("tcp") + listening("tcp6")
}

/// Where the metrics are, as the log says it.
fn metrics_of(nexus: &Nexus) -> String {
    nexus.line("where the metrics are", |line| {
        let (_, url) = line.split_once("metrics on ")?;
        Some(url.split_whitespace().next()?.trim_matches('"').to_owned())
    })
}

type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<(Labels, f64)>,
}

/// Strict: one HELP and one TYPE before the samples of a family, which stand together; no series twice; every name, label
/// and value as the format 0.0.4 has it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families = BTreeMap::<String, Family>::new();
    let mut open: Option<(String, bool)> = None;
    let name_fits = |name: &str| {
        let first = name.chars().next().unwrap();
        (first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && name_fits(name), "{line}");
            assert!(!families.contains_key(name), "{name} is written in two places");
            families.insert(name.to_owned(), Family::default());
            open = Some((name.to_owned(), false));
            continue;
        }
        let (name, typed) = open.as_mut().unwrap_or_else(|| panic!("nothing is open: {line}"));
        let family = families.get_mut(name.as_str()).unwrap();
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (of, kind) = rest.split_once(' ').unwrap();
            assert!(of == name && !*typed, "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kind.clone_into(&mut family.kind);
            *typed = true;
            continue;
        }
        assert!(*typed, "a sample before its type: {line}");
        let rest = line
            .strip_prefix(name.as_str())
            .unwrap_or_else(|| panic!("not of {name}: {line}"));
        let (labels, value) = sample(rest);
        assert!(
            labels.keys().all(|label| name_fits(label) && !label.contains(':')),
            "{line}"
        );
        assert!(
            !family.samples.iter().any(|(other, _)| *other == labels),
            "twice: {line}"
        );
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        family.samples.push((labels, value));
    }
    assert!(families.values().all(|family| !family.samples.is_empty()));
    families
}

/// What follows the name: `{a="b"} 1`, or ` 1`.
fn sample(rest: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    let Some(mut rest) = rest.strip_prefix('{') else {
        return (labels, rest.strip_prefix(' ').unwrap());
    };
    loop {
        let (label, value) = rest.split_once("=\"").unwrap();
        let (mut text, mut chars) = (String::new(), value.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => text.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('"' | '\\') => c,
                    other => panic!("no escape: {other}"),
                }),
                (at, '"') => break at,
                (_, c) => text.push(c),
            }
        };
        assert!(labels.insert(label.to_owned(), text).is_none());
        rest = &value[end + 1..];
        if let Some(more) = rest.strip_prefix(',') {
            rest = more;
            continue;
        }
        return (labels, rest.strip_prefix("} ").unwrap());
    }
}

fn one(families: &BTreeMap<String, Family>, name: &str, label: &str, value: &str) -> f64 {
    let family = families.get(name).unwrap_or_else(|| panic!("no {name}"));
    let found = family
        .samples
        .iter()
        .filter(|(l, _)| l.get(label).is_some_and(|v| v == value));
    let found: Vec<f64> = found.map(|(_, value)| *value).collect();
    assert_eq!(found.len(), 1, "{name}{{{label}={value}}}: {family:?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_is_served_where_the_configuration_says_and_nowhere_without() {
    let off = Start::new().config(ECHO).up();
    assert_eq!(listeners(off.pid()), 1, "the page alone");
    let http = nexus_tests::http().build().unwrap();
    let page = http.get(format!("{}/metrics", off.url)).send().await.unwrap();
    assert_ne!(page.status(), 200, "the page has no statistics");
    stop(off);

    let config =
        "[metrics]\nlisten = \"127.0.0.1:0\"\n[tunnel.home]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n";
    let nexus = Start::new().config(format!("{ECHO}{config}")).up();
    let url = metrics_of(&nexus);
    assert_eq!(listeners(nexus.pid()), 2);
    let owner = Browser::set_up(&nexus).await;
    nexus_tests::tunnels::chats(&owner).await;
    let answer = http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(answer.headers().get("access-control-allow-origin").is_none());
    let text = answer.text().await.unwrap();
    let families = parse(&text);
    assert_eq!(
        one(&families, "nexus_build_info", "version", env!("CARGO_PKG_VERSION")),
        1.0
    );
    assert!(
        one(&families, "nexus_plugin_calls_total", "plugin", "auth-local") >= 2.0,
        "{text}"
    );
    assert!(
        one(&families, "nexus_plugin_calls_total", "plugin", "chat-echo") >= 3.0,
        "{text}"
    );
    assert!(
        one(&families, "nexus_plugin_events_total", "plugin", "chat-echo") >= 3.0,
        "{text}"
    );
    assert_eq!(one(&families, "nexus_plugin_calls_total", "tunnel", "home"), 0.0);
    // A password's hash takes tens of MiB and of milliseconds.
    assert!(
        one(&families, "nexus_plugin_memory_peak_bytes", "plugin", "auth-local") > 1e7,
        "{text}"
    );
    assert!(
        one(&families, "nexus_plugin_cpu_seconds_total", "plugin", "auth-local") > 0.005,
        "{text}"
    );
    assert_eq!(
        one(&families, "nexus_plugin_restarts_total", "plugin", "chat-echo"),
        0.0
    );
    assert_eq!(one(&families, "nexus_tunnel_up", "tunnel", "home"), 0.0);
    assert_eq!(one(&families, "nexus_chat_backend_up", "plugin", "chat-echo"), 1.0);
    assert_eq!(families["nexus_plugin_calls_total"].kind, "counter");
    let single = |name: &str| families[name].samples[0].1;
    assert_eq!((single("nexus_up"), single("nexus_sessions")), (1.0, 1.0));
    assert!(single("process_resident_memory_bytes") > 1e7 && single("process_open_fds") > 5.0);
    assert!(single("process_cpu_seconds_total") > 0.0 && single("process_start_time_seconds") > 1.6e9);
    // Nothing of what was said, and nobody's name.
    let named = [ACCOUNT, nexus_tests::browser::PASSWORD];
    assert!(!named.iter().any(|word| text.contains(word)), "{text}");
    // Nothing else is there, and no other site's page gets in.
    let status = |request: reqwest::RequestBuilder| async move { request.send().await.unwrap().status().as_u16() };
    assert_eq!(status(http.post(&url)).await, 405);
    assert_eq!(status(http.get(url.replace("/metrics", "/status"))).await, 404);
    assert_eq!(status(http.get(&url).header("host", "rebound.example")).await, 421);
    let head = http.head(&url).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.unwrap().is_empty());
    // A counter does not go back.
    let later = parse(&http.get(&url).send().await.unwrap().text().await.unwrap());
    for (name, family) in families.iter().filter(|(_, family)| family.kind == "counter") {
        for (labels, before) in &family.samples {
            let now = later[name].samples.iter().find(|(other, _)| other == labels).unwrap().1;
            assert!(now >= *before, "{name} {labels:?}: {before} {now}");
        }
    }
    stop(nexus);
}

#[test]
fn metrics_on_the_network_need_a_word_of_the_operator() {
    let (code, said) = Start::new().config("[metrics]\nlisten = \"0.0.0.0:0\"\n").refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("neither TLS nor a login") && said.contains("insecure_listen = true"),
        "{said}"
    );
}

/// A program that writes down what it is told, and one that does not end.
fn program(folder: &Path, name: &str, script: &str) -> String {
    let path = folder.join(name);
    write_with_mode(&path, &format!("#!/bin/sh\n{script}\n"), 0o755);
    path.to_str().unwrap().to_owned()
}

/// What a webhook was sent; it answers 500 to the first.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

async fn webhook() -> (String, Heard) {
    let heard = Heard::default();
    async fn hear(State(heard): State<Heard>, uri: axum::http::Uri, body: String) -> StatusCode {
        let mut all = heard.0.lock().unwrap();
        all.push((uri.to_string(), serde_json::from_str(&body).unwrap()));
        if all.len() == 1 {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::NO_CONTENT
        }
    }
    let app = Router::new()
        .route("/hook/{token}", post(hear))
        .with_state(heard.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}/hook/s3cret-t0ken"), heard)
}

async fn lock_the_login(nexus: &Nexus) {
    let stranger = Browser::new(&nexus.url);
    for _ in 0..6 {
        stranger.log_in(ACCOUNT, "not the password").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_notified_by_a_program_and_by_a_webhook_whose_address_stays_secret() {
    let (url, heard) = webhook().await;
    let start = Start::new();
    let folder = start.folder().to_owned();
    let (told, env) = (folder.join("told"), folder.join("env"));
    let script = format!("cat >> {told:?}; env >> {env:?}; echo \"$1\" >> {env:?}; echo a-word-for-the-log");
    let path = program(&folder, "tell", &script);
    write_with_mode(&folder.join("hook"), &url, 0o600);
    let notify = format!(
        "[notify]\ncommand = [{path:?}, \"as {{written}}\"]\nwebhook = {{ file = \"hook\" }}\n\
         events = [\"login_locked\", \"tunnel_failed\"]\n[log]\nfilter = \"info,nexus=debug\"\n"
    );
    // A bore that is not there: the tunnel fails at once.
    let bore = "[tunnel.home]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
                [plugin.tunnel-bore.grants.process.bore]\npath = \"/nowhere/bore\"\n";
    let start = start
        .config(format!("{ECHO}{notify}{bore}"))
        .env("HOOK_OF_NOBODY", "not for the program");
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    lock_the_login(&nexus).await;
    action(&owner, "home", "start").await;
    tunnel(&owner, |t| t["state"] == "failed" || t["state"] == "waiting").await;
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    wait::seen("the program is told of two events", lines, |lines| lines.len() >= 2);
    let events: BTreeSet<String> = lines()
        .iter()
        .map(|l| l["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, ["login_locked", "tunnel_failed"].map(str::to_owned).into());
    for line in lines() {
        assert!(
            line["at"].as_u64().unwrap() > 0 && !line["text"].as_str().unwrap().is_empty(),
            "{line}"
        );
        assert!(!line.to_string().contains("not the password"), "{line}");
    }
    let environment = std::fs::read_to_string(&env).unwrap();
    assert!(environment.contains("NEXUS_EVENT=login_locked"), "{environment}");
    assert!(environment.contains("as {written}\n"), "{environment}");
    assert!(
        !environment.contains("HOOK_OF_NOBODY") && !environment.contains("s3cret"),
        "{environment}"
    );
    // The webhook refused the first one, and got it again.
    let all = || heard.0.lock().unwrap().clone();
    let heard = wait::seen("the webhook is told of two events", all, |all| all.len() >= 3);
    assert_eq!(heard[0], heard[1]);
    assert!(heard.iter().all(|(path, _)| path == "/hook/s3cret-t0ken"));
    assert!(lines().contains(&heard[2].1));
    nexus.line("the program's own word", |line| {
        line.contains("a-word-for-the-log").then_some(())
    });
    stop_and_look(nexus, "s3cret");
}

/// Neither what it wrote nor its log holds `secret`.
fn stop_and_look(mut nexus: Nexus, secret: &str) {
    let log = nexus.folder().join("data/logs/nexus.log");
    let exit = nexus.terminate(BOUND);
    assert_eq!(exit.and_then(|e| e.code()), Some(0), "{}", nexus.output());
    assert!(nexus.survivors().is_empty());
    assert!(!nexus.output().contains(secret), "{}", nexus.output());
    assert!(!std::fs::read_to_string(log).unwrap().contains(secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
    let start = Start::new();
    let folder = start.folder().to_owned();
    let pids = folder.join("pids");
    let path = program(
        &folder,
        "hang",
        &format!("setsid sleep 600 & echo $! >> {pids:?}; echo $$ >> {pids:?}; sleep 600"),
    );
    let notify = format!("[notify]\ncommand = [{path:?}]\nevents = [\"login_locked\"]\n");
    let nexus = start.config(format!("{ECHO}{notify}")).up();
    Browser::set_up(&nexus).await;
    lock_the_login(&nexus).await;
    let warned = nexus.line("who could not be notified", |line| {
        line.contains("cannot notify").then(|| line.to_owned())
    });
    assert!(warned.contains("did not exit within 10000 ms"), "{warned}");
    let started = std::fs::read_to_string(&pids).unwrap();
    assert_eq!(started.lines().count(), 2, "{started}");
    let alive = |pid: &str| Path::new("/proc").join(pid).exists();
    wait::until("nothing of it is left", || !started.lines().any(alive));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn an_owner_is_notified_of_a_tunnels_address_and_the_metrics_have_its_program() {
    let server = Server::start(None);
    let start = Start::new();
    let folder = start.folder().to_owned();
    let told = folder.join("told");
    let path = program(&folder, "tell", &format!("cat >> {told:?}"));
    let more = format!("[notify]\ncommand = [{path:?}]\n[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let nexus = start.config(format!("{}{more}", server.config(""))).up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    let status = tunnel(&owner, |t| t["state"] == "up" && !t["url"].is_null()).await;
    let line = || serde_json::from_str::<Value>(&std::fs::read_to_string(&told).ok()?).ok();
    let line = wait::seen("the program is told", line, Option::is_some).unwrap();
    assert_eq!(
        (&line["event"], &line["subject"]),
        (&"tunnel_url".into(), &"tunnel home".into())
    );
    assert_eq!(line["url"], status["url"]);
    let http = nexus_tests::http().build().unwrap();
    let text = http.get(metrics_of(&nexus)).send().await.unwrap().text().await.unwrap();
    let families = parse(&text);
    assert_eq!(one(&families, "nexus_tunnel_up", "tunnel", "home"), 1.0);
    assert_eq!(one(&families, "nexus_plugin_up", "tunnel", "home"), 1.0);
    assert!(
        one(&families, "nexus_process_resident_bytes", "tunnel", "home") > 1e5,
        "{text}"
    );
    assert!(!text.contains(status["url"].as_str().unwrap()), "{text}");
    stop(nexus);
}
