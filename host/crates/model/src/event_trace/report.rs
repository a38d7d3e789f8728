//! From stamps to the ways of events, and what each step of them took.

use super::recorder::{Hop, Stamp, Stamps};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// `EventTrace` says where the time of events went while it was traced. It has nothing of what the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventTrace {
    /// `duration_ms` is how long it was traced.
    pub duration_ms: u64,
    /// `steps` are those from each hop to the next one, in the order of the way.
    pub steps: Vec<TraceStep>,
    /// `whole` is the whole way, of the events that came by all hops.
    pub whole: TraceStep,
    /// `events` are the events that were found, each with the stamps of its way: `sent` is the last one, and the hops before it
    /// follow each other without a gap.
    pub events: Vec<Vec<Stamp>>,
    /// `unmatched` is how often something was sent for which no hop before was found: a frame that is no event, or an event that
    /// was sent to a further browser.
    pub unmatched: u64,
    /// `dropped` is the number of stamps that were too many for one trace.
    pub dropped: u64,
}

/// `TraceStep` is what events took from one hop to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceStep {
    /// `from` is where the step begins.
    pub from: Hop,
    /// `to` is where the step ends.
    pub to: Hop,
    /// `events` is the number of events with this step.
    pub events: u64,
    /// `thread_changes` is how often an event was handed from one thread to another between two hops of this step.
    pub thread_changes: u64,
    /// `time` is what the step took. Null: no event has it.
    #[schema(required)]
    pub time: Option<Quantiles>,
    /// `cpu` is how much of it the thread ran, for the event or for something else, of the events that stayed on one thread. Null:
    /// there are none, or the system does not say it.
    #[schema(required)]
    pub cpu: Option<Quantiles>,
    /// `run_delay` is how much of it the thread waited for a core, of the events that stayed on one thread. Null: there are none,
    /// or the system does not say it.
    #[schema(required)]
    pub run_delay: Option<Quantiles>,
}

/// `Quantiles` are those of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quantiles {
    /// `p50_ns` is the median.
    pub p50_ns: u64,
    /// `p90_ns` is what 90 % of them are not longer than.
    pub p90_ns: u64,
    /// `p99_ns` is what 99 % of them are not longer than.
    pub p99_ns: u64,
    /// `max_ns` is the longest.
    pub max_ns: u64,
}

impl EventTrace {
    /// Puts the stamps of a trace together. An event is what was sent, with the newest stamp of `committed` before that, the newest
    /// of `taken` before that one, and so on, as far as they lie after the last `sent`.
    ///
    /// So it is right for a stream that is slower than the way. Of events that are sent together only the last one is found, and
    /// where several browsers look only the way to the first of them.
    pub fn of(stamps: Stamps, duration: Duration) -> Self {
        let Stamps { mut kept, dropped } = stamps;
        kept.sort_by_key(|stamp| stamp.at_ns);
        let (events, unmatched) = events(&kept);
        Self {
            duration_ms: crate::time::millis(duration),
            steps: steps(&events),
            whole: TraceStep::of(Hop::Received, Hop::Sent, &events),
            events,
            unmatched,
            dropped,
        }
    }
}

/// The events of sorted stamps, and how many of `sent` are none.
fn events(stamps: &[Stamp]) -> (Vec<Vec<Stamp>>, u64) {
    let (mut events, mut unmatched) = (Vec::new(), 0);
    for section in stamps.split_inclusive(|stamp| stamp.hop == Hop::Sent) {
        let mut way = Vec::with_capacity(Hop::ALL.len());
        let mut wanted = Some(Hop::Sent);
        for stamp in section.iter().rev() {
            if Some(stamp.hop) == wanted {
                way.push(*stamp);
                wanted = stamp.hop.before();
            }
        }
        way.reverse();
        match way.len() {
            // What was on its way when the trace ended.
            0 => {}
            1 => unmatched += 1,
            _ => events.push(way),
        }
    }
    (events, unmatched)
}

fn steps(events: &[Vec<Stamp>]) -> Vec<TraceStep> {
    let hops = Hop::ALL.into_iter().zip(Hop::ALL.into_iter().skip(1));
    hops.map(|(from, to)| TraceStep::of(from, to, events)).collect()
}

impl TraceStep {
    fn of(from: Hop, to: Hop, events: &[Vec<Stamp>]) -> Self {
        let parts: Vec<&[Stamp]> = events.iter().filter_map(|way| between(way, from, to)).collect();
        let changes = |part: &&[Stamp]| part.windows(2).filter(|two| !on_one_thread(two)).count();
        let stayed = || parts.iter().copied().filter(|part| on_one_thread(part));
        Self {
            from,
            to,
            events: count(parts.len()),
            thread_changes: count(parts.iter().map(changes).sum()),
            time: Quantiles::of(parts.iter().filter_map(|part| grown(part, |stamp| Some(stamp.at_ns)))),
            cpu: Quantiles::of(stayed().filter_map(|part| grown(part, |stamp| stamp.cpu_ns))),
            run_delay: Quantiles::of(stayed().filter_map(|part| grown(part, |stamp| stamp.run_delay_ns))),
        }
    }
}

/// The stamps of a way from one hop to another.
fn between(way: &[Stamp], from: Hop, to: Hop) -> Option<&[Stamp]> {
    let at = |hop| way.iter().position(|stamp| stamp.hop == hop);
    way.get(at(from)?..=at(to)?)
}

fn on_one_thread(part: &[Stamp]) -> bool {
    part.iter()
        .zip(part.iter().skip(1))
        .all(|(one, next)| one.thread == next.thread)
}

/// How much larger a number is at the end.
fn grown(part: &[Stamp], number: impl Fn(&Stamp) -> Option<u64>) -> Option<u64> {
    let (first, last) = (part.first()?, part.last()?);
    Some(number(last)?.saturating_sub(number(first)?))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Quantiles {
    /// `None`: there is nothing.
    fn of(durations: impl Iterator<Item = u64>) -> Option<Self> {
        let mut sorted: Vec<u64> = durations.collect();
        sorted.sort_unstable();
        // The smallest that so many are not larger than.
        let percent = |p: usize| sorted.get((sorted.len() * p).div_ceil(100).checked_sub(1)?).copied();
        Some(Self {
            p50_ns: percent(50)?,
            p90_ns: percent(90)?,
            p99_ns: percent(99)?,
            max_ns: percent(100)?,
        })
    }
}
