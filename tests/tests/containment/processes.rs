//! Processes that their plugins started and forgot.

use super::common::{
    AUTH, CHAT, LOGIN, MAIN, TUNNEL, WAY, answer, health, hostile, hostile_chat, until_card, until_health,
};
use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::nexus::Nexus;
use nexus_tests::tunnels::{action, stop};
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};

const SLEEP: &str = "sleep 3600";

/// How many of the plugins' processes run, their shims not counted.
fn running(nexus: &mut Nexus) -> usize {
    let all = nexus.descendants();
    all.into_iter()
        .filter(|pid| nexus_tests::processes::command_line(*pid).ends_with(SLEEP))
        .filter(|pid| !nexus_tests::processes::command_line(*pid).contains("nexus"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_chat_abandons_is_part_of_its_limit_and_ends_with_nexus() {
    let (mut nexus, browser) = hostile_chat("limits.processes = 4\n").await;
    // Started, then it crashed; the next instance never asks for it.
    let mut chat = Conversation::create(&browser, &nexus).await;
    chat.prompt("abandon").await;
    until_health(&nexus, CHAT, "it crashed", |p| p["restarts"] == 1).await;
    chat.until("the turn is interrupted", |c| c.turn == "interrupted").await;
    ready(&browser).await;
    assert_eq!(running(&mut nexus), 1);
    // It ensures others instead.
    assert!(answer(&nexus, &browser, "process").await.starts_with("started "));
    assert!(answer(&nexus, &browser, "other-process").await.starts_with("started "));
    assert_eq!(running(&mut nexus), 3);
    let refused = answer(&nexus, &browser, "processes").await;
    assert!(
        refused.contains("after 1: limited: The plugin hostile-chat runs 4 processes at once, its limit")
            && refused.contains("[plugin.hostile-chat.limits]\nprocesses = 8"),
        "{refused}"
    );
    assert_eq!(running(&mut nexus), 4);
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 1);
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tunnel_abandons_ends_when_the_restart_limit_is_reached() {
    let nexus = hostile(
        &[(CHAT, ""), (TUNNEL, "config.attack = \"abandon\"\n")],
        &format!("{MAIN}{WAY}"),
    );
    let mut nexus = nexus.up();
    let browser = Browser::set_up(&nexus).await;
    // The other plugin's process stays.
    ready(&browser).await;
    assert!(answer(&nexus, &browser, "process").await.starts_with("started "));
    for round in 1..=2 {
        action(&browser, "hostile", "start").await;
        until_health(&nexus, TUNNEL, "it crashed", |p| {
            p["restarts"].as_u64().unwrap() > 5 * (round - 1)
        })
        .await;
        wait::seen("its process runs", || running(&mut nexus), |n| *n == 2);
        until_health(&nexus, TUNNEL, "it crashed too often", |p| p["state"] == "failed").await;
        until_card(&browser, "hostile", &["Failed", "To fix: open the tunnel again"]).await;
        wait::seen("its process ends", || running(&mut nexus), |n| *n == 1);
    }
    stop(nexus);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_login_abandons_is_bounded_and_ends_with_nexus() {
    let mut nexus = hostile(
        &[(CHAT, ""), (AUTH, "limits.processes = 3\n")],
        &format!("{LOGIN}{MAIN}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    let stranger = Browser::new(&nexus.url);
    for _ in 0..2 {
        stranger.log_in(ACCOUNT, "abandon").await;
    }
    until_health(&nexus, AUTH, "it crashed twice", |p| p["restarts"] == 2).await;
    assert_eq!(running(&mut nexus), 1, "the second found the process of the first");
    let text = stranger.log_in(ACCOUNT, "processes").await.text().await.unwrap();
    assert!(
        text.contains("after 2: limited: The plugin hostile-auth runs 3 processes at once"),
        "{text}"
    );
    assert_eq!(running(&mut nexus), 3);
    until_card(&browser, AUTH, &["Running", "restarted 2 times"]).await;
    stop(nexus);
}
