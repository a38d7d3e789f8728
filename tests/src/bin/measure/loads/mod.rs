//! What a user feels of Nexus under load, of two binaries by turns: the one under test, and the one that `NEXUS_BEFORE` names.
//!
//! Unless a load says otherwise, a chat is answered with 50 events a second, and the latency of an event is the time from the write of
//! the backend's server (this program) to the frame's arrival at a reader (this program as well).

mod full_disk;
mod greedy;
mod idle;
mod many_chats;
mod server;
mod slow_disk;
mod stage;
mod stalled;
mod statistics;

use crate::binaries::Binary;
use crate::fan_out;
use statistics::Statistics;

const ROUNDS: usize = 3;
/// Ten seconds of a chat.
const WORDS: usize = 10 * stage::RATE;

pub(crate) async fn measure() {
    let binaries = Binary::all();
    statistics::head();
    turns(&binaries, "1 reader, a backend without a pause", async |binary| {
        Statistics::of_fan_out(&fan_out::run(binary, 1, 80_000).await)
    })
    .await;
    turns(&binaries, "100 readers, the same", async |binary| {
        Statistics::of_fan_out(&fan_out::run(binary, 100, 20_000).await)
    })
    .await;
    turns(&binaries, idle::WHAT, idle::run).await;
    turns(&binaries, slow_disk::WHAT, slow_disk::run).await;
    turns(&binaries, full_disk::WHAT, full_disk::run).await;
    turns(&binaries, stalled::WHAT, stalled::run).await;
    for (what, attack) in greedy::ATTACKS {
        turns(&binaries, what, async |binary| greedy::run(binary, attack).await).await;
    }
    turns(&binaries, many_chats::WHAT, many_chats::run).await;
}

/// The rounds of one load, the binaries by turns.
async fn turns(binaries: &[Binary], what: &str, run: impl AsyncFn(&Binary) -> Statistics) {
    if let Ok(only) = std::env::var("NEXUS_LOAD")
        && !what.contains(&only)
    {
        return;
    }
    let mut rounds: Vec<Vec<Statistics>> = binaries.iter().map(|_| Vec::new()).collect();
    for round in 1..=ROUNDS {
        for (binary, statistics) in binaries.iter().zip(&mut rounds) {
            eprintln!("measuring: {what}: {}, round {round} of {ROUNDS}", binary.name);
            statistics.push(run(binary).await);
        }
    }
    for (binary, statistics) in binaries.iter().zip(&rounds) {
        statistics::row(what, binary.name, statistics);
    }
}
