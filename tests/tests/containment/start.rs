//! Plugins that crash, or say too much, as soon as they are asked what they are.

use super::common::{
    AUTH, CHAT, LOGIN, MAIN, TUNNEL, WAY, health, hostile, memory_comes_back, status_page, stream, until_card,
    until_health,
};
use nexus_tests::browser::Browser;
use nexus_tests::tunnels::action;
use nexus_tests::world::ready;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_that_crashes_at_every_start_waits_for_the_operator_who_can_start_it_again() {
    let nexus = hostile(
        &[(CHAT, ""), (TUNNEL, "config.start = \"trap\"\n")],
        &format!("{MAIN}{WAY}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    for round in 1..=2 {
        action(&browser, "hostile", "start").await;
        until_health(&nexus, TUNNEL, "it reaches its restart limit", |p| {
            p["state"] == "failed" && p["restarts"] == 5 * round
        })
        .await;
        until_card(&browser, "hostile", &["Failed", "restart limit", "Start"]).await;
        until_card(&browser, TUNNEL, &["Failed", "trap"]).await;
    }
    assert_eq!(health(&nexus.url, CHAT).await["restarts"], 0);
    stream(&nexus, &browser, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_crashes_at_every_start_leaves_the_page_and_the_tunnels() {
    let nexus = hostile(
        &[(CHAT, "config.start = \"trap\"\n"), (TUNNEL, "")],
        &format!("{MAIN}{WAY}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    let failed = until_health(&nexus, CHAT, "it reaches its restart limit", |p| p["state"] == "failed").await;
    assert_eq!(failed["restarts"], 5, "{failed}");
    until_card(&browser, CHAT, &["Failed", "trap", "restarted 5 times"]).await;
    let page = status_page(&browser).await;
    assert!(page.contains("Not running"), "{page}");
    action(&browser, "hostile", "start").await;
    until_card(&browser, "hostile", &["Open"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_crashes_at_every_start_is_reported_and_who_is_logged_in_stays_so() {
    let nexus = hostile(
        &[(CHAT, ""), (AUTH, "config.start = \"trap\"\n")],
        &format!("{LOGIN}{MAIN}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let answer = Browser::new(&nexus.url).get("/login").await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_server_error() && text.contains("crashed"), "{status} {text}");
    until_card(&browser, AUTH, &["Running", "trap"]).await;
    stream(&nexus, &browser, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_of_a_name_are_not_taken() {
    let huge = "config.start = \"huge\"\nlimits.memory = \"256 MiB\"\n";
    let nexus = hostile(
        &[(CHAT, ""), (TUNNEL, huge), (AUTH, huge)],
        &format!("{LOGIN}{MAIN}{WAY}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    let why = "it passed more than 67108864 bytes at once, its limit";
    memory_comes_back(&nexus, "a name of 100 MB", async {
        action(&browser, "hostile", "start").await;
        until_health(&nexus, TUNNEL, "it reaches its restart limit", |p| {
            p["state"] == "failed"
        })
        .await;
        Browser::new(&nexus.url).get("/login").await;
    })
    .await;
    until_card(&browser, TUNNEL, &["Failed", why]).await;
    until_card(&browser, AUTH, &["Running", why]).await;
    stream(&nexus, &browser, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_name_is_cut() {
    let long = "config.start = \"long\"\n";
    let nexus = hostile(
        &[(CHAT, long), (TUNNEL, long), (AUTH, long)],
        &format!("{LOGIN}{MAIN}{WAY}"),
    )
    .up();
    let browser = Browser::set_up(&nexus).await;
    ready(&browser).await;
    action(&browser, "hostile", "start").await;
    until_card(&browser, "hostile", &["Open", "lll… · plugin hostile-tunnel"]).await;
    for page in [
        status_page(&browser).await,
        Browser::new(&nexus.url).get("/login").await.text().await.unwrap(),
    ] {
        assert!(page.len() < 100_000, "a page of {} bytes", page.len());
    }
    stream(&nexus, &browser, 10).await;
}
