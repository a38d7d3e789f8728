//! Size, start and memory.

use crate::{median, megabytes};
use nexus_tests::nexus::{Start, binary};
use nexus_tests::processes::{cpu, resident};
use std::fs;
use std::time::{Duration, Instant};

const RUNS: usize = 7;
/// A process that has used no hundredth of a second within this has nothing left to begin with.
const RESTS: Duration = Duration::from_secs(2);
pub(crate) const THREE: &str = "[chat.main]\nplugin = \"chat-echo\"\n[tunnel.main]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\n\
                     [plugin.tunnel-bore.config]\nserver = \"127.0.0.1\"\n";

/// Start to the readiness line, with no compiled code and with it; and the memory of a Nexus with three plugins that
/// serves, its children not counted.
pub(crate) fn measure() {
    println!(
        "| the binary, with its components | {:.1} MB |",
        megabytes(fs::metadata(binary()).unwrap().len())
    );
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let (mut memory_cold, mut memory_warm) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = Start::new().cold().config(THREE);
        for (times, memory) in [(&mut cold, &mut memory_cold), (&mut warm, &mut memory_warm)] {
            let begun = Instant::now();
            let mut nexus = start.up();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            rests(nexus.pid());
            memory.push(megabytes(resident(nexus.pid())));
            nexus.terminate(Duration::from_secs(20));
        }
    }
    println!(
        "| start until the page answers, compiled code cached / compiled again | {:.0} ms / {:.2} s |",
        median(warm),
        median(cold) / 1e3
    );
    println!(
        "| resident memory with three plugins, after a cached / a first start | {:.1} MB / {:.1} MB |",
        median(memory_warm),
        median(memory_cold)
    );
}

/// Waits until the plugins are compiled and described and nothing happens any more.
fn rests(pid: u32) {
    let (mut used, mut since) = (cpu(pid), Instant::now());
    while since.elapsed() < RESTS {
        std::thread::sleep(Duration::from_millis(50));
        let now = cpu(pid);
        if now != used {
            (used, since) = (now, Instant::now());
        }
    }
}
