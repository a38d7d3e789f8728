//! A tunnel with the real bore, client and server, on the loopback.

use nexus_tests::bore::Server;
use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::nexus::Start;
use nexus_tests::port::Port;
use nexus_tests::processes::signal;
use nexus_tests::tunnels::{action, chats, stop, tunnel, watch};
use nexus_tests::wait;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::{Duration, Instant};

async fn up(browser: &Browser) -> String {
    let status = tunnel(browser, |t| t["state"] == "up" && !t["url"].is_null()).await;
    assert_eq!(status["encryption"], "none");
    status["url"].as_str().unwrap().to_owned()
}

fn answers(url: &str) -> bool {
    let address = url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn the_page_opens_a_tunnel_that_leads_to_the_login_and_the_chat_and_closes_it() {
    let server = Server::start(None);
    let start = Start::new().config(server.config(""));
    let mut nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    tunnel(&owner, |t| t["state"] == "off").await;
    assert_eq!(nexus.find_process("bore local"), None);
    let begin = Instant::now();
    action(&owner, "home", "start").await;
    let url = up(&owner).await;
    println!("open after {:.2} s: {url}", begin.elapsed().as_secs_f64());
    assert!(url.starts_with(&format!("http://{}:", server.address)), "{url}");
    assert!(owner.get("/status").await.text().await.unwrap().contains(&url));
    // A stranger sees the login and no more.
    let phone = Browser::new(&url);
    assert_eq!(phone.get("/").await.headers()["location"], "/login");
    assert!(phone.get("/login").await.text().await.unwrap().contains("Log in"));
    let health: Value = phone.get("/healthz").await.json().await.unwrap();
    assert_eq!(health, json!({"status": "ok"}));
    assert!(phone.socket("/live").await.is_err());
    // The owner logs in and chats.
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    assert_eq!(phone.get("/").await.status(), 200);
    chats(&phone).await;
    // Only by its own name, and not by that of the machine.
    let plain = nexus_tests::http().build().unwrap();
    for host in ["evil.example", "localhost", "127.0.0.1:7860"] {
        let answer = plain
            .get(format!("{url}/login"))
            .header("host", host)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 421, "{host}");
        assert!(answer.text().await.unwrap().contains(host));
    }
    // The listener is the tunnel's own, and closes with it.
    let bore = nexus.find_process("bore local").unwrap();
    let line = nexus_tests::processes::command_line(bore);
    let port: u16 = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(!nexus.url.ends_with(&format!(":{port}")), "{line}");
    let mut live = watch(&phone).await;
    live.until(|f| f["type"] == "list").await;
    action(&owner, "home", "stop").await;
    tunnel(&owner, |t| t["state"] == "off" && t["url"].is_null()).await;
    live.closed().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the listener is open");
    wait::until("the address is closed", || !answers(&url));
    assert_eq!(nexus.find_process("bore local"), None);
    assert_eq!(owner.get("/").await.status(), 200);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn a_tunnel_of_the_configuration_waits_for_the_account_and_comes_back_when_bore_is_killed() {
    let server = Server::start(Some("between the two"));
    let config = format!(
        "{}[plugin.tunnel-bore.secrets]\nsecret = {{ env = \"THE_BORE_SECRET\" }}\n",
        server.config("autostart = true")
    );
    let start = Start::new().config(config).env("THE_BORE_SECRET", "between the two");
    let mut nexus = start.up();
    // Nobody could log in: nothing opens, however long it is wanted.
    assert!(!wait::happens(Duration::from_secs(3), || nexus
        .find_process("bore local")
        .is_some()));
    let owner = Browser::set_up(&nexus).await;
    let url = up(&owner).await;
    assert_eq!(Browser::new(&url).get("/login").await.status(), 200);
    let bore = nexus.find_process("bore local").unwrap();
    assert!(!nexus_tests::processes::command_line(bore).contains("between"));
    assert!(signal(bore, libc::SIGKILL));
    let begin = Instant::now();
    let open = async || (nexus.find_process("bore local"), up(&owner).await);
    let (_, again) = wait::seen_async("another bore is open", open, |(pid, url)| {
        pid.is_some_and(|pid| pid != bore) && answers(url)
    })
    .await;
    println!("open again after {:.2} s", begin.elapsed().as_secs_f64());
    assert_eq!(Browser::new(&again).get("/login").await.status(), 200);
    // Nor does it survive a Nexus that is killed.
    nexus.kill();
    assert_eq!(nexus.survivors(), []);
    wait::until("the address is closed", || !answers(&again));
    assert!(!nexus.output().contains("between the two"), "{}", nexus.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn what_was_wanted_open_is_open_again_after_a_restart_and_what_was_closed_is_not() {
    let server = Server::start(None);
    let start = Start::new().config(server.config(""));
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    up(&owner).await;
    stop(nexus);
    let nexus = start.up();
    let owner = owner.at(&nexus.url);
    let url = up(&owner).await;
    assert!(answers(&url));
    action(&owner, "home", "stop").await;
    stop(nexus);
    let mut nexus = start.up();
    let owner = owner.at(&nexus.url);
    tunnel(&owner, |t| t["state"] == "off").await;
    assert!(!wait::happens(Duration::from_secs(2), || nexus
        .find_process("bore local")
        .is_some()));
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn without_tls_a_tunnel_needs_a_word_of_the_operator_who_reads_what_to_write() {
    let server = Server::start(None);
    let config = server.config("").replace("allow_plaintext = true\n", "");
    let nexus = Start::new().config(config).up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    let failed = tunnel(&owner, |t| t["state"] == "failed").await;
    let text = failed.to_string();
    assert!(text.contains("no TLS"), "{text}");
    assert!(
        text.contains("[tunnel.home]") && text.contains("allow_plaintext = true"),
        "{text}"
    );
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(page.contains("allow_plaintext = true"), "{page}");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn an_unreachable_server_is_retried_and_a_refusal_is_reported() {
    let mut server = Server::start(Some("right"));
    let start = Start::new().config(server.config(""));
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    // It asks for a secret and none is given.
    let told = tunnel(&owner, |t| t["state"] == "failed" || t["state"] == "waiting").await;
    assert!(told["cause"].as_str().unwrap().contains("secret"), "{told}");
    server.kill();
    action(&owner, "home", if told["state"] == "failed" { "start" } else { "stop" }).await;
    if told["state"] != "failed" {
        action(&owner, "home", "start").await;
    }
    let away = tunnel(&owner, |t| t["state"] == "waiting" && t["at"].is_number()).await;
    assert!(
        away["cause"].as_str().unwrap().contains(&server.address.to_string()),
        "{away}"
    );
    stop(nexus);
}

/// The connections of a process to one address are held, as by a network that forgot them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn a_connection_that_died_silently_is_reopened_and_reported() {
    let mut server = Server::start(None);
    let address = server.address;
    // A fixed port: opening it again costs no address.
    let fixed = Port::reserve();
    let config = server
        .config("")
        .replace("server = ", &format!("port = {}\nserver = ", fixed.number));
    let start = Start::new().config(config);
    let mut nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    tunnel(&owner, |t| t["state"] == "up" && t["public_check"]["state"] == "passed").await;
    let bore = nexus.find_process("bore local").unwrap();
    // bore itself is frozen, so it does not notice that its server ends; another one takes the server's place.
    assert!(signal(bore, libc::SIGSTOP));
    server.kill();
    let _again = Server::at(address);
    let begun = Instant::now();
    let look = async || {
        let now = tunnel(&owner, |t| t["state"] != "off").await;
        (nexus.find_process("bore local"), now)
    };
    let (_, mended) = wait::seen_async("another bore is up", look, |(pid, now)| {
        now["state"] == "up" && pid.is_some_and(|pid| pid != bore)
    })
    .await;
    println!("open again after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(answers(mended["url"].as_str().unwrap()));
    let log = stop(nexus);
    assert!(log.contains("the connection of the tunnel is dead"), "{log}");
    assert!(log.contains("the tunnel has recovered after"), "{log}");
}
