//! The real cloudflared, named in `NEXUS_TEST_CLOUDFLARED`, from Nexus to a stand-in for Cloudflare's edge: all on loopback.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::cloudflared::public::CLIENT;
use nexus_tests::edge::Edge;
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::port::Port;
use nexus_tests::tunnels::{action, chats, stop, tunnel};
use nexus_tests::wait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const HTTP2: &str = "[plugin.tunnel-cloudflared.config]\nprotocol = \"http2\"\n";

async fn opened(edge: &Edge, start: Start, plugin: &str) -> (Start, Nexus, Browser) {
    let cloudflared = edge.wrapper(
        &start.folder().join("cloudflared"),
        &nexus_tests::part("NEXUS_TEST_CLOUDFLARED"),
    );
    let config = format!(
        "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.away]\nplugin = \"tunnel-cloudflared\"\n{plugin}\n\
         [plugin.tunnel-cloudflared.grants.process.cloudflared]\npath = {cloudflared:?}\n"
    );
    let start = start.config(config);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "away", "start").await;
    (start, nexus, owner)
}

fn token() -> String {
    let token = json!({ "a": "account", "s": "a2VlcCB0aGlz", "t": "f7b2a1c4-0d3e-4a5b-8c6d-9e0f1a2b3c4d" }).to_string();
    data_encoding::BASE64.encode(token.as_bytes())
}

async fn state(owner: &Browser, takes: impl Fn(&Value) -> bool) -> Value {
    tunnel(owner, takes).await
}

async fn up(owner: &Browser) -> String {
    let status = state(owner, |t| t["state"] == "up" && !t["url"].is_null()).await;
    status["url"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_carries_the_login_the_chat_and_the_live_socket() {
    let edge = Edge::start().await;
    let (_start, mut nexus, owner) = opened(&edge, Start::new(), HTTP2).await;
    let begun = Instant::now();
    let url = up(&owner).await;
    println!("open after {:.2} s: {url}", begun.elapsed().as_secs_f64());
    assert!(url.ends_with(".trycloudflare.com"), "{url}");
    assert_eq!(edge.connections(), 1);
    let phone = Browser::through(&url, edge.public.port());
    assert_eq!(phone.get("/").await.headers()["location"], "/login");
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(phone.get("/").await.status(), 200);
    chats(&phone).await;
    assert!(nexus.output().contains(CLIENT), "{}", nexus.output());
    let measured = tunnel(&owner, |t| t["statistics"]["requests"].as_u64().is_some_and(|n| n > 0)).await;
    assert_eq!(measured["statistics"]["locations"], json!(["fra03"]), "{measured}");

    // Its connection is cut: cloudflared reconnects, and the address stays.
    edge.drop_connections();
    let lost = state(&owner, |t| t["state"] == "reconnecting").await;
    assert_eq!(lost["url"], json!(url), "{lost}");
    assert_eq!(up(&owner).await, url);
    assert_eq!(phone.get("/").await.status(), 200);

    let begun = Instant::now();
    action(&owner, "away", "stop").await;
    println!("closed after {:.2} s", begun.elapsed().as_secs_f64());
    assert_eq!(nexus.find_process("cloudflared tunnel"), None);
    assert_eq!(phone.get("/").await.status(), 530);
    stop(nexus);
}

/// As a user has it: no protocol is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_takes_quic_and_carries_the_login_the_chat_and_the_live_socket() {
    let edge = Edge::start().await;
    let (_start, mut nexus, owner) = opened(&edge, Start::new(), "").await;
    let begun = Instant::now();
    let url = up(&owner).await;
    println!("open over QUIC after {:.2} s: {url}", begun.elapsed().as_secs_f64());
    assert_eq!(edge.connections(), 1);
    assert!(edge.quic(), "it fell back to HTTP/2");
    let phone = Browser::through(&url, edge.public.port());
    assert_eq!(phone.get("/").await.headers()["location"], "/login");
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(phone.get("/").await.status(), 200);
    chats(&phone).await;
    assert!(nexus.output().contains(CLIENT), "{}", nexus.output());

    // Over QUIC it is back so soon that it may be nobody's moment to see it away.
    let before = edge.registrations();
    edge.drop_connections();
    wait::seen_async("it comes back", async || edge.registrations(), |n| *n > before).await;
    assert_eq!(up(&owner).await, url);
    assert_eq!(phone.get("/").await.status(), 200);

    let watch = Stopwatch::start();
    action(&owner, "away", "stop").await;
    tunnel(&owner, |t| t["state"] == "off").await;
    watch
        .stop()
        .assert_within("closing it over QUIC", Duration::from_secs(4));
    assert_eq!(nexus.find_process("cloudflared tunnel"), None);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_that_is_refused_over_quic_is_found_out() {
    let edge = Edge::start().await;
    edge.faults(|faults| faults.refusal = Some("Unauthorized: Invalid tunnel secret".to_owned()));
    let start = Start::new();
    let file = start.folder().join("token");
    nexus_tests::write_with_mode(&file, &token(), 0o600);
    let plugin = format!(
        "[plugin.tunnel-cloudflared.config]\nprotocol = \"quic\"\n[plugin.tunnel-cloudflared.secrets]\ntoken = {{ file = {file:?} }}\n"
    );
    let (_start, nexus, owner) = opened(&edge, start, &plugin).await;
    let watch = Stopwatch::start();
    let refused = state(&owner, |t| t["state"] == "waiting").await;
    let lap = watch.stop();
    println!(
        "refused over QUIC after {:.1} s: {}",
        lap.took.as_secs_f64(),
        refused["cause"]
    );
    assert!(
        refused["cause"].as_str().unwrap().contains("does not register"),
        "{refused}"
    );
    assert!(
        refused["cause"].as_str().unwrap().contains("secret was changed"),
        "{refused}"
    );
    lap.assert_within("refusing it", Duration::from_secs(30));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_is_started_over_http2_where_quic_does_not_come_through() {
    let edge = Edge::start().await;
    edge.faults(|faults| faults.quic = false);
    let (_start, mut nexus, owner) = opened(&edge, Start::new(), "").await;
    let watch = Stopwatch::start();
    up(&owner).await;
    let lap = watch.stop();
    println!("open over HTTP/2 after {:.1} s", lap.took.as_secs_f64());
    lap.assert_within("opening it over HTTP/2", Duration::from_secs(40));
    nexus.kill();
    assert_eq!(nexus.survivors(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_that_is_refused_limited_or_unanswered_is_distinguished() {
    let edge = Edge::start().await;
    edge.faults(|faults| faults.quick = 429);
    let (_start, nexus, owner) = opened(&edge, Start::new(), HTTP2).await;
    let limited = state(&owner, |t| t["state"] == "waiting").await;
    assert!(limited["cause"].as_str().unwrap().contains("429"), "{limited}");
    action(&owner, "away", "stop").await;

    edge.faults(|faults| {
        (faults.quick, faults.refusal) = (200, Some("Unauthorized: Invalid tunnel secret".to_owned()))
    });
    action(&owner, "away", "start").await;
    let refused = state(&owner, |t| t["state"] == "waiting").await;
    assert!(refused["cause"].as_str().unwrap().contains("Unauthorized"), "{refused}");
    assert!(edge.registrations() > 0);
    action(&owner, "away", "stop").await;

    edge.faults(|faults| (faults.refusal, faults.black_hole) = (None, true));
    action(&owner, "away", "start").await;
    let unheard = state(&owner, |t| t["state"] == "waiting").await;
    println!("{}", unheard["cause"]);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs cloudflared itself, named in NEXUS_TEST_CLOUDFLARED"]
async fn cloudflared_itself_follows_the_dashboard_and_hides_its_token() {
    for protocol in [HTTP2, ""] {
        follows_the_dashboard(protocol).await;
    }
}

async fn follows_the_dashboard(protocol: &str) {
    let edge = Edge::start().await;
    let start = Start::new();
    let token = token();
    let file = start.folder().join("token");
    nexus_tests::write_with_mode(&file, &token, 0o600);
    // What the dashboard says has to name the port before it is known: a fixed one, as an operator would.
    let reserved = Port::reserve();
    let port = reserved.number;
    edge.faults(|faults| {
        faults.remote = Some(json!({ "ingress": [
            { "hostname": "chat.example.org", "service": format!("http://localhost:{port}") },
            { "service": "http_status:404" },
        ] }));
    });
    let plugin = format!(
        "listen = \"127.0.0.1:{port}\"\n{protocol}[plugin.tunnel-cloudflared.secrets]\ntoken = {{ file = {file:?} }}\n"
    );
    let (_start, nexus, owner) = opened(&edge, start, &plugin).await;
    assert_eq!(up(&owner).await, "https://chat.example.org");
    let phone = Browser::through("https://chat.example.org", edge.public.port());
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    chats(&phone).await;
    let page = owner.get("/status").await.text().await.unwrap();
    let log = stop(nexus);
    assert!(!log.contains(&token) && !page.contains(&token));
}
