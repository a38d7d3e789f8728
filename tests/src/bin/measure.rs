//! The figures of the release notes: `cargo run --release -p nexus-tests --bin measure`, with the release binary in
//! `NEXUS_BIN` and the real opencode in `NEXUS_TEST_OPENCODE` (`./tests/run` installs it).
//!
//! Every figure is a median over runs on this machine; the latency is a difference between two readers of the same
//! events in the same run, so that a slow machine slows both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use base64::Engine as _;
use futures::StreamExt as _;
use nexus_tests::nexus::{Start, binary};
use nexus_tests::world::World;
use nexus_tests::{processes, sse};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!(
            "binary size               {:>9.1} MB",
            megabytes(fs::metadata(binary()).unwrap().len())
        );
        start_up();
        latency().await;
    });
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn percentile(values: &[f64], p: f64) -> f64 {
    let last = values.len() - 1;
    values[((last as f64) * p).round() as usize]
}

/// Start to the readiness line, with no compiled code and with it; and the memory of a Nexus with three plugins that
/// serves, its children not counted.
fn start_up() {
    const THREE: &str = "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.main]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
                         [plugin.tunnel-bore.config]\nserver = \"127.0.0.1\"\n";
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let (mut memory_cold, mut memory_warm) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let start = Start::new().config(THREE);
        for (times, memory) in [(&mut cold, &mut memory_cold), (&mut warm, &mut memory_warm)] {
            let begun = Instant::now();
            let mut nexus = start.up();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(500)); // until the plugins are described and the page is idle
            memory.push(resident(nexus.pid()));
            nexus.terminate(Duration::from_secs(20));
        }
    }
    println!("start to listening, cold  {:>9.1} ms", median(&mut cold));
    println!("start to listening, warm  {:>9.1} ms", median(&mut warm));
    println!("resident, after cold      {:>9.1} MB", median(&mut memory_cold));
    println!("resident, three plugins   {:>9.1} MB", median(&mut memory_warm));
}

fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e3
}

/// Each delta of an answer, as read from opencode itself and from the live socket: the difference of the arrivals.
async fn latency() {
    const CHUNKS: usize = 1000;
    let mut world = World::up("").await;
    let pid = world
        .nexus
        .find_process("serve --hostname")
        .expect("opencode does not run");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let password = environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok())
        .find_map(|entry| entry.strip_prefix("OPENCODE_SERVER_PASSWORD="))
        .unwrap()
        .to_owned();
    let command = processes::command_line(pid);
    let port = command
        .split("--port ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap()
        .to_owned();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("opencode:{password}"));
    let mut conversation = world.conversation().await;
    // Two readers, so that what opencode itself puts between two of its listeners is known and not laid at our door.
    let (first, second) = (
        tokio::spawn(read_directly(port.clone(), basic.clone(), CHUNKS)),
        tokio::spawn(read_directly(port, basic, CHUNKS)),
    );
    conversation.prompt(&format!("[[stamp n={CHUNKS} rate=50]]")).await;
    let mut through = HashMap::new();
    while through.len() < CHUNKS {
        let frame = conversation
            .frames_until(|frame| frame["event"]["type"] == json!("delta"))
            .await;
        through.insert(frame["event"]["text"].as_str().unwrap().to_owned(), Instant::now());
    }
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    report("between two direct readers", &differences(&first, &second));
    report("added latency", &differences(&first, &through));
}

/// When each delta of an answer arrived at a reader of opencode's own event stream.
async fn read_directly(port: String, basic: String, count: usize) -> HashMap<String, Instant> {
    let client = nexus_tests::http().build().unwrap();
    let request = client
        .get(format!("http://127.0.0.1:{port}/global/event"))
        .header("authorization", format!("Basic {basic}"));
    let mut body = request.send().await.unwrap().bytes_stream();
    let mut parser = sse::Parser::default();
    let mut seen = HashMap::new();
    while seen.len() < count {
        let bytes = body.next().await.unwrap().unwrap();
        let now = Instant::now();
        for data in parser.push(&bytes) {
            let event: Value = serde_json::from_str(&data).unwrap();
            let payload = &event["payload"];
            if payload["type"] == "message.part.delta" {
                seen.insert(payload["properties"]["delta"].as_str().unwrap().to_owned(), now);
            }
        }
    }
    seen
}

/// How much later each delta came to the second reader, in milliseconds, in order; negative where it came sooner.
fn differences(one: &HashMap<String, Instant>, other: &HashMap<String, Instant>) -> Vec<f64> {
    let mut all: Vec<f64> = one
        .iter()
        .filter_map(|(text, at)| {
            let then = other.get(text)?;
            Some(match then.checked_duration_since(*at) {
                Some(later) => later.as_secs_f64() * 1e3,
                None => -at.duration_since(*then).as_secs_f64() * 1e3,
            })
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

fn report(what: &str, sorted: &[f64]) {
    println!(
        "{what}, {} events, ms: p1 {:.3}  p50 {:.3}  p90 {:.3}  p99 {:.3}  max {:.3}",
        sorted.len(),
        percentile(sorted, 0.01),
        percentile(sorted, 0.5),
        percentile(sorted, 0.9),
        percentile(sorted, 0.99),
        percentile(sorted, 1.0)
    );
}
