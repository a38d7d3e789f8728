//! How often a Nexus wakes in which nothing happens.

use crate::median;
use crate::start::THREE;
use nexus_tests::browser::Browser;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::wakes;
use nexus_tests::world::ready_example;
use serde_json::json;
use std::time::Duration;

const RUNS: usize = 3;
const DURING: Duration = Duration::from_secs(20);
/// The threads on which it was started end when they have had nothing to do for ten seconds.
const SETTLES: Duration = Duration::from_secs(12);

/// Three plugins and an account; with nobody connected, and with a live socket of the page.
pub(crate) async fn measure() {
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let nexus = Start::new().config(THREE).up();
        let owner = Browser::set_up(&nexus).await;
        ready_example(&owner).await;
        tokio::time::sleep(SETTLES).await;
        let rates = wakes::rates(nexus.pid(), DURING);
        eprintln!("wakes a second by thread, nobody connected: {rates:.2?}");
        alone.push(wakes::sum(&rates));
        let mut socket = owner.socket("/live").await.unwrap();
        socket.send(&json!({"type": "hello", "protocol": 3})).await;
        socket.until(|frame| frame["type"] == "backend").await;
        tokio::time::sleep(SETTLES).await;
        let rates = wakes::rates(nexus.pid(), DURING);
        eprintln!("wakes a second by thread, one live socket: {rates:.2?}");
        watched.push(wakes::sum(&rates));
        drop(socket);
        stop(nexus);
    }
    println!(
        "| wakes a second of an idle Nexus with three plugins, nobody connected / one live socket | {:.1} / {:.1} |",
        median(alone),
        median(watched)
    );
}
