//! Many chats at once.

use super::WORDS;
use super::stage::Stage;
use super::statistics::Statistics;
use crate::binaries::Binary;
use nexus_tests::tunnels::stop;

pub(super) const WHAT: &str = "32 chats at once, a reader each";
const CHATS: usize = 32;

pub(super) async fn run(binary: &Binary) -> Statistics {
    let mut stage = Stage::up(binary, "").await;
    let mut readers = Vec::new();
    for _ in 0..CHATS {
        readers.push(stage.chat().await);
    }
    let statistics = stage.measure(readers, WORDS).await;
    stop(stage.nexus);
    statistics
}
