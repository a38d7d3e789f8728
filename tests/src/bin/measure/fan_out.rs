//! How many events a second reach one client, and a hundred of the same chat.

use nexus_tests::browser::{Browser, Socket};
use nexus_tests::guests::guest;
use nexus_tests::nexus::Start;
use nexus_tests::processes::cpu;
use nexus_tests::tunnels::stop;
use nexus_tests::wait;
use nexus_tests::world::{Conversation, ready};
use serde_json::json;
use std::time::{Duration, Instant};

/// Words of the answer; each is an event.
const WORDS: usize = 20_000;
const RUNS: usize = 3;

/// What one run came to.
struct Run {
    /// From the first event to the last, at the client that was last.
    seconds: f64,
    /// CPU of Nexus, and of this program with all its clients.
    nexus: Duration,
    clients: Duration,
    /// How many deltas came, to all clients together.
    delivered: usize,
    /// Clients that were too slow, and so got the whole part, or the whole state, in place of some of its deltas.
    behind: usize,
}

/// What one client got of the answer.
struct Reading {
    seconds: f64,
    deltas: usize,
}

pub(crate) async fn measure() {
    let (mut alone, mut hundred) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        alone.push(run(1).await);
        hundred.push(run(100).await);
    }
    println!(
        "\n| clients of one chat | events a second to each | in all | CPU of Nexus an event delivered | CPU of Nexus / of \
         the clients, of 200 % | clients that were too slow |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (clients, mut runs) in [(1, alone), (100, hundred)] {
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let run = &runs[RUNS / 2];
        let delivered = run.delivered as f64;
        println!(
            "| {clients} | {:.0} | {:.0} | {:.1} µs | {:.0} % / {:.0} % | {} |",
            delivered / clients as f64 / run.seconds,
            delivered / run.seconds,
            run.nexus.as_secs_f64() * 1e6 / delivered,
            run.nexus.as_secs_f64() / run.seconds * 100.0,
            run.clients.as_secs_f64() / run.seconds * 100.0,
            run.behind
        );
    }
}

/// A Nexus of its own, with a backend that sends as fast as it can, an event at a time.
async fn run(clients: usize) -> Run {
    let config = format!(
        "[chat.main]\nplugin = \"hostile-chat\"\n[plugin.hostile-chat]\nsource = {:?}\ngrants.store_quota = \"1 MiB\"\n",
        guest("hostile-chat")
    );
    let nexus = Start::new().config(config).up();
    let owner = Browser::set_up(&nexus).await;
    ready(&owner).await;
    let mut author = Conversation::create(&owner, &nexus).await;
    let mut readers = Vec::new();
    for _ in 0..clients {
        let mut socket = owner.socket("/live").await.unwrap();
        socket
            .send(&json!({"type": "hello", "protocol": 3, "session": author.session}))
            .await;
        socket.until(|frame| frame["type"] == "state").await;
        readers.push(tokio::spawn(read(socket)));
    }
    let before = (cpu(nexus.pid()), cpu(std::process::id()));
    author.prompt(&format!("fast {WORDS}")).await;
    // The author looks no longer: what is counted are the readers.
    drop(author);
    let (mut seconds, mut delivered, mut behind) = (0.0_f64, 0, 0);
    for reader in readers {
        let reading = wait::within("the answer is whole", reader).await.unwrap();
        seconds = seconds.max(reading.seconds);
        delivered += reading.deltas;
        behind += usize::from(reading.deltas < WORDS);
    }
    let run = Run {
        delivered,
        behind,
        seconds,
        nexus: cpu(nexus.pid()) - before.0,
        clients: cpu(std::process::id()) - before.1,
    };
    stop(nexus);
    run
}

/// Reads until the answer is whole: by its last delta, or, for a client that was too slow, as a closed part or a state. It tells
/// how long that took from the first event on.
async fn read(mut socket: Socket) -> Reading {
    let (mut first, mut deltas) = (None, 0);
    let last = format!("word{} ", WORDS - 1);
    loop {
        // Whoever takes nothing for too long is closed; the page would come again.
        let Some(text) = socket.next_text().await else {
            let seconds = first.map_or(0.0, |began: Instant| began.elapsed().as_secs_f64());
            return Reading { seconds, deltas };
        };
        let delta = text.contains(r#""type":"delta""#);
        // The first one is the backend's own beginning.
        if delta && text.contains("heard") {
            continue;
        }
        let whole = text.contains(&last);
        if !delta && !whole {
            continue;
        }
        let began = *first.get_or_insert_with(Instant::now);
        deltas += usize::from(delta);
        if whole {
            let seconds = began.elapsed().as_secs_f64();
            return Reading { seconds, deltas };
        }
    }
}
