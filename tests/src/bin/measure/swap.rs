//! How long another plugin needs to take over a tunnel.

use crate::{percentile, sorted};
use nexus_tests::bore::Server;
use nexus_tests::browser::Browser;
use nexus_tests::guests::builtin;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::{action, stop, swap, tunnel};
use std::time::Instant;

const SWAPS: usize = 21;

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
        let begun = Instant::now();
        swap(&owner, "home", ["bore-too", "tunnel-bore"][n % 2]).await;
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
