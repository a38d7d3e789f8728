//! How many events a second reach one client, and a hundred of the same chat.

use crate::binaries::Binary;
use crate::order::{End, Order};
use nexus_tests::browser::{Browser, Socket};
use nexus_tests::processes::{cpu, resident};
use nexus_tests::tunnels::stop;
use nexus_tests::world::{Conversation, ready};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// Words of the answer; each is an event.
const WORDS: usize = 20_000;
const RUNS: usize = 3;
/// A reader that has not all of them by then is counted as late.
const DEADLINE: Duration = Duration::from_secs(60);

/// What one run came to.
pub(crate) struct Run {
    /// From the first event to the last, at the client that was last.
    pub(crate) seconds: f64,
    /// CPU of Nexus, and of this program with all its clients.
    pub(crate) nexus: Duration,
    clients: Duration,
    pub(crate) resident: u64,
    pub(crate) readings: Vec<Reading>,
}

/// What one client got of the answer.
pub(crate) struct Reading {
    seconds: f64,
    pub(crate) end: End,
    pub(crate) order: Order,
}

impl Run {
    /// How many deltas came, to all clients together.
    pub(crate) fn delivered(&self) -> f64 {
        self.readings.iter().map(|reading| reading.order.deltas as f64).sum()
    }
    /// Clients that were too slow, and so got the whole part, or the whole state, in place of some of its deltas; that were
    /// closed; or that had not all of it in time.
    pub(crate) fn slow(&self) -> usize {
        let slow = |reading: &&Reading| reading.order.behind || reading.end != End::Complete;
        self.readings.iter().filter(slow).count()
    }
}

pub(crate) async fn measure() {
    let binary = Binary::under_test();
    let (mut alone, mut hundred) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        alone.push(run(&binary, 1, WORDS).await);
        hundred.push(run(&binary, 100, WORDS).await);
    }
    println!(
        "\n| clients of one chat | events a second to each | in all | CPU of Nexus an event delivered | CPU of Nexus / of \
         the clients, of 200 % | clients that were too slow |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (clients, mut runs) in [(1, alone), (100, hundred)] {
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let run = &runs[RUNS / 2];
        let delivered = run.delivered();
        println!(
            "| {clients} | {:.0} | {:.0} | {:.1} µs | {:.0} % / {:.0} % | {} |",
            delivered / clients as f64 / run.seconds,
            delivered / run.seconds,
            run.nexus.as_secs_f64() * 1e6 / delivered,
            run.nexus.as_secs_f64() / run.seconds * 100.0,
            run.clients.as_secs_f64() / run.seconds * 100.0,
            run.slow()
        );
    }
}

/// A Nexus of its own, with a backend that sends as fast as it can, an event at a time.
pub(crate) async fn run(binary: &Binary, clients: usize, words: usize) -> Run {
    let config = format!(
        "[chat.main]\nplugin = \"hostile-chat\"\n[plugin.hostile-chat]\nsource = {:?}\ngrants.store_quota = \"1 MiB\"\n",
        binary.guest("hostile-chat")
    );
    let nexus = binary.start().config(config).up();
    let owner = Browser::set_up(&nexus).await;
    ready(&owner).await;
    let mut author = Conversation::create(&owner, &nexus).await;
    let until = Instant::now() + DEADLINE;
    let mut readers = Vec::new();
    for _ in 0..clients {
        let mut socket = owner.socket("/live").await.unwrap();
        socket
            .send(&json!({"type": "hello", "protocol": 3, "session": author.session}))
            .await;
        socket.until(|frame| frame["type"] == "state").await;
        readers.push(tokio::spawn(read(socket, words, until)));
    }
    let before = (cpu(nexus.pid()), cpu(std::process::id()));
    author.prompt(&format!("fast {words}")).await;
    // The author looks no longer: what is counted are the readers.
    drop(author);
    let mut readings = Vec::new();
    for reader in readers {
        readings.push(reader.await.unwrap());
    }
    let run = Run {
        seconds: readings.iter().map(|reading| reading.seconds).fold(0.0, f64::max),
        nexus: cpu(nexus.pid()) - before.0,
        clients: cpu(std::process::id()) - before.1,
        resident: resident(nexus.pid()),
        readings,
    };
    stop(nexus);
    run
}

/// Reads until the answer is complete, and tells how long that took from the first event on.
async fn read(mut socket: Socket, words: usize, until: Instant) -> Reading {
    let (mut began, mut order) = (None, Order::default());
    let end = loop {
        let Ok(frame) = timeout_at(until.into(), socket.received()).await else {
            break End::Late;
        };
        let Some(frame) = frame else { break End::Closed };
        if order.take(&frame).is_some() {
            began.get_or_insert_with(Instant::now);
        }
        if order.over() {
            break End::Complete;
        }
    };
    order.end(end, words);
    Reading {
        seconds: began.map_or(0.0, |began: Instant| began.elapsed().as_secs_f64()),
        end,
        order,
    }
}
