//! Another plugin replaces the one of a tunnel of the running Nexus: the real bore, and the stand-in for cloudflared.

use nexus_tests::bore::Server;
use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::cloudflared::{Behaviour, Cloudflared, Register};
use nexus_tests::guests::builtin;
use nexus_tests::nexus::Start;
use nexus_tests::port::Port;
use nexus_tests::processes;
use nexus_tests::tunnels::{action, chats, stop, swap, tunnel, watch};
use nexus_tests::world::Conversation;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A tunnel `home` by `first`; cloudflared, bore, and bore under a second name stand ready.
struct Stage {
    start: Start,
    cloudflared: Cloudflared,
    edge: Port,
    server: Server,
    config: String,
}

impl Stage {
    fn new(first: &str, more: &str) -> Self {
        let (start, server, edge) = (Start::new(), Server::start(None), Port::reserve());
        let cloudflared = Cloudflared::prepare(
            &start.folder().join("cloudflared"),
            Path::new(env!("CARGO_BIN_EXE_cloudflared-stand-in")),
        );
        cloudflared.behave(&Behaviour {
            public: edge.number,
            ..Behaviour::default()
        });
        let config = server
            .config(&format!("public_check = \"127.0.0.1:{}\"\n{more}", edge.number))
            .replace("plugin = \"tunnel-bore\"", &format!("plugin = \"{first}\""));
        let bore = nexus_tests::part("NEXUS_TEST_BORE");
        let config = format!(
            "{config}[plugin.bore-too]\nsource = {:?}\nconfig.server = \"{}\"\ngrants.process.bore.path = {bore:?}\n\
             [plugin.tunnel-cloudflared.grants.process.cloudflared]\npath = {:?}\n\
             [plugin.chat-echo.config]\npause = 1\n",
            builtin("tunnel-bore"),
            server.address,
            cloudflared.binary(),
        );
        let start = start
            .config(&config)
            .env("SSL_CERT_FILE", cloudflared.certificate().to_str().unwrap());
        Self {
            start,
            cloudflared,
            edge,
            server,
            config,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn the_page_swaps_the_tunnel_and_whoever_came_through_it_is_notified() {
    let stage = Stage::new("tunnel-cloudflared", "");
    let mut nexus = stage.start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    let old = tunnel(&owner, |t| t["state"] == "up" && t["public_check"]["state"] == "passed").await;
    let old = old["url"].as_str().unwrap().to_owned();
    let phone = Browser::through(&old, stage.edge.number);
    assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    let mut live = watch(&phone).await;
    live.until(|f| f["type"] == "list").await;

    let page = owner.get("/status").await.text().await.unwrap();
    assert!(page.contains("<option>tunnel-bore</option>"), "{page}");
    let begun = Instant::now();
    let form = async {
        let url = swap(&owner, "home", "tunnel-bore").await;
        println!("swapped after {:.2} s", begun.elapsed().as_secs_f64());
        url
    };
    let told = async {
        let moved = live.until(|f| f["type"] == "moved").await.last().unwrap()["url"].clone();
        // As long as the old address lives it sends pages to the new one.
        let sent = phone.get("/status").await.headers()["location"].clone();
        live.closed().await;
        (moved, sent)
    };
    let (url, (moved, sent)) = tokio::join!(form, told);
    assert!(url.starts_with(&format!("http://{}:", stage.server.address)), "{url}");
    assert_eq!(
        (moved, sent.to_str().unwrap()),
        (json!(url), format!("{url}/status").as_str())
    );
    assert_eq!(nexus.find_process("cloudflared-stand-in"), None);
    let there = Browser::new(&url);
    assert!(there.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    chats(&there).await;
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(
        page.contains("tunnel-bore") && page.contains(&url) && !page.contains(&format!("href=\"{old}\"")),
        "{page}"
    );
    assert!(!nexus.output().contains("panicked"), "{}", nexus.output());
    stop(nexus);

    // It stays so, until the configuration names another.
    let nexus = stage.start.up();
    let owner = owner.at(&nexus.url);
    let kept = tunnel(&owner, |t| t["state"] == "up").await;
    assert_eq!(kept["plugin"], "tunnel-bore", "{kept}");
    assert!(
        nexus.output().contains("was selected before the restart"),
        "{}",
        nexus.output()
    );
    stop(nexus);
    let edited = stage
        .config
        .replace("plugin = \"tunnel-cloudflared\"", "plugin = \"bore-too\"");
    let nexus = stage.start.clone().config(edited).up();
    let owner = owner.at(&nexus.url);
    assert_eq!(tunnel(&owner, |t| t["state"] == "up").await["plugin"], "bore-too");
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn a_swap_that_fails_leaves_everything_as_it_was() {
    let stage = Stage::new("tunnel-bore", "");
    stage.cloudflared.behave(&Behaviour {
        quick: 500,
        register: Register::Unauthorized,
        version: "2020.1.0".to_owned(),
        ..Behaviour::default()
    });
    let mut nexus = stage.start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    let before = tunnel(&owner, |t| t["state"] == "up").await;
    let bore = nexus.find_process("bore local").unwrap();
    let phone = Browser::new(before["url"].as_str().unwrap());
    let mut live = {
        assert!(phone.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
        watch(&phone).await
    };
    let path = "/status/tunnel/home/swap";
    owner
        .submit_on("/status", path, &[("plugin", "tunnel-cloudflared")])
        .await;
    let refused = tunnel(&owner, |t| t["swap"]["state"] == "failed").await;
    assert!(
        refused["swap"]["cause"].as_str().unwrap().contains("2020.1.0"),
        "{refused}"
    );
    assert_eq!(
        (&refused["plugin"], &refused["url"]),
        (&json!("tunnel-bore"), &before["url"])
    );
    let page = owner.get("/status").await.text().await.unwrap();
    assert!(
        page.contains(" stays active.") && page.contains(" could not replace "),
        "{page}"
    );
    assert_eq!(nexus.find_process("bore local"), Some(bore));
    live.send(&json!({"type": "ping"})).await;
    live.until(|f| f["type"] == "pong").await;
    // One that is not there.
    owner.submit_on("/status", path, &[("plugin", "tunnel-nowhere")]).await;
    let refused = tunnel(&owner, |t| {
        t["swap"]["plugin"] == "tunnel-nowhere" && t["swap"]["state"] == "failed"
    })
    .await;
    assert!(
        refused["swap"]["fix"]
            .as_str()
            .unwrap()
            .contains("[plugin.tunnel-nowhere]"),
        "{refused}"
    );
    stop(nexus);
}

/// Asks for a page again and again until it is told to end: (answers, failures).
async fn asks(url: String, end: Arc<AtomicBool>) -> (u32, u32) {
    let client = nexus_tests::http().timeout(Duration::from_secs(20)).build().unwrap();
    let (mut good, mut bad) = (0, 0);
    while !end.load(Ordering::SeqCst) {
        match client.get(format!("{url}/login")).send().await {
            Ok(answer) if answer.status() == 200 => good += 1,
            _ => bad += 1,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (good, bad)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real bore: ./tests/run"]
async fn fifty_swaps_under_load_lose_nothing_and_leave_nothing() {
    const SWAPS: u32 = 50;
    let other = "[tunnel.other]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n";
    let stage = Stage::new("tunnel-bore", other);
    let mut nexus = stage.start.up();
    let owner = Browser::set_up(&nexus).await;
    for name in ["home", "other"] {
        action(&owner, name, "start").await;
        tunnel(&owner, |t| t["name"] == name && t["state"] == "up").await;
    }
    let elsewhere = tunnel(&owner, |t| t["name"] == "other" && t["state"] == "up").await;
    let elsewhere = elsewhere["url"].as_str().unwrap().to_owned();
    let far = Browser::new(&elsewhere);
    assert!(far.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());

    // Two chats that never cease: on the local address, and through the other tunnel. Each checks its numbers itself.
    let end = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU32::new(0));
    let mut chats = Vec::new();
    for browser in [&owner, &far] {
        let (mut chat, end, turns) = (
            Conversation::create(browser, &nexus).await,
            Arc::clone(&end),
            Arc::clone(&turns),
        );
        chats.push(tokio::spawn(async move {
            let words: Vec<String> = (0..200).map(|n| format!("word{n}")).collect();
            let text = words.join(" ");
            while !end.load(Ordering::SeqCst) {
                let before = chat.texts.len();
                chat.prompt(&text).await;
                chat.until("it is repeated whole", |c| {
                    let whole = c.texts.values().filter(|(_, said)| said.contains("word199")).count();
                    c.turn == "idle" && c.texts.len() > before && whole == c.texts.len()
                })
                .await;
                turns.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let requests = [&nexus.url, &elsewhere].map(|url| tokio::spawn(asks(url.clone(), Arc::clone(&end))));

    let mut took = Vec::new();
    for n in 0..SWAPS {
        let plugin = ["bore-too", "tunnel-cloudflared", "tunnel-bore"][n as usize % 3];
        let begun = Instant::now();
        swap(&owner, "home", plugin).await;
        took.push(begun.elapsed());
    }
    end.store(true, Ordering::SeqCst);
    for chat in chats {
        chat.await.unwrap();
    }
    for asked in requests {
        let (good, bad) = asked.await.unwrap();
        println!("requests elsewhere: {good} answered, {bad} failed");
        assert!(
            good > 100 && bad == 0,
            "{good} answered, {bad} failed\n{}",
            nexus.output()
        );
    }
    took.sort();
    println!(
        "{SWAPS} swaps, {} turns meanwhile: median {:?}, longest {:?}",
        turns.load(Ordering::SeqCst),
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(turns.load(Ordering::SeqCst) > 20);
    // What serves now, and no more.
    let running = nexus.descendants().into_iter().map(processes::command_line);
    let left: Vec<String> = running
        .filter(|line| line.contains("bore local") || line.contains("stand-in tunnel"))
        .collect();
    assert_eq!(left.len(), 2, "{left:#?}");
    stop(nexus);
}
