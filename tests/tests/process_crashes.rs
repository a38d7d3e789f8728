//! What breaks while the real opencode answers: the backend, the shim, Nexus itself. Nothing that was seen is lost,
//! and nothing is left behind.

use nexus_tests::browser::{ACCOUNT, Browser, PASSWORD};
use nexus_tests::processes::{alive, command_line, signal};
use nexus_tests::wait;
use nexus_tests::world::{Conversation, World};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Ten seconds of text: nothing here is over before it is broken.
const LONG: &str = "[[text n=400 rate=40 size=6]]";

async fn answering(world: &World) -> Conversation {
    let mut chat = world.conversation().await;
    chat.prompt(LONG).await;
    chat.until("some text came", |c| c.answer().len() > 200).await;
    assert_eq!(chat.turn, "running");
    chat
}

/// The interrupted answer still shows what was seen, and is continued to its end.
async fn goes_on(chat: &mut Conversation, seen: &str) {
    chat.until("the answer is marked as interrupted", |c| {
        c.interrupted() && c.turn != "running"
    })
    .await;
    let kept = chat.answer();
    assert!(
        kept.starts_with(seen),
        "what was seen is lost: {seen:?} became {kept:?}"
    );
    assert!(kept.len() < 400 * 6, "it was over before");
    let before = assistants(chat);
    // While the backend comes back it may say so.
    let ask = async || chat.request("continue", json!({})).await;
    wait::seen_async("the backend goes on", ask, |answer| answer["type"] == "done").await;
    chat.until("the continued turn is over", |c| {
        c.turn == "idle" && assistants(c) > before
    })
    .await;
    assert!(chat.answer().starts_with(seen), "{}", chat.answer());
    assert!(chat.answer().len() > kept.len(), "nothing was added to {kept:?}");
    assert!(!chat.interrupted() || chat.turn == "idle");
    assert_eq!(chat.errors(), "");
}

fn assistants(chat: &Conversation) -> usize {
    chat.messages.values().filter(|m| m["role"] == "assistant").count()
}

/// The shims of this Nexus, its reaper not among them.
fn shims(world: &mut World) -> Vec<u32> {
    let all = world.nexus.descendants();
    all.into_iter()
        .filter(|pid| command_line(*pid).contains("__shim --control"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn opencode_is_killed_in_the_middle_of_an_answer() {
    let mut world = World::up("").await;
    let mut chat = answering(&world).await;
    let seen = chat.answer();
    let pid = world.opencode_pid();
    assert!(signal(pid, libc::SIGKILL));
    let begin = Instant::now();
    chat.until("the answer is marked as interrupted", Conversation::interrupted)
        .await;
    println!("marked as interrupted after {:.2} s", begin.elapsed().as_secs_f64());
    world.ready().await;
    println!("opencode was back after {:.2} s", begin.elapsed().as_secs_f64());
    goes_on(&mut chat, &seen).await;
    assert_ne!(world.opencode_pid(), pid);
    // Who comes late sees the same.
    let mut late = world.look(&chat.session, None).await;
    late.until("the state came", |c| c.seq > 0).await;
    assert_eq!(late.answer(), chat.answer());
    assert_eq!(world.nexus.terminate(Duration::from_secs(25)).unwrap().code(), Some(0));
    assert!(world.nexus.survivors().is_empty());
}

/// It goes on after a while, and has said what it said meanwhile to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn opencode_is_silent_for_a_while_in_the_middle_of_an_answer() {
    let mut world = World::up("").await;
    let mut chat = answering(&world).await;
    let pid = world.opencode_pid();
    assert!(signal(pid, libc::SIGSTOP));
    let backend = async || -> Value { world.browser.get("/api/v1/backend").await.json().await.unwrap() };
    wait::seen_async("it is waited for", backend, |b| b["state"] != "up").await;
    assert!(signal(pid, libc::SIGCONT));
    world.ready().await;
    chat.until("the answer is whole", |c| {
        c.turn == "idle" && c.answer().len() >= 400 * 6
    })
    .await;
    assert!(!chat.interrupted(), "{}", chat.answer());
    assert_eq!(world.opencode_pid(), pid, "it was not started again");
    // Who comes late sees the same, and it goes on.
    let mut late = world.look(&chat.session, None).await;
    late.until("the state came", |c| c.seq > 0).await;
    assert_eq!(late.answer(), chat.answer());
    let before = assistants(&chat);
    chat.prompt("Say something.").await;
    chat.until("the next prompt is answered", |c| {
        c.turn == "idle" && assistants(c) > before
    })
    .await;
    assert_eq!(world.nexus.terminate(Duration::from_secs(25)).unwrap().code(), Some(0));
}

/// Its process lives, so nothing but its silence tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn opencode_hangs_in_the_middle_of_an_answer() {
    let mut world = World::up("").await;
    let mut chat = answering(&world).await;
    let seen = chat.answer();
    let pid = world.opencode_pid();
    assert!(signal(pid, libc::SIGSTOP));
    let begin = Instant::now();
    let backend = async || -> Value { world.browser.get("/api/v1/backend").await.json().await.unwrap() };
    // It is unavailable, or is waited for by now.
    wait::seen_async("the page shows that something is wrong", backend, |b| {
        b["state"] != "up"
    })
    .await;
    println!("reported after {:.0} s", begin.elapsed().as_secs_f64());
    wait::until("it is ended, and not adopted again and again", || !alive(pid));
    world.ready().await;
    println!("another one was there after {:.0} s", begin.elapsed().as_secs_f64());
    goes_on(&mut chat, &seen).await;
    assert_ne!(world.opencode_pid(), pid);
    assert_eq!(world.nexus.terminate(Duration::from_secs(25)).unwrap().code(), Some(0));
    assert!(world.nexus.survivors().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn nexus_is_killed_in_the_middle_of_an_answer() {
    let mut world = World::up("").await;
    let chat = answering(&world).await;
    let (seen, seq) = (chat.answer(), chat.seq);
    let session = chat.session.clone();
    drop(chat);
    let begin = Instant::now();
    world.kill_and_start_again().await;
    println!("gone and listening again after {:.2} s", begin.elapsed().as_secs_f64());
    // The old cookie is still good.
    assert_eq!(world.browser.get("/").await.status(), 200);
    // The page shows it at once, the backend may still be starting.
    let mut late = world.look(&session, None).await;
    late.until("the state came", |c| c.seq > 0).await;
    assert!(
        late.answer().starts_with(&seen),
        "lost: {seen:?} became {:?}",
        late.answer()
    );
    assert!(late.seq >= seq, "{} after {seq}", late.seq);
    world.ready().await;
    goes_on(&mut late, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn the_shim_is_killed_in_the_middle_of_an_answer() {
    let mut world = World::up("").await;
    let mut chat = answering(&world).await;
    let seen = chat.answer();
    let opencode = world.opencode_pid();
    for shim in shims(&mut world) {
        assert!(signal(shim, libc::SIGKILL));
    }
    wait::until("opencode ends with its shim", || !alive(opencode));
    chat.until("the answer is marked as interrupted", Conversation::interrupted)
        .await;
    world.ready().await;
    goes_on(&mut chat, &seen).await;
    assert_ne!(world.opencode_pid(), opencode);
    world.nexus.kill();
    assert_eq!(world.nexus.survivors(), []);
}

/// Starts a tool whose child leaves its process group and session, as a server that an agent starts does.
async fn with_a_stray(world: &mut World, chat: &mut Conversation) -> u32 {
    let call = r#"[[tool name=bash args={"command":"setsid sleep 4321 & sleep 600","description":"Waits"}]]"#;
    chat.prompt(call).await;
    chat.until("the tool asks", |c| !c.requests.is_empty()).await;
    let ask = chat.requests.values().next().unwrap()["id"].clone();
    chat.request("reply", json!({"request": ask, "answer": {"type": "once"}}))
        .await;
    let stray = || world.nexus.find_process("sleep 4321");
    wait::seen("the tool's child runs", stray, Option::is_some).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn nexus_and_the_shims_are_killed_together_and_nothing_survives() {
    let mut world = World::up("").await;
    let mut chat = world.conversation().await;
    let stray = with_a_stray(&mut world, &mut chat).await;
    let shims = shims(&mut world);
    assert!(!shims.is_empty());
    // Neither can act on the death of the other.
    for shim in &shims {
        signal(*shim, libc::SIGSTOP);
    }
    signal(world.nexus.pid(), libc::SIGSTOP);
    for shim in &shims {
        signal(*shim, libc::SIGKILL);
    }
    let begin = Instant::now();
    world.nexus.kill();
    assert_eq!(world.nexus.survivors(), []);
    assert!(!alive(stray));
    println!("nothing was left after {:.2} s", begin.elapsed().as_secs_f64());
    // And it starts again.
    world.nexus = world.start.up();
    world.browser = world.browser.at(&world.nexus.url);
    world.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_signal_to_end_ends_all_of_it_in_order_and_in_time() {
    let mut world = World::up("").await;
    let mut chat = world.conversation().await;
    let stray = with_a_stray(&mut world, &mut chat).await;
    let session = chat.session.clone();
    let begin = Instant::now();
    let exit = world.nexus.terminate(Duration::from_secs(25));
    println!("ended after {:.2} s", begin.elapsed().as_secs_f64());
    assert_eq!(exit.and_then(|e| e.code()), Some(0), "{}", world.nexus.output());
    assert_eq!(world.nexus.survivors(), []);
    assert!(!alive(stray));
    // What ran is marked, and the login is good.
    world.nexus = world.start.up();
    world.browser = world.browser.at(&world.nexus.url);
    let mut late = world.look(&session, None).await;
    late.until("the turn is known to be over", |c| c.seq > 0 && c.turn != "running")
        .await;
    let stranger = Browser::new(&world.nexus.url);
    assert!(stranger.log_in(ACCOUNT, PASSWORD).await.status().is_redirection());
}
