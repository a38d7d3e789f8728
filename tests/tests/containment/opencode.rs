//! A tunnel and a login that crash while the real opencode streams.

use super::common::{ATTACKS, AUTH, LATE, TUNNEL, health, until_health};
use nexus_tests::browser::{ACCOUNT, Browser};
use nexus_tests::guests::guest;
use nexus_tests::machine::Stopwatch;
use nexus_tests::world::World;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// A stream of the real opencode while the tunnel and the login misbehave.
async fn others_crash_while_a_chat_streams(attack: &str, words: &str) {
    let world = World::up(&format!(
        "[auth]\nplugin = \"hostile-auth\"\n[tunnel.hostile]\nplugin = \"hostile-tunnel\"\nallow_plaintext = true\n\
         [plugin.hostile-tunnel]\nsource = {:?}\nconfig.attack = \"{attack}\"\nlimits.cpu = \"300ms\"\nlimits.memory = \"32 MiB\"\n\
         [plugin.hostile-auth]\nsource = {:?}\nlimits.cpu = \"300ms\"\nlimits.memory = \"32 MiB\"\n",
        guest(TUNNEL),
        guest(AUTH),
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
                text.contains("cannot") || text.contains("not available") || text.contains("crashed"),
                "{text}"
            );
        }
    };
    let times = RefCell::new(Vec::new());
    let watch = Stopwatch::start();
    let streaming = chat.until("the turn is over", |c| {
        times.borrow_mut().push((Instant::now(), c.answer().len()));
        c.turn == "idle"
    });
    let ((), _, ()) = tokio::join!(streaming, start, logins);
    let lap = watch.stop();
    assert_eq!(chat.answer().len(), 300 * 6);
    let mut gaps: Vec<Duration> = times.borrow().windows(2).map(|two| two[1].0 - two[0].0).collect();
    gaps.sort();
    let (middle, most) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    println!(
        "{attack}: between two events: median {middle:?}, most {most:?}, of {}",
        gaps.len()
    );
    lap.assert_one_within("the time between two events", most, LATE);

    let login = health(&world.nexus.url, "hostile-auth").await;
    assert_eq!(login["state"], "running");
    let failed = until_health(&world.nexus, "hostile-tunnel", "it crashed too often", |p| {
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
            "the page does not say why {plugin} crashed: {of_it}"
        );
    }
    assert_eq!(health(&world.nexus.url, "chat-opencode").await["restarts"], 0);

    chat.prompt("[[text n=3 rate=40 size=6]]").await;
    chat.until_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_tunnel_and_a_login_that_trap_do_not_touch_the_chat() {
    others_crash_while_a_chat_streams(ATTACKS[0].0, ATTACKS[0].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_tunnel_and_a_login_that_spin_do_not_touch_the_chat() {
    others_crash_while_a_chat_streams(ATTACKS[1].0, ATTACKS[1].1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the real opencode: ./tests/run"]
async fn a_tunnel_and_a_login_that_take_memory_do_not_touch_the_chat() {
    others_crash_while_a_chat_streams(ATTACKS[2].0, ATTACKS[2].1).await;
}
