//! A chat beside a plugin that takes all that it gets.

use super::WORDS;
use super::stage::Stage;
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::tunnels::{action, stop};

/// The plugin is a tunnel, which begins with it as soon as it is opened.
pub(super) const ATTACKS: [(&str, &str); 4] = [
    ("a plugin in an endless loop", "spin"),
    ("a plugin that computes without a pause, 200 ms a turn", "burn"),
    ("a plugin that logs without a pause", "endless-log"),
    ("a plugin that writes into its store without a pause", "endless-store"),
];

pub(super) async fn run(binary: &Binary, attack: &str) -> Statistics {
    let tunnel = format!(
        "[tunnel.hostile]\nplugin = \"hostile-tunnel\"\nallow_plaintext = true\n[plugin.hostile-tunnel]\nsource = {:?}\n\
         grants.store_quota = \"1 MiB\"\nconfig.attack = {attack:?}\n",
        binary.guest("hostile-tunnel")
    );
    let mut stage = Stage::up(binary, &tunnel).await;
    let reader = stage.chat().await;
    let owner = stage.owner.clone();
    let statistics = stage
        .measure_while(vec![reader], WORDS, action(&owner, "hostile", "start"))
        .await;
    stop(stage.nexus);
    statistics
}
