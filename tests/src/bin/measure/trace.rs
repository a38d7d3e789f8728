//! Where the time goes between a direct reader of opencode and a browser of Nexus: the hops of `nexus trace`, by the clock that this
//! program reads too.

use crate::direct::{Arrivals, Direct};
use crate::latency::{self, CHUNKS, RATE};
use crate::{percentile, sorted};
use nexus_tests::nexus::Start;
use nexus_tests::world::World;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

/// Longer than the events take, which begin after the trace does.
const SECONDS: usize = CHUNKS / RATE + 20;

const HOPS: [&str; 5] = ["received", "lifted", "taken", "committed", "sent"];

/// From the direct reader to the first hop, from hop to hop, and from the last one to the reader.
const STEPS: usize = HOPS.len() + 1;

#[derive(Deserialize)]
struct Stamp {
    hop: String,
    at_ns: u64,
    thread: u64,
    run_delay_ns: Option<u64>,
}

/// One event on its way, with both readers.
struct Event {
    /// Among all, by the direct reader.
    number: usize,
    /// Of each step in µs; before 0 where a hop was earlier than the direct reader, or a reader than the stamp.
    steps: [f64; STEPS],
    /// Of those between two hops that one thread had, in µs.
    run_delay: [Option<f64>; STEPS],
    /// Of those between two hops.
    thread_changed: [bool; STEPS],
}

impl Event {
    fn total(&self) -> f64 {
        self.steps.iter().sum()
    }
}

pub(crate) async fn measure() {
    let mut world = World::up("").await;
    let direct = Direct::find(&mut world);
    let tracing = trace(world.start.clone());
    let phase = latency::phase(&world, &direct, None).await;
    let answer = tracing.await.unwrap();
    let ways: Vec<Vec<Stamp>> = serde_json::from_value(answer["events"].clone()).unwrap();
    let events = matched(&ways, &phase.direct, &phase.local);
    println!(
        "\n{} of {CHUNKS} events, {RATE} a second, were found in the trace; µs, p50 / p90 / p99.\n\n\
         | step | time | run delay of the thread | thread changes |\n| --- | --- | --- | --- |",
        events.len()
    );
    assert!(!events.is_empty(), "no event was matched: {}", answer["steps"]);
    for step in 0..STEPS {
        let delays = events.iter().filter_map(|event| event.run_delay[step]).collect();
        println!(
            "| {} | {} | {} | {} |",
            name(step),
            quantiles(events.iter().map(|event| event.steps[step]).collect()),
            quantiles(delays),
            changes(&events, step)
        );
    }
    println!("| all | {} | | |", quantiles(events.iter().map(Event::total).collect()));
    println!(
        "\nTwo direct readers, ms: {}; a reader through a process that only passes bytes on: {}",
        latency::percentiles(&phase.direct, &phase.beside),
        latency::percentiles(&phase.direct, &phase.relayed)
    );
    slowest(events);
}

/// Runs `nexus trace` beside the host, to its end.
fn trace(start: Start) -> tokio::task::JoinHandle<Value> {
    tokio::task::spawn_blocking(move || {
        let output = start.run(&["trace"], &["--json", "--seconds", &SECONDS.to_string()], "");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

/// The events that both readers and the trace have. A reader's event is the one that was committed last before it arrived: the stamp
/// of `sent` is made after the bytes have left, so the reader may be earlier.
fn matched(ways: &[Vec<Stamp>], direct: &Arrivals, local: &Arrivals) -> Vec<Event> {
    let zero = (Instant::now(), monotonic_ns());
    let ns = |at: Instant| match at.checked_duration_since(zero.0) {
        Some(later) => zero.1 + later.as_nanos() as i128,
        None => zero.1 - zero.0.duration_since(at).as_nanos() as i128,
    };
    let mut order: Vec<(i128, &str)> = direct.iter().map(|(text, at)| (ns(*at), text.as_str())).collect();
    order.sort_unstable();
    let mut arrivals: Vec<(i128, usize, i128)> = order
        .into_iter()
        .enumerate()
        .filter_map(|(number, (first, text))| Some((ns(*local.get(text)?), number, first)))
        .collect();
    arrivals.sort_unstable();
    let whole: Vec<&Vec<Stamp>> = ways
        .iter()
        .filter(|way| way.iter().map(|stamp| stamp.hop.as_str()).eq(HOPS))
        .collect();
    let (mut events, mut before) = (Vec::new(), i128::MIN);
    for (arrived, number, first) in arrivals {
        let committed = |way: &Vec<Stamp>| i128::from(way[3].at_ns);
        let way = whole.iter().rfind(|way| committed(way) <= arrived);
        if let Some(way) = way.filter(|way| committed(way) > before) {
            events.push(event(number, first, way, arrived));
        }
        before = arrived;
    }
    events
}

fn event(number: usize, first: i128, way: &[Stamp], arrived: i128) -> Event {
    let mut times = vec![first];
    times.extend(way.iter().map(|stamp| i128::from(stamp.at_ns)));
    times.push(arrived);
    let mut event = Event {
        number,
        steps: std::array::from_fn(|step| (times[step + 1] - times[step]) as f64 / 1e3),
        run_delay: [None; STEPS],
        thread_changed: [false; STEPS],
    };
    for (step, two) in way.windows(2).enumerate() {
        let (one, next) = (&two[0], &two[1]);
        event.thread_changed[step + 1] = one.thread != next.thread;
        if one.thread == next.thread {
            let waited = next.run_delay_ns.zip(one.run_delay_ns);
            event.run_delay[step + 1] = waited.map(|(next, one)| next.saturating_sub(one) as f64 / 1e3);
        }
    }
    event
}

/// The events of the slowest percent, and what the mean of each step is for them.
fn slowest(mut events: Vec<Event>) {
    events.sort_by(|one, other| other.total().total_cmp(&one.total()));
    let slow = &events[..events.len().div_ceil(100)];
    let numbers: BTreeSet<usize> = slow.iter().map(|event| event.number).collect();
    let numbers: Vec<String> = numbers.into_iter().map(|number| format!("#{number}")).collect();
    println!(
        "\nThe slowest percent: {} of {}; means, µs.\n\n\
         | step | all | slowest percent | run delay of these | thread changes of these |\n| --- | --- | --- | --- | --- |",
        numbers.join(", "),
        events.len()
    );
    for step in 0..STEPS {
        let time = |event: &Event| event.steps[step];
        println!(
            "| {} | {} | {} | {} | {} |",
            name(step),
            mean(events.iter().map(time).collect()),
            mean(slow.iter().map(time).collect()),
            mean(slow.iter().filter_map(|event| event.run_delay[step]).collect()),
            changes(slow, step)
        );
    }
    println!(
        "| all | {} | {} | | |",
        mean(events.iter().map(Event::total).collect()),
        mean(slow.iter().map(Event::total).collect())
    );
}

fn name(step: usize) -> String {
    let from = step.checked_sub(1).map_or("direct reader", |hop| HOPS[hop]);
    let to = HOPS.get(step).unwrap_or(&"reader");
    format!("{from} → {to}")
}

fn changes(events: &[Event], step: usize) -> String {
    let inside = (1..STEPS - 1).contains(&step);
    let changed = events.iter().filter(|event| event.thread_changed[step]).count();
    if inside { changed.to_string() } else { "–".to_owned() }
}

fn quantiles(values: Vec<f64>) -> String {
    if values.is_empty() {
        return "–".to_owned();
    }
    let all = sorted(values);
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|p| percentile(&all, p));
    format!("{p50:.1} / {p90:.1} / {p99:.1}")
}

fn mean(values: Vec<f64>) -> String {
    match values.len() {
        0 => "–".to_owned(),
        count => format!("{:.1}", values.iter().sum::<f64>() / count as f64),
    }
}

/// The clock of the stamps, which is that of [`Instant`] too.
fn monotonic_ns() -> i128 {
    let now = clock_gettime(ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}
