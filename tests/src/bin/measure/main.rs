//! The measurements of `docs/performance.md` that need the whole system; `./tests/measure` builds and runs it, with the release
//! binary in `NEXUS_BIN`. By names of sections as arguments, only those: `start`, `wakes`, `idle`, `fan-out`, `latency`,
//! `loads`, `trace`, `swap`.
//!
//! Every figure is of this machine; a latency is a difference between two readers of the same events in the same run, so that
//! a slow machine slows both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod binaries;
mod connections;
mod direct;
mod fan_out;
mod latency;
mod loads;
mod order;
mod relay;
mod start;
mod swap;
mod trace;
mod tunnels;
mod wakes;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [relay::RELAY, port] = wanted.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return relay::run(port);
    }
    let want = |section: &str| {
        let wanted = wanted.is_empty() || wanted.iter().any(|name| name == section);
        if wanted {
            eprintln!("measuring: {section}");
        }
        wanted
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("| what | figure |\n| --- | --- |");
        if want("start") {
            start::measure();
        }
        if want("wakes") {
            wakes::measure().await;
        }
        if want("idle") {
            connections::measure().await;
        }
        if want("swap") {
            swap::measure().await;
        }
        if want("fan-out") {
            fan_out::measure().await;
        }
        if want("latency") {
            latency::measure().await;
        }
        if want("loads") {
            loads::measure().await;
        }
        if want("trace") {
            trace::measure().await;
        }
    });
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[((last as f64) * p).round() as usize]
}

fn median(values: Vec<f64>) -> f64 {
    percentile(&sorted(values), 0.5)
}
