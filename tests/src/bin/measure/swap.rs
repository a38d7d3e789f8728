//! How long another plugin needs to replace the one of a tunnel.

use crate::{percentile, sorted};
use nexus_tests::bore::Server;
use nexus_tests::browser::Browser;
use nexus_tests::guests::builtin;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::{action, stop, tunnel};
use serde_json::Value;
use std::time::{Duration, Instant};

const SWAPS: usize = 21;
/// Not by the live socket, which tells of changes five times a second.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const BOUND: Duration = Duration::from_secs(30);

/// From the press of the button until the new plugin serves, with nobody connected through the tunnel.
pub(crate) async fn measure() {
    let server = Server::start(None);
    let config = format!(
        "{}[plugin.bore-too]\nsource = {:?}\nconfig.server = \"{}\"\ngrants.process.bore.path = {:?}\n",
        server.config(""),
        builtin("tunnel-bore"),
        server.address,
        nexus_tests::part("NEXUS_TEST_BORE")
    );
    let start = Start::new().config(config);
    let nexus = start.up();
    let owner = Browser::set_up(&nexus).await;
    action(&owner, "home", "start").await;
    tunnel(&owner, |t| t["state"] == "up").await;
    let mut took = Vec::new();
    for n in 0..SWAPS {
        let plugin = ["bore-too", "tunnel-bore"][n % 2];
        let begun = Instant::now();
        owner
            .submit_on("/status", "/status/tunnel/home/swap", &[("plugin", plugin)])
            .await;
        while !serves(&owner, plugin).await {
            assert!(begun.elapsed() < BOUND, "{plugin} does not serve");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    stop(nexus);
    let took = sorted(took);
    println!(
        "| swap of a tunnel (bore to bore, nobody connected), median / longest of {SWAPS} | {:.0} ms / {:.0} ms |",
        percentile(&took, 0.5),
        percentile(&took, 1.0)
    );
}

async fn serves(owner: &Browser, plugin: &str) -> bool {
    let tunnel: Value = owner.get("/api/v1/tunnels/home").await.json().await.unwrap();
    tunnel["plugin"] == plugin && tunnel["swap"].is_null() && tunnel["state"] == "up"
}
