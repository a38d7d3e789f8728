//! A Nexus in which nothing happens.

use nexus_tests::browser::Browser;
use nexus_tests::nexus::Start;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use nexus_tests::wakes::{rates, sum};
use nexus_tests::world::ready_example;
use std::time::Duration;

const THREE: &str = "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.main]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
                     [plugin.tunnel-bore.config]\nserver = \"127.0.0.1\"\n";
/// Wakes a second of all threads together. Something that looks each second by a timer of the runtime wakes it three times.
const BOUND: f64 = 3.0;
const DURING: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_nexus_with_three_plugins_hardly_wakes() {
    let nexus = Start::new().config(THREE).up();
    let owner = Browser::set_up(&nexus).await;
    ready_example(&owner).await;
    drop(owner);
    let pid = nexus.pid();
    // The first seconds count the end of the start.
    tokio::task::spawn_blocking(move || {
        wait::seen(
            "an idle Nexus hardly wakes",
            || rates(pid, DURING),
            |rates| sum(rates) < BOUND,
        );
    })
    .await
    .unwrap();
    stop(nexus);
}
