//! What a load came to, and the table of all.

use crate::order::{End, Order};
use crate::{fan_out, megabytes, percentile, sorted};
use std::time::{Duration, Instant};

/// One round.
#[derive(Debug)]
pub(super) struct Statistics {
    /// Of each event that came: when it was sent, and when it was there.
    pub(super) arrivals: Vec<(Instant, Instant)>,
    /// Events that came to all readers together.
    pub(super) events: usize,
    /// CPU of Nexus meanwhile.
    pub(super) cpu: Duration,
    pub(super) took: Duration,
    pub(super) resident: u64,
    readers: usize,
    /// Readers that were behind, that were closed, that had not all in time.
    ends: [usize; 3],
    lost: usize,
    doubled: usize,
    /// What else there is to tell of this load.
    pub(super) besides: Vec<(&'static str, f64)>,
}

impl Statistics {
    pub(super) fn new(cpu: Duration, took: Duration, resident: u64) -> Self {
        Self {
            arrivals: Vec::new(),
            events: 0,
            cpu,
            took,
            resident,
            readers: 0,
            ends: [0; 3],
            lost: 0,
            doubled: 0,
            besides: Vec::new(),
        }
    }

    pub(super) fn of_fan_out(run: &fan_out::Run) -> Self {
        let mut statistics = Self::new(run.nexus, Duration::from_secs_f64(run.seconds), run.resident);
        for reading in &run.readings {
            statistics.add(reading.end, &reading.order);
        }
        statistics
    }

    /// Another reader.
    pub(super) fn add(&mut self, end: End, order: &Order) {
        self.readers += 1;
        self.events += order.deltas;
        self.lost += order.lost;
        self.doubled += order.doubled;
        let counts = [order.behind, end == End::Closed, end == End::Late];
        for (sum, count) in self.ends.iter_mut().zip(counts) {
            *sum += usize::from(count);
        }
    }

    fn latencies(&self) -> Vec<f64> {
        let late = |(sent, there): &(Instant, Instant)| there.saturating_duration_since(*sent).as_secs_f64() * 1e3;
        sorted(self.arrivals.iter().map(late).collect())
    }
}

pub(super) fn head() {
    println!(
        "\n| load | Nexus | events a second to each reader | latency in ms, p50 / p90 / p99 | CPU of Nexus, ms a second | the same, \
         µs an event | resident memory, MB | readers: behind / closed / late | events: lost / doubled | besides |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
}

/// The row of a load and a binary: medians of the rounds, with the range.
pub(super) fn row(load: &str, binary: &str, rounds: &[Statistics]) {
    let of = |digits: usize, value: &dyn Fn(&Statistics) -> f64| spread(digits, rounds.iter().map(value).collect());
    let sum = |count: &dyn Fn(&Statistics) -> usize| rounds.iter().map(count).sum::<usize>();
    let latency = if rounds.iter().any(|round| round.arrivals.is_empty()) {
        "–".to_owned()
    } else {
        [0.5, 0.9, 0.99]
            .map(|p| of(2, &|round| percentile(&round.latencies(), p)))
            .join(" / ")
    };
    let besides = rounds.first().map_or(&[][..], |round| &round.besides);
    let besides: Vec<_> = besides
        .iter()
        .enumerate()
        .map(|(n, (what, _))| format!("{what}: {}", of(1, &|round| round.besides[n].1)))
        .collect();
    println!(
        "| {load} | {binary} | {} | {latency} | {} | {} | {} | {} / {} / {} of {} | {} / {} | {} |",
        of(0, &|round| {
            round.events as f64 / round.readers as f64 / round.took.as_secs_f64()
        }),
        of(0, &|round| round.cpu.as_secs_f64() * 1e3 / round.took.as_secs_f64()),
        of(1, &|round| round.cpu.as_secs_f64() * 1e6 / round.events as f64),
        of(1, &|round| megabytes(round.resident)),
        sum(&|round| round.ends[0]),
        sum(&|round| round.ends[1]),
        sum(&|round| round.ends[2]),
        sum(&|round| round.readers),
        sum(&|round| round.lost),
        sum(&|round| round.doubled),
        besides.join("; ")
    );
}

/// The median, and the range in brackets where there is one.
fn spread(digits: usize, values: Vec<f64>) -> String {
    let sorted = sorted(values);
    let [least, median, most] = [0.0, 0.5, 1.0].map(|p| format!("{:.digits$}", percentile(&sorted, p)));
    if least == most {
        median
    } else {
        format!("{median} ({least}–{most})")
    }
}
