//! Nobody outside shuts the owner out: floods of logins, connections that never read, and what the audit keeps meanwhile.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::machine::Stopwatch;
use nexus_tests::nexus::{Nexus, Start};
use nexus_tests::wait;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

const CONFIG: &str = "[chat.main]\nplugin = \"chat-echo\"\n[web]\nhosts = [\"box.lan\"]\n";
/// More than a listener has.
const SOCKETS: usize = 520;

fn address(nexus: &Nexus) -> &str {
    nexus.url.strip_prefix("http://").unwrap()
}

/// The attack of the review: pipelined requests whose answers are never read blocked a listener for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_never_read_make_room() {
    let start = Start::new().config(CONFIG);
    let nexus = start.up();
    let request = format!("GET /nothing HTTP/1.1\r\nhost: {}\r\n\r\n", address(&nexus)).repeat(500);
    let mut silent = Vec::new();
    for _ in 0..SOCKETS {
        let socket = TcpSocket::new_v4().unwrap();
        // What is not read is soon not taken.
        socket.set_recv_buffer_size(4096).unwrap();
        let mut socket = socket.connect(address(&nexus).parse().unwrap()).await.unwrap();
        // As much as goes without waiting.
        let _ = tokio::time::timeout(Duration::from_millis(5), socket.write_all(request.as_bytes())).await;
        silent.push(socket);
    }
    for _ in 0..5 {
        let watch = Stopwatch::start();
        // A connection of its own: one that is kept and idle is what makes room.
        let health = reqwest::get(format!("{}/healthz", nexus.url)).await.unwrap();
        assert_eq!(health.status(), 200);
        watch.stop().assert_within("an answer", Duration::from_secs(20));
    }
    drop(silent);
}

/// The attack of the review: a flood of logins at one place kept the owner from logging in everywhere, and pushed what the
/// owner did out of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_elsewhere_does_not_keep_the_owner_out_nor_empty_the_audit() {
    let start = Start::new().config(CONFIG);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    let (stop, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let flood: Vec<_> = (0..40)
        .map(|stranger| {
            let (stop, tried, browser) = (
                Arc::clone(&stop),
                Arc::clone(&tried),
                Browser::named(&nexus.url, "box.lan"),
            );
            tokio::spawn(async move {
                for attempt in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    browser.log_in(&format!("name{stranger}-{attempt}"), "wrong").await;
                    tried.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let begun = Instant::now();
    let tries = || tried.load(Ordering::SeqCst);
    wait::seen("the flood begins", tries, |tries| *tries >= 40);
    for attempt in 0..12 {
        let out = owner.submit_on("/account", "/logout", &[]).await;
        assert!(out.status().is_redirection(), "{}", out.status());
        let answer = owner.log_in(ACCOUNT, PASSWORD).await;
        assert!(
            answer.status().is_redirection(),
            "attempt {attempt}: {}",
            answer.status()
        );
    }
    // One who is not known here yet waits for a turn, and gets it.
    let fresh = Browser::new(&nexus.url);
    assert!(fresh.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
    stop.store(true, Ordering::SeqCst);
    for stranger in flood {
        stranger.await.unwrap();
    }
    let count_in = |audit: &[Value], event: &str| audit.iter().filter(|line| line["event"] == event).count();
    let audit = start.audit(|audit| count_in(audit, "login") >= 12);
    let count = |event: &str| count_in(&audit, event);
    assert_eq!(count("first_account_added"), 1);
    // 32 different ones a minute, and one line for the others.
    let strangers = count("login_failed") + count("login_locked") + count("login_unchecked");
    let minutes = 1 + usize::try_from(begun.elapsed().as_secs()).unwrap() / 60 + 1;
    assert!(strangers <= minutes * 40, "{strangers} lines");
    assert!(
        !serde_json::to_string(&audit).unwrap().contains("name0-0"),
        "what is typed where there is no such account may be a password"
    );
}

/// The attack of a review: connections to each of several listeners, none of them full, and no file left for the owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_leave_files_for_the_owner() {
    let start = Start::new().config(CONFIG);
    let nexus = start.up();
    let few = libc::rlimit {
        rlim_cur: 500,
        rlim_max: 500,
    };
    let pid = libc::pid_t::try_from(nexus.pid()).unwrap();
    // SAFETY: it reads one struct that lives, and writes nothing.
    #[allow(unsafe_code)]
    let lowered = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const few, std::ptr::null_mut()) };
    assert_eq!(lowered, 0);
    let mut silent = Vec::new();
    for _ in 0..490 {
        let connecting = tokio::net::TcpStream::connect(address(&nexus));
        if let Ok(Ok(socket)) = tokio::time::timeout(Duration::from_secs(5), connecting).await {
            silent.push(socket);
        }
    }
    let watch = Stopwatch::start();
    let health = reqwest::get(format!("{}/healthz", nexus.url)).await.unwrap();
    assert_eq!(health.status(), 200);
    let status = start.run(&["status"], &[], "");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    watch.stop().assert_within("an answer", Duration::from_secs(10));
    assert!(!nexus.output().contains("cannot accept"), "{}", nexus.output());
    drop(silent);
}

/// The attack of a review: what was sent of each request is less than its length says, and then nothing more comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_makes_room() {
    let start = Start::new().config(CONFIG);
    let nexus = start.up();
    let half = format!(
        "POST /login HTTP/1.1\r\nhost: {0}\r\norigin: http://{0}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nx",
        address(&nexus)
    );
    let mut silent = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = tokio::net::TcpStream::connect(address(&nexus)).await.unwrap();
        socket.write_all(half.as_bytes()).await.unwrap();
        silent.push(socket);
    }
    let watch = Stopwatch::start();
    let health = reqwest::get(format!("{}/healthz", nexus.url)).await.unwrap();
    assert_eq!(health.status(), 200);
    watch.stop().assert_within("an answer", Duration::from_secs(10));
    drop(silent);
}
