//! Many chats at once.

use super::WORDS;
use super::figures::Figures;
use super::stage::Stage;
use crate::binaries::Binary;
use nexus_tests::tunnels::stop;

pub(super) const WHAT: &str = "32 chats at once, a reader each";
const CHATS: usize = 32;

pub(super) async fn run(binary: &Binary) -> Figures {
    let mut stage = Stage::up(binary, "").await;
    let mut readers = Vec::new();
    for _ in 0..CHATS {
        readers.push(stage.chat().await);
    }
    let figures = stage.measure(readers, WORDS).await;
    stop(stage.nexus);
    figures
}
