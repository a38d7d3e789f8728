//! `nexus trace`: where the time of chat events goes, as the running host measures it.

use super::common_options::CommonOptions;
use super::control_client::request;
use super::running_host::{asking, print, read};
use super::terminal::{print_error, say};
use clap::Args;
use nexus_model::event_trace::{EventTrace, Hop, Quantiles, Stamp, TraceStep};
use nexus_model::limits;
use nexus_model::plural::{self, count};
use serde_json::json;
use std::process::ExitCode;

/// `MOST` is the most that `--seconds` takes.
const MOST: u64 = limits::EVENT_TRACE_MOST.as_secs();

#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// How long to trace, at most 60 seconds
    #[arg(long, value_name = "N", default_value_t = limits::EVENT_TRACE.as_secs())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MOST))]
    seconds: u64,
    /// Print JSON in the format of /api/v1
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TraceArgs, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    asking(place, async |data_dir| {
        if !args.json {
            // Nothing is traced where no Nexus answers.
            request(data_dir, "/api/v1/backend", None).await?;
            print_error(&format!(
                "tracing for {} s; open one chat in one browser and let it answer",
                args.seconds
            ));
        }
        let answer = request(data_dir, "/api/v1/trace", Some(json!({ "seconds": args.seconds }))).await?;
        if args.json {
            print(&answer);
        } else {
            say(table(&read(answer)?).trim_end());
        }
        Ok(())
    })
}

/// The steps in columns, and under them what the columns do not say.
fn table(trace: &EventTrace) -> String {
    let head = [
        "µs",
        "events",
        "p50",
        "p90",
        "p99",
        "max",
        "ran p50",
        "ran p99",
        "waited p50",
        "waited p99",
        "thread changes",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(trace.steps.iter().map(|step| row(step.to.name().to_owned(), step)));
    let (from, to) = (trace.whole.from.name(), trace.whole.to.name());
    rows.push(row(format!("{from} to {to}"), &trace.whole));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 {
                text.push_str(&format!("{cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push('\n');
    }
    text.push_str(
        "\nEach row is the time since the hop of the row above it, the first one since `received`.\n\
         ran, waited: how much of it the thread ran, and how long it waited for a core; of the events that stayed on one thread.\n",
    );
    for note in notes(trace) {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

fn row(name: String, step: &TraceStep) -> [String; 11] {
    let of = |quantiles: Option<Quantiles>, pick: fn(&Quantiles) -> u64| {
        quantiles.map_or_else(|| "–".to_owned(), |all| microseconds(pick(&all)))
    };
    [
        name,
        step.events.to_string(),
        of(step.time, |all| all.p50_ns),
        of(step.time, |all| all.p90_ns),
        of(step.time, |all| all.p99_ns),
        of(step.time, |all| all.max_ns),
        of(step.cpu, |all| all.p50_ns),
        of(step.cpu, |all| all.p99_ns),
        of(step.run_delay, |all| all.p50_ns),
        of(step.run_delay, |all| all.p99_ns),
        step.thread_changes.to_string(),
    ]
}

/// With one decimal, rounded.
fn microseconds(ns: u64) -> String {
    let tenths = ns.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn notes(trace: &EventTrace) -> Vec<String> {
    let mut notes = Vec::new();
    let from_backend = |way: &&Vec<Stamp>| way.first().is_some_and(|stamp| stamp.hop == Hop::Received);
    let others = trace.events.iter().filter(|way| !from_backend(way)).count();
    if trace.events.is_empty() {
        notes.push(
            "No event was sent to a browser. To fix: open a chat on the page, and run this command while it is being answered."
                .to_owned(),
        );
    }
    if others > 0 {
        notes.push(format!(
            "{} without `received`: from Nexus itself, or from a backend that sends no requests.",
            count(others, "event")
        ));
    }
    if trace.unmatched > 0 {
        notes.push(format!(
            "{} `sent` without an event of its own: with something else, or to one more browser.",
            trace.unmatched
        ));
    }
    if trace.dropped > 0 {
        notes.push(format!(
            "{} too many for one trace. To fix: trace for a shorter time.",
            plural::of(trace.dropped, "stamp was", "stamps were")
        ));
    }
    notes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trace(answer: serde_json::Value) -> EventTrace {
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn a_trace_is_a_table_in_microseconds_and_what_was_not_matched() {
        let quantiles = json!({ "p50_ns": 1_250, "p90_ns": 20_000, "p99_ns": 3_000_040, "max_ns": 4_000_050 });
        let step = |from: &str, to: &str, cpu: bool| {
            json!({
                "from": from, "to": to, "events": 2, "thread_changes": 1, "time": quantiles,
                "cpu": if cpu { quantiles.clone() } else { json!(null) }, "run_delay": null,
            })
        };
        let sent = json!([{ "hop": "sent", "at_ns": 1, "thread": 7, "cpu_ns": null, "run_delay_ns": null }]);
        let text = table(&trace(json!({
            "duration_ms": 10_000, "unmatched": 3, "dropped": 4, "events": [sent],
            "steps": [step("received", "lifted", true), step("lifted", "taken", false)],
            "whole": step("received", "sent", false),
        })));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines.get(1).unwrap().split_whitespace().collect::<Vec<_>>(),
            [
                "lifted", "2", "1.3", "20.0", "3000.0", "4000.1", "1.3", "3000.0", "–", "–", "1"
            ]
        );
        assert!(lines.get(3).unwrap().starts_with("received to sent  "), "{text}");
        let widths: Vec<usize> = lines.iter().take(4).map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|two| two.first() == two.last()), "{text}");
        for words in ["1 event without", "3 `sent` without", "4 stamps were too many"] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
        assert!(!text.contains("No event was sent"), "{text}");
    }

    #[test]
    fn a_trace_of_nothing_says_how_to_get_one() {
        let step = json!({
            "from": "received", "to": "sent", "events": 0, "thread_changes": 0, "time": null, "cpu": null, "run_delay": null,
        });
        let text = table(&trace(json!({
            "duration_ms": 10_000, "unmatched": 0, "dropped": 0, "events": [], "steps": [step], "whole": step,
        })));
        assert!(text.contains("No event was sent to a browser. To fix: "), "{text}");
    }
}
