//! A Cloudflare Tunnel with the real Nexus, and a stand-in for the one part that cannot be here: cloudflared towards
//! Cloudflare's edge.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::cloudflared::public::CLIENT;
use nexus_tests::cloudflared::{Behaviour, Cloudflared, Register, Started};
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::tunnels::{action, chats, stop, tunnel, watch};
use nexus_tests::{processes, wait};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(30);
const ID: &str = "f7b2a1c4-0d3e-4a5b-8c6d-9e0f1a2b3c4d";

fn prepare(start: &Start) -> Cloudflared {
    Cloudflared::prepare(
        &start.folder().join("cloudflared"),
        Path::new(env!("CARGO_BIN_EXE_cloudflared-stand-in")),
    )
}

/// `tunnel`: more keys of its table; `plugin`: more tables of the plugin.
fn config(cloudflared: &Cloudflared, tunnel: &str, plugin: &str) -> String {
    format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.away]\nplugin = \"tunnel-cloudflared\"\npublic_check = \
         \"off\"\n{tunnel}\n[plugin.tunnel-cloudflared.grants.process.cloudflared]\npath = {:?}\n{plugin}\n",
        cloudflared.binary()
    )
}

/// A secret in a file of its own, as the configuration names it.
fn secret(start: &Start, name: &str, content: &str) -> String {
    let file = start.folder().join(name);
    nexus_tests::write_with_mode(&file, content, 0o600);
    format!("[plugin.tunnel-cloudflared.secrets]\n{name} = {{ file = {file:?} }}\n")
}

fn token() -> String {
    let json = json!({ "a": "account", "s": "a2VlcCB0aGlz", "t": ID }).to_string();
    data_encoding::BASE64.encode(json.as_bytes())
}

async fn up(owner: &Browser) -> String {
    let status = tunnel(owner, |t| t["state"] == "up" && !t["url"].is_null()).await;
    assert_eq!(
        (&status["encryption"], &status["title"]),
        (&json!("edge"), &json!("Cloudflare Tunnel"))
    );
    status["url"].as_str().unwrap().to_owned()
}

async fn opened(start: &Start) -> (Nexus, Browser) {
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "away", "start").await;
    (nexus, owner)
}

fn last(cloudflared: &Cloudflared) -> Started {
    cloudflared.starts().pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_tunnel_leads_to_the_login_and_the_chat_and_is_drained_at_its_end() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    // What a user has in the environment must not change what the tunnel is.
    let start = start
        .config(config(&cloudflared, "", ""))
        .env("TUNNEL_NAME", "another")
        .env("TUNNEL_LOGLEVEL", "fatal");
    let (mut nexus, owner) = opened(&start).await;
    let begun = Instant::now();
    let url = up(&owner).await;
    println!("open after {:.2} s: {url}", begun.elapsed().as_secs_f64());
    assert!(
        url.starts_with("https://stand-in-") && url.ends_with(".trycloudflare.com"),
        "{url}"
    );
    let started = last(&cloudflared);
    assert!(
        started
            .environment
            .iter()
            .all(|(name, value)| name != "TUNNEL_NAME" && value != "fatal"),
        "{started:?}"
    );

    let phone = Browser::through(&url, started.public);
    assert_eq!(phone.get("/").await.headers()["location"], "/login");
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(phone.get("/").await.status(), 200);
    chats(&phone).await;
    // It is known that it came through the tunnel, and from where.
    let health: Value = phone.get("/healthz").await.json().await.unwrap();
    assert_eq!(health, json!({ "status": "ok" }));
    let log = nexus.output();
    assert!(log.contains(CLIENT) && !log.contains(PASSWORD), "{log}");
    assert!(owner.get("/status").await.text().await.unwrap().contains(&url));

    let measured = tunnel(&owner, |t| t["statistics"]["requests"].as_u64().is_some_and(|n| n > 0)).await;
    assert_eq!(measured["statistics"]["locations"], json!(["fra03"]), "{measured}");
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(page.contains("fra03") && page.contains("requests"), "{page}");

    let mut live = watch(&phone).await;
    live.until(|f| f["type"] == "list").await;
    action(&owner, "away", "stop").await;
    tunnel(&owner, |t| t["state"] == "off" && t["url"].is_null()).await;
    live.closed().await;
    assert_eq!(nexus.find_process("cloudflared-stand-in"), None);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_keeps_its_address_and_is_reported() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let start = start.config(config(&cloudflared, "", ""));
    let (nexus, owner) = opened(&start).await;
    let url = up(&owner).await;
    cloudflared.behave(&Behaviour {
        register: Register::Unreachable,
        ..Behaviour::default()
    });
    let lost = tunnel(&owner, |t| t["state"] == "reconnecting").await;
    assert_eq!(lost["url"], json!(url), "{lost}");
    assert!(lost["cause"].as_str().unwrap().contains("connection"), "{lost}");
    cloudflared.behave(&Behaviour::default());
    assert_eq!(up(&owner).await, url);
    assert_eq!(cloudflared.starts().len(), 1, "cloudflared reconnects by itself");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_quic_does_not_come_through_http2_does_and_that_is_remembered() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    cloudflared.behave(&Behaviour {
        quic: false,
        ..Behaviour::default()
    });
    let start = start.config(config(&cloudflared, "", ""));
    let (nexus, owner) = opened(&start).await;
    let begun = Instant::now();
    let mut socket = watch(&owner).await;
    socket
        .until(|f| f["type"] == "status" && f["tunnels"][0]["state"] == "up")
        .await;
    println!("open over HTTP/2 after {:.1} s", begun.elapsed().as_secs_f64());
    let protocols = |starts: Vec<Started>| starts.into_iter().map(|s| s.protocol).collect::<Vec<_>>();
    assert_eq!(protocols(cloudflared.starts()), ["auto", "http2"]);
    stop(nexus);
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    up(&owner).await;
    assert_eq!(protocols(cloudflared.starts()), ["auto", "http2", "http2"]);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_quick_tunnels_are_not_asked_for_again_and_again() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    cloudflared.behave(&Behaviour {
        quick: 429,
        ..Behaviour::default()
    });
    let start = start.config(config(&cloudflared, "", ""));
    let (nexus, owner) = opened(&start).await;
    let waiting = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(waiting["cause"].as_str().unwrap().contains("429"), "{waiting}");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let pause = waiting["at"].as_u64().unwrap() - u64::try_from(now.as_millis()).unwrap();
    assert!(pause > 120_000, "tried again in {pause} ms");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_never_shown_and_its_routes_are_reported() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let routes = |service: &str| json!({ "ingress": [{ "hostname": "chat.example.org", "service": service }, { "service": "http_status:404" }] });
    let behaviour = Behaviour {
        remote: Some(routes("http://localhost:80")),
        ..Behaviour::default()
    };
    cloudflared.behave(&behaviour);
    let given = secret(&start, "token", &format!("{}\n", token()));
    let start = start.config(config(&cloudflared, "", &given));
    let (mut nexus, owner) = opened(&start).await;
    let elsewhere = tunnel(&owner, |t| t["state"] == "reconnecting").await;
    let why = elsewhere["cause"].as_str().unwrap();
    assert!(
        why.contains("chat.example.org is routed to http://localhost:80"),
        "{why}"
    );
    let here = why.split("to http://127.0.0.1:").nth(1).unwrap();
    let port: u16 = here.split(',').next().unwrap().parse().unwrap();

    // It is fixed in the dashboard, while all runs.
    cloudflared.behave(&Behaviour {
        remote: Some(routes(&format!("http://localhost:{port}"))),
        ..behaviour
    });
    assert_eq!(up(&owner).await, "https://chat.example.org");
    let status = tunnel(&owner, |t| t["state"] == "up").await;
    assert_eq!(status["connections"], 4, "{status}");
    let phone = Browser::through("https://chat.example.org", last(&cloudflared).public);
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());

    let pid = nexus.find_process("cloudflared-stand-in").unwrap();
    assert!(!processes::command_line(pid).contains(&token()));
    let page = owner.get("/status").await.text().await.unwrap();
    let log = stop(nexus);
    assert!(!log.contains(&token()) && !page.contains(&token()));
    let started = last(&cloudflared);
    assert!(
        started.environment.contains(&("TUNNEL_TOKEN".to_owned(), token())),
        "trimmed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_of_ones_own_by_its_credentials_has_its_own_name() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let credentials = json!({ "AccountTag": "account", "TunnelSecret": "a2VlcCB0aGlz", "TunnelID": ID }).to_string();
    let given = format!(
        "[plugin.tunnel-cloudflared.config]\nhostname = \"chat.example.org\"\n{}",
        secret(&start, "credentials", &credentials)
    );
    let start = start.config(config(&cloudflared, "", &given));
    let (nexus, owner) = opened(&start).await;
    assert_eq!(up(&owner).await, "https://chat.example.org");
    let phone = Browser::through("https://chat.example.org", last(&cloudflared).public);
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    chats(&phone).await;
    let log = stop(nexus);
    assert!(!log.contains("a2VlcCB0aGlz"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_that_cloudflare_does_not_accept_waits_for_the_operator() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    cloudflared.behave(&Behaviour {
        register: Register::Unauthorized,
        ..Behaviour::default()
    });
    let given = secret(&start, "token", &token());
    let start = start.config(config(&cloudflared, "", &given));
    let (mut nexus, owner) = opened(&start).await;
    let failed = tunnel(&owner, |t| t["state"] == "failed").await;
    assert!(
        failed["cause"]
            .as_str()
            .unwrap()
            .contains("Unauthorized: Invalid tunnel secret"),
        "{failed}"
    );
    assert!(failed["fix"].is_string(), "{failed}");
    wait::until("it is ended, for it would try for ever", || {
        nexus.find_process("cloudflared-stand-in").is_none()
    });
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token_or_too_old_is_reported_with_its_fix() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let given = secret(&start, "token", "hush, this is no token");
    let start = start.config(config(&cloudflared, "", &given));
    let (nexus, owner) = opened(&start).await;
    let failed = tunnel(&owner, |t| t["state"] == "failed").await;
    assert!(
        failed["cause"].as_str().unwrap().contains("does not accept the token"),
        "{failed}"
    );
    action(&owner, "away", "stop").await;
    cloudflared.behave(&Behaviour {
        version: "2022.3.1".to_owned(),
        ..Behaviour::default()
    });
    action(&owner, "away", "start").await;
    let old = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(old["cause"].as_str().unwrap().contains("2024.9.0 or newer"), "{old}");
    action(&owner, "away", "stop").await;
    // A flag that it does not know ends it with code 0.
    cloudflared.behave(&Behaviour {
        unknown_flag: Some("grace-period".to_owned()),
        ..Behaviour::default()
    });
    action(&owner, "away", "start").await;
    let usage = tunnel(&owner, |t| t["state"] == "failed").await;
    assert!(usage["cause"].as_str().unwrap().contains("-grace-period"), "{usage}");
    let log = stop(nexus);
    assert!(!log.contains("hush"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_open_is_open_again_after_a_kill_and_nothing_is_left_of_the_first() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let start = start.config(config(&cloudflared, "", ""));
    let (mut nexus, owner) = opened(&start).await;
    let url = up(&owner).await;
    nexus.kill();
    assert_eq!(nexus.survivors(), []);
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let again = up(&owner).await;
    assert_ne!(url, again, "a quick tunnel has another name at each start");
    stop(nexus);
}

/// A command beside the running host: its code, and all it wrote.
fn commanded(start: &Start, words: &[&str]) -> (Option<i32>, String) {
    let output = start.run(&words[..1], &words[1..], "");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_answers_with_its_own_result_and_with_the_reason_as_soon_as_it_is_known() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    cloudflared.behave(&Behaviour {
        quick: 500,
        ..Behaviour::default()
    });
    let start = start.config(config(&cloudflared, "", ""));
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let watch = Stopwatch::start();
    let (code, text) = commanded(&start, &["tunnel", "start", "away"]);
    let lap = watch.stop();
    println!("refused after {:.1} s: {text}", lap.took.as_secs_f64());
    assert_ne!(code, Some(0));
    let last = text.lines().collect::<Vec<_>>().join(" ");
    assert!(
        last.contains("500 Internal Server Error") && last.contains("Nexus retries in"),
        "{text}"
    );
    lap.assert_within("refusing it", BOUND);
    // Quickly twice, and then rarely.
    assert_eq!(cloudflared.asked(), 3);
    tunnel(&owner, |t| t["state"] == "waiting").await;

    // Fixed, and opened again: the answer is that of this command.
    cloudflared.behave(&Behaviour::default());
    let (code, text) = commanded(&start, &["tunnel", "start", "away"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("away is open at https://stand-in-"), "{text}");
    assert!(
        text.contains("is shown when it is known everywhere"),
        "given out too early: {text}"
    );
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_over_quic_is_reported_and_a_name_is_not_requested_again_and_again() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    cloudflared.behave(&Behaviour {
        register: Register::Failing,
        ..Behaviour::default()
    });
    let given = format!(
        "{}[plugin.tunnel-cloudflared.config]\nprotocol = \"quic\"\n",
        secret(&start, "token", &format!("cloudflared tunnel run --token {}", token()))
    );
    let own = start.clone().config(config(&cloudflared, "", &given));
    let (nexus, owner) = opened(&own).await;
    let waiting = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(
        waiting["cause"]
            .as_str()
            .unwrap()
            .contains("does not register the tunnel"),
        "{waiting}"
    );
    assert!(
        waiting["cause"].as_str().unwrap().contains("secret was changed"),
        "{waiting}"
    );
    let started = last(&cloudflared);
    assert!(
        started.environment.contains(&("TUNNEL_TOKEN".to_owned(), token())),
        "taken out of the command that was pasted"
    );
    stop(nexus);

    let quick = start.config(config(&cloudflared, "", ""));
    let nexus = quick.up();
    let owner = owner.at(&nexus.url);
    // It was open before: it opens by itself.
    let waiting = tunnel(&owner, |t| t["state"] == "waiting").await;
    assert!(
        waiting["cause"].as_str().unwrap().contains("does not register"),
        "{waiting}"
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let pause = waiting["at"].as_u64().unwrap() - u64::try_from(now.as_millis()).unwrap();
    assert!(pause > 120_000, "tried again in {pause} ms");
    assert_eq!(cloudflared.asked(), 1);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_in_the_log_and_so_is_its_end_and_an_idle_tunnel_closes_soon() {
    let start = Start::new();
    let cloudflared = prepare(&start);
    let start = start.config(config(&cloudflared, "", ""));
    let (nexus, owner) = opened(&start).await;
    up(&owner).await;
    cloudflared.behave(&Behaviour {
        register: Register::Unreachable,
        ..Behaviour::default()
    });
    tunnel(&owner, |t| t["state"] == "reconnecting").await;
    cloudflared.behave(&Behaviour::default());
    up(&owner).await;
    let watch = Stopwatch::start();
    action(&owner, "away", "stop").await;
    tunnel(&owner, |t| t["state"] == "off").await;
    watch
        .stop()
        .assert_within("closing it over QUIC", Duration::from_secs(4));
    let log = stop(nexus);
    assert!(log.contains("the tunnel does not pass requests"), "{log}");
    assert!(log.contains("the tunnel has recovered after"), "{log}");
}
