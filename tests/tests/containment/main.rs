//! Plugins that trap, spin and take memory, of each kind, while a chat streams: nothing else notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::guests::guest;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::processes;
use nexus_tests::world::{Conversation, World, ready};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// What each attack leaves in the words of the failure.
const ATTACKS: [(&str, &str); 3] = [("trap", "trap"), ("spin", "CPU"), ("memory", "bytes of memory")];

/// What `/healthz` says of a plugin.
async fn health(url: &str, plugin: &str) -> Value {
    let answer: Value = nexus_tests::http()
        .build()
        .unwrap()
        .get(format!("{url}/healthz"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let plugins = answer["plugins"].as_array().unwrap();
    let found = plugins.iter().find(|p| p["name"] == plugin);
    found.unwrap_or_else(|| panic!("{answer}")).clone()
}

async fn until_health(nexus: &Nexus, plugin: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = health(&nexus.url, plugin).await;
        if done(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < end,
            "waited in vain until {what}: {seen}\n{}",
            nexus.output()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// KiB of memory that a process holds.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A stream of the real opencode while the tunnel and the login misbehave.
async fn others_fall_while_a_chat_streams(attack: &str, words: &str) {
    let world = World::up(&format!(
        "[auth]\nplugin = \"hostile-auth\"\n[tunnel.hostile]\nplugin = \"hostile-tunnel\"\nallow_plaintext = true\n\
         [plugin.hostile-tunnel]\nsource = {:?}\nconfig.attack = \"{attack}\"\nlimits.cpu = \"300ms\"\nlimits.memory = \"32 MiB\"\n\
         [plugin.hostile-auth]\nsource = {:?}\nlimits.cpu = \"300ms\"\nlimits.memory = \"32 MiB\"\n",
        guest("hostile-tunnel"),
        guest("hostile-auth"),
    ))
    .await;
    let mut chat = world.conversation().await;
    chat.prompt("[[text n=300 rate=40 size=6]]").await;
    chat.until("some text came", |c| c.answer().len() > 30).await;

    let start = world.browser.submit_on("/status", "/status/tunnel/hostile/start", &[]);
    let stranger = Browser::new(&world.nexus.url);
    let logins = async {
        for _ in 0..3 {
            let answer = stranger.log_in(ACCOUNT, attack).await;
            assert!(!answer.status().is_redirection(), "{}", answer.status());
            let text = answer.text().await.unwrap();
            assert!(
                text.contains("could not") || text.contains("not available") || text.contains("fell"),
                "{text}"
            );
        }
    };
    let times = RefCell::new(Vec::new());
    let streaming = chat.until("the turn is over", |c| {
        times.borrow_mut().push((Instant::now(), c.answer().len()));
        c.turn == "idle"
    });
    let ((), _, ()) = tokio::join!(streaming, start, logins);
    assert_eq!(chat.answer().len(), 300 * 6);
    let mut gaps: Vec<Duration> = times.borrow().windows(2).map(|two| two[1].0 - two[0].0).collect();
    gaps.sort();
    let (middle, most) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    println!(
        "{attack}: between two events: median {middle:?}, most {most:?}, of {}",
        gaps.len()
    );
    assert!(most < Duration::from_secs(1), "{attack}: {gaps:?}");

    let login = health(&world.nexus.url, "hostile-auth").await;
    assert_eq!(login["state"], "running");
    let failed = until_health(&world.nexus, "hostile-tunnel", "it fell too often", |p| {
        p["state"] == "failed"
    })
    .await;
    assert_eq!(failed["restarts"], 5, "{failed}");
    let page = world.browser.get("/status").await.text().await.unwrap();
    assert!(page.contains("Failed"), "{page}");
    for plugin in ["hostile-tunnel", "hostile-auth"] {
        let of_it = page.split(&format!(">{plugin}<")).last().unwrap();
        let of_it = of_it.split("<h3>").next().unwrap();
        assert!(
            of_it.contains(words),
            "the page does not say why {plugin} fell: {of_it}"
        );
    }
    assert_eq!(health(&world.nexus.url, "chat-opencode").await["restarts"], 0);

    chat.prompt("[[text n=3 rate=40 size=6]]").await;
    chat.until_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode and the wasm target: ./tests/run"]
async fn a_tunnel_and_a_login_that_trap_do_not_touch_the_chat() {
    others_fall_while_a_chat_streams(ATTACKS[0].0, ATTACKS[0].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode and the wasm target: ./tests/run"]
async fn a_tunnel_and_a_login_that_spin_do_not_touch_the_chat() {
    others_fall_while_a_chat_streams(ATTACKS[1].0, ATTACKS[1].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode and the wasm target: ./tests/run"]
async fn a_tunnel_and_a_login_that_take_memory_do_not_touch_the_chat() {
    others_fall_while_a_chat_streams(ATTACKS[2].0, ATTACKS[2].1).await;
}

const CHAT: &str = "hostile-chat";

/// A Nexus whose chat is the hostile one.
async fn hostile_chat() -> (Nexus, Browser) {
    let start = Start::new().config(format!(
        "[chat.main]\nplugin = \"{CHAT}\"\nfallback = \"\"\n[plugin.{CHAT}]\nsource = {:?}\n\
         grants.store_quota = \"1 MiB\"\ngrants.process.sleep = {{}}\nlimits.cpu = \"500ms\"\nlimits.memory = \"48 MiB\"\n",
        guest(CHAT)
    ));
    let nexus = start.up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    (nexus, browser)
}

/// A new conversation's answer to one prompt.
async fn answer(nexus: &Nexus, browser: &Browser, prompt: &str) -> String {
    let mut chat = Conversation::create(browser, nexus).await;
    chat.prompt(prompt).await;
    chat.until("it is answered", |c| c.turn == "idle" && c.answer().contains("heard: "))
        .await;
    // What the user said is a part too.
    chat.answer()
        .split_once("heard: ")
        .unwrap_or_else(|| panic!("{}", chat.answer()))
        .1
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn a_chat_that_falls_says_why_starts_again_and_finds_its_process() {
    let (nexus, browser) = hostile_chat().await;
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    let process = answer(&nexus, &browser, "process").await;
    let pid: u32 = process
        .strip_prefix("started ")
        .unwrap_or_else(|| panic!("{process}"))
        .parse()
        .unwrap();
    let before = resident(nexus.pid());
    for (round, (attack, words)) in ATTACKS.into_iter().enumerate() {
        let mut chat = Conversation::create(&browser, &nexus).await;
        chat.prompt(attack).await;
        until_health(&nexus, CHAT, "it fell", |p| p["restarts"] == round + 1).await;
        chat.until("the turn is given up", |c| c.turn == "interrupted").await;
        let page = browser.get("/status").await.text().await.unwrap();
        assert!(page.contains("Last failure") && page.contains(words), "{page}");
        ready(&browser).await;
        assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
        assert_eq!(answer(&nexus, &browser, "process").await, format!("adopted {pid}"));
        assert!(processes::alive(pid));
    }
    let after = resident(nexus.pid());
    println!("memory: {before} KiB before, {after} KiB after");
    assert!(after < before + 24 * 1024, "{before} KiB before, {after} KiB after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn a_chat_that_falls_too_often_waits_for_the_operator() {
    let (nexus, browser) = hostile_chat().await;
    for fall in 1..=6 {
        until_health(&nexus, CHAT, "it runs", |p| p["state"] == "running").await;
        ready(&browser).await;
        let mut chat = Conversation::create(&browser, &nexus).await;
        chat.prompt("trap").await;
        until_health(&nexus, CHAT, "it fell", |p| {
            p["restarts"] == fall || p["state"] == "failed"
        })
        .await;
    }
    let seen = health(&nexus.url, CHAT).await;
    assert_eq!(
        (&seen["state"], &seen["restarts"]),
        (&json!("failed"), &json!(5)),
        "{seen}"
    );
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(page.contains("Failed") && page.contains("trap"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn a_prompt_that_fells_the_plugin_is_not_sent_for_ever() {
    let (nexus, browser) = hostile_chat().await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.socket
        .send(&json!({"type": "prompt", "session": chat.session, "client_id": "poison-1", "text": "call trap"}))
        .await;
    // Refused: a page that is told to wait would send it for ever.
    let refused = chat.frames_until(|f| f["client_id"] == "poison-1").await;
    assert_eq!(refused["type"], "refused", "{refused}");
    chat.until("the prompt is marked", |c| {
        c.errors().contains("It is not sent again by itself")
    })
    .await;
    until_health(&nexus, CHAT, "it runs again", |p| {
        p["state"] == "running" && p["restarts"] == 2
    })
    .await;
    ready(&browser).await;
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    let seen = health(&nexus.url, CHAT).await;
    assert_eq!(seen["restarts"], 2, "{seen}\n{}", nexus.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn what_is_denied_is_said_with_what_would_allow_it() {
    let (nexus, browser) = hostile_chat().await;
    let said = answer(&nexus, &browser, "denied").await;
    for toml in [
        "[plugin.hostile-chat.grants]\nhttp = [\"https://denied.example\"]",
        "[plugin.hostile-chat.grants.process.denied-tool]\npath = ",
        "[plugin.hostile-chat.secrets]\ntoken = { env = \"VARIABLE\" }",
        "https://unasked.example. Its manifest does not ask for that, so nothing can allow it.",
    ] {
        assert!(said.contains(toml), "{toml}\nis not in\n{said}");
    }
    assert!(!said.contains("let through"), "{said}");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn a_flood_is_held_back_and_can_be_stopped() {
    let (nexus, browser) = hostile_chat().await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    let before = resident(nexus.pid());
    chat.prompt("flood").await;
    chat.until("it floods", |c| c.seq > 1_000).await;
    // From here on this client takes nothing.
    let mut most = 0;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        most = most.max(resident(nexus.pid()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("flood: {before} KiB before, {most} KiB at most");
    assert!(most < before + 64 * 1024, "{before} KiB before, {most} KiB at most");
    let mut other = browser.socket("/live").await.unwrap();
    other.send(&json!({"type": "hello", "protocol": 1})).await;
    other
        .send(&json!({"type": "cancel", "request": "x", "session": chat.session}))
        .await;
    let done = other.until(|f| f["request"] == "x").await;
    assert_eq!(done.last().unwrap()["type"], "done", "{done:?}");
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the wasm target: ./tests/run"]
async fn a_flood_of_log_lines_is_cut() {
    let (nexus, browser) = hostile_chat().await;
    assert_eq!(answer(&nexus, &browser, "log-flood").await, "logged");
    let lines = nexus.output().lines().filter(|l| l.contains("flood ")).count();
    assert!((1..2_000).contains(&lines), "{lines} lines of 20,000");
}
