//! A chat that misbehaves: it reports why it crashed, is restarted, and nobody else notices.

use super::common::{
    ATTACKS, CHAT, LATE, answer, health, hostile_chat, memory_comes_back, pulse, resident, until_health,
};
use nexus_tests::world::{Conversation, ready};
use nexus_tests::{processes, wait};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_crashes_reports_why_is_restarted_and_finds_its_process() {
    let (nexus, browser) = hostile_chat("").await;
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
        until_health(&nexus, CHAT, "it crashed", |p| p["restarts"] == round + 1).await;
        chat.until("the turn is interrupted", |c| c.turn == "interrupted").await;
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
async fn a_chat_that_crashes_too_often_waits_for_the_operator() {
    let (nexus, browser) = hostile_chat("").await;
    for fall in 1..=6 {
        until_health(&nexus, CHAT, "it runs", |p| p["state"] == "running").await;
        ready(&browser).await;
        let mut chat = Conversation::create(&browser, &nexus).await;
        chat.prompt("trap").await;
        until_health(&nexus, CHAT, "it crashed", |p| {
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
async fn a_prompt_that_crashes_the_plugin_is_not_sent_for_ever() {
    let (nexus, browser) = hostile_chat("").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.socket
        .send(&json!({"type": "prompt", "session": chat.session, "client_id": "poison-1", "text": "call trap"}))
        .await;
    // Refused: a page that is told to wait would send it for ever.
    let refused = chat.frames_until(|f| f["client_id"] == "poison-1").await;
    assert_eq!(refused["type"], "refused", "{refused}");
    chat.until("the prompt is marked", |c| {
        c.errors().contains("Nexus does not send it again")
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
async fn a_denial_is_reported_with_what_would_allow_it() {
    let (nexus, browser) = hostile_chat("").await;
    let said = answer(&nexus, &browser, "denied").await;
    for toml in [
        "[plugin.hostile-chat.grants]\nhttp = [\"https://denied.example\"]",
        "[plugin.hostile-chat.grants.process.denied-tool]\n# path = ",
        "[plugin.hostile-chat.secrets]\ntoken = { env = \"VARIABLE\" }",
        "https://unasked.example. Its manifest does not request this permission, so it cannot be granted.",
    ] {
        assert!(said.contains(toml), "{toml}\nis not in\n{said}");
    }
    assert!(!said.contains("let through"), "{said}");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_is_asked_where_it_is_granted_and_no_other_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("a.sock");
    let url = format!("http+unix://{}", path.to_str().unwrap().replace('/', "%2F"));
    let listener = UnixListener::bind(&path).unwrap();
    let settings = format!("config.socket = {path:?}\n");
    let (nexus, browser) = hostile_chat(&format!("{settings}grants.http = [{url:?}]\n")).await;
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let body = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npineapple";
        stream.write_all(body.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap().to_lowercase()
    };
    let (said, head) = tokio::join!(answer(&nexus, &browser, "socket"), answering);
    assert!(
        head.starts_with("get /status?from=guest http/1.1\r\n") && head.contains("host: named.sock"),
        "{head}"
    );
    let (first, other) = said.split_once("---").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(first.trim(), "pineapple");
    assert!(other.contains("a.sock.other. Its manifest does not request"), "{other}");
    drop(nexus);

    let (nexus, browser) = hostile_chat(&settings).await;
    let said = answer(&nexus, &browser, "socket").await;
    let lines = format!("[plugin.hostile-chat.grants]\nhttp = [{url:?}]");
    assert!(
        said.contains(&lines) && said.contains("no permission to send requests to the socket"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_limited_and_can_be_stopped() {
    let (nexus, browser) = hostile_chat("").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    let before = resident(nexus.pid());
    chat.prompt("flood").await;
    chat.until("it floods", |c| c.seq > 1_000).await;
    // From here on this client takes nothing.
    let (begun, mut most) = (processes::cpu(nexus.pid()), 0);
    let work = async || {
        most = most.max(resident(nexus.pid()));
        processes::cpu(nexus.pid()) - begun
    };
    // By work, not by the clock: so much of it goes on that what is kept of it would be seen.
    wait::seen_async("Nexus has worked for a while", work, |cpu| {
        *cpu >= Duration::from_secs(3)
    })
    .await;
    println!("flood: {before} KiB before, {most} KiB at most");
    assert!(most < before + 64 * 1024, "{before} KiB before, {most} KiB at most");
    let mut other = browser.socket("/live").await.unwrap();
    other.send(&json!({"type": "hello", "protocol": 3})).await;
    other
        .send(&json!({"type": "cancel", "id": "x", "session": chat.session}))
        .await;
    let done = other.until(|f| f["id"] == "x").await;
    assert_eq!(done.last().unwrap()["type"], "done", "{done:?}");
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_lines_is_cut() {
    let (nexus, browser) = hostile_chat("").await;
    let begun = Instant::now();
    assert_eq!(answer(&nexus, &browser, "log-flood").await, "logged");
    // A hundred at once, and a hundred a second.
    let most = 200 + 100 * begun.elapsed().as_secs() as usize;
    let lines = nexus.output().lines().filter(|l| l.contains("flood ")).count();
    assert!(
        (1..most.min(20_000)).contains(&lines),
        "{lines} lines of 20,000; at most {most}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_grows_without_an_end_is_limited_and_can_be_stopped() {
    let (nexus, browser) = hostile_chat("").await;
    let mut chat = Conversation::create(&browser, &nexus).await;
    let work = async {
        chat.prompt("delta-flood").await;
        // Read on, as a browser does: it stops coming.
        let idle = Duration::from_secs(2);
        while let Ok(frame) = tokio::time::timeout(idle, chat.socket.next()).await {
            assert!(frame.is_some(), "the socket was closed");
        }
        let done = chat.request("cancel", json!({})).await;
        assert_eq!(done["type"], "done", "{done}");
    };
    let ((), busy) = memory_comes_back(&nexus, "delta-flood", pulse(&browser, "/healthz", work)).await;
    busy.assert_within("delta-flood: /healthz", LATE);
    let kept = std::fs::read_dir(nexus.folder().join("data"))
        .unwrap()
        .filter_map(|e| e.unwrap().metadata().ok())
        .map(|m| m.len())
        .sum::<u64>();
    println!("delta-flood: {} MiB in the data folder", kept >> 20);
    assert!(kept < 200 << 20, "{kept}");
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

/// As many as the others in `beside`; here the plugin is the chat itself, so what is measured is the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_opens_ten_thousand_of_everything() {
    let (nexus, browser) = hostile_chat("").await;
    let work = async {
        for (round, (attack, words)) in [
            ("streams", "[plugin.hostile-chat.limits]\nstreams = 128"),
            ("sleeps", "has too many sleeping tasks at once: more than 1024"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut chat = Conversation::create(&browser, &nexus).await;
            chat.prompt(attack).await;
            until_health(&nexus, CHAT, "it crashed", |p| p["restarts"] == round + 1).await;
            let page = browser.get("/status").await.text().await.unwrap();
            assert!(page.contains(words), "{words} is not in {page}");
            chat.until("the turn is interrupted", |c| c.turn == "interrupted").await;
            ready(&browser).await;
        }
        let said = answer(&nexus, &browser, "calls").await;
        assert!(
            said.contains("limited: The plugin hostile-chat waits for 64 streams at once, its limit"),
            "{said}"
        );
    };
    let ((), busy) = memory_comes_back(&nexus, "ten thousand", pulse(&browser, "/healthz", work)).await;
    busy.assert_within("ten thousand: /healthz", LATE);
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_over_its_quota_is_refused_and_the_rest_of_it_stays() {
    let (nexus, browser) = hostile_chat("").await;
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    let said = answer(&nexus, &browser, "store").await;
    assert!(
        said.contains("after 3: limited: the store of plugin hostile-chat would have")
            && said.contains("its quota is 1048576"),
        "{said}"
    );
    // It made room again; its chats are still there, and the accounts of Nexus never knew.
    assert_eq!(answer(&nexus, &browser, "hello").await, "hello");
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_whose_calls_never_return_is_started_again() {
    let (nexus, browser) = hostile_chat("limits.call = \"1s\"\n").await;
    let hanging = async |n: usize| {
        let mut chat = Conversation::create(&browser, &nexus).await;
        let prompt =
            json!({"type": "prompt", "session": chat.session, "client_id": format!("hang-{n}"), "text": "call hang"});
        chat.socket.send(&prompt).await;
        chat
    };
    let mut chats = Vec::new();
    for n in 0..6 {
        chats.push(hanging(n).await);
    }
    let (_, took) = pulse(
        &browser,
        "/healthz",
        until_health(&nexus, CHAT, "it has crashed", |p| p["restarts"].as_u64().unwrap() > 0),
    )
    .await;
    took.assert_within("call hang: /healthz", LATE);
    let page = browser.get("/status").await.text().await.unwrap();
    assert!(
        page.contains("too many calls were not answered within 1000 ms"),
        "{page}"
    );
}
