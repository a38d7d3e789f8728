use super::recorder::Recorder;
use super::*;
use crate::limits;
use Hop::{Committed, Lifted, Received, Sent, Taken};
use std::time::Duration;

/// A stamp of the thread 1, which has run and waited a part of the time.
fn stamp(hop: Hop, at_ns: u64) -> Stamp {
    Stamp {
        hop,
        at_ns,
        thread: 1,
        cpu_ns: Some(at_ns / 2),
        run_delay_ns: Some(at_ns / 10),
    }
}

fn trace(kept: Vec<Stamp>) -> EventTrace {
    EventTrace::of(Stamps { kept, dropped: 0 }, Duration::from_secs(1))
}

fn hops(trace: &EventTrace) -> Vec<Vec<(Hop, u64)>> {
    let of = |way: &Vec<Stamp>| way.iter().map(|stamp| (stamp.hop, stamp.at_ns)).collect();
    trace.events.iter().map(of).collect()
}

#[test]
fn what_is_off_keeps_nothing_and_one_trace_runs_at_a_time() {
    let recorder = Recorder::new();
    recorder.reached(Sent);
    assert!(recorder.stamps.lock().unwrap().is_none(), "no memory while it is off");

    let recording = recorder.begin().unwrap();
    assert!(recorder.begin().is_none(), "one at a time");
    recorder.reached(Taken);
    recorder.reached(Sent);
    let stamps = recording.end();
    assert_eq!(
        stamps.kept.iter().map(|stamp| stamp.hop).collect::<Vec<_>>(),
        [Taken, Sent]
    );

    recorder.reached(Sent);
    assert!(recorder.stamps.lock().unwrap().is_none(), "the end is the end");
    // Whoever asked for it is gone.
    drop(recorder.begin().unwrap());
    recorder.reached(Sent);
    assert!(recorder.stamps.lock().unwrap().is_none());
    assert_eq!(recorder.begin().unwrap().end().kept, []);
}

#[test]
fn a_trace_has_an_end_and_counts_what_is_too_much() {
    let recorder = Recorder::new();
    let recording = recorder.begin().unwrap();
    for _ in 0..limits::EVENT_TRACE_STAMPS + 3 {
        recorder.write(stamp(Sent, 1));
    }
    let stamps = recording.end();
    assert_eq!((stamps.kept.len(), stamps.dropped), (limits::EVENT_TRACE_STAMPS, 3));
    let trace = EventTrace::of(stamps, Duration::ZERO);
    assert_eq!((trace.dropped, trace.unmatched), (3, limits::EVENT_TRACE_STAMPS as u64));
}

#[test]
fn a_stamp_has_the_clock_and_the_thread_of_who_makes_it() {
    let recorder = Recorder::new();
    let recording = recorder.begin().unwrap();
    std::thread::scope(|threads| {
        recorder.reached(Received);
        threads.spawn(|| recorder.reached(Lifted)).join().unwrap();
        // So that it has run a while, by its own clock.
        let begun = this_thread::thread_cpu_ns();
        while begun.is_some() && this_thread::thread_cpu_ns() < begun.map(|ns| ns + 1_000_000) {}
        recorder.reached(Sent);
    });
    let [first, other, last] = recording.end().kept.try_into().unwrap();
    assert!(first.at_ns < other.at_ns && other.at_ns < last.at_ns);
    assert_eq!(first.thread, last.thread);
    assert_ne!(first.thread, other.thread);
    if cfg!(unix) {
        let ran = last.cpu_ns.unwrap() - first.cpu_ns.unwrap();
        assert!(ran >= 1_000_000 && ran <= last.at_ns - first.at_ns, "{ran}");
    }
    // A kernel may be built without it.
    assert!(last.run_delay_ns >= first.run_delay_ns);
}

#[cfg(target_os = "linux")]
#[test]
fn the_run_delay_is_the_second_number_where_the_kernel_counts() {
    assert_eq!(this_thread::run_delay(b"343680 2628806 1\n"), Some(2_628_806));
    for none in [b"".as_slice(), b"0 0 0\n", b"1", b"1 x 1", b"\xff 1 1"] {
        assert_eq!(this_thread::run_delay(none), None, "{none:?}");
    }
}

#[test]
fn what_was_sent_is_matched_with_the_newest_hops_before_it() {
    let of_one = trace(
        [(Sent, 50), (Received, 10), (Committed, 40), (Lifted, 20), (Taken, 30)]
            .map(|(hop, at)| stamp(hop, at))
            .to_vec(),
    );
    assert_eq!(
        hops(&of_one),
        [[(Received, 10), (Lifted, 20), (Taken, 30), (Committed, 40), (Sent, 50)]]
    );

    // Two came before one was sent: the newer one is what was sent last. Then a frame that is no event, an event of the host
    // itself, and one that is still on its way.
    let more = [
        (Received, 1),
        (Received, 2),
        (Lifted, 3),
        (Received, 4),
        (Lifted, 5),
        (Taken, 6),
        (Committed, 7),
        (Received, 8),
        (Sent, 9),
        (Sent, 10),
        (Received, 11),
        (Committed, 12),
        (Sent, 13),
        (Received, 14),
    ];
    let more = trace(more.map(|(hop, at)| stamp(hop, at)).to_vec());
    assert_eq!(
        hops(&more),
        [
            vec![(Received, 4), (Lifted, 5), (Taken, 6), (Committed, 7), (Sent, 9)],
            vec![(Committed, 12), (Sent, 13)],
        ]
    );
    assert_eq!(more.unmatched, 1);
    let events: Vec<u64> = more.steps.iter().map(|step| step.events).collect();
    assert_eq!(
        events,
        [1, 1, 1, 2],
        "what has a gap before it is not counted over the gap"
    );
}

#[test]
fn a_step_has_its_time_and_what_the_thread_did_where_it_is_one() {
    let mut stamps = Vec::new();
    for event in 1..=100_u64 {
        let begun = event * 1_000_000;
        for (index, hop) in Hop::ALL.into_iter().enumerate() {
            let mut stamp = stamp(hop, begun + event * 10 * index as u64);
            // Half of the events are handed over before they are sent.
            if hop == Sent && event.is_multiple_of(2) {
                stamp.thread = 2;
            }
            stamps.push(stamp);
        }
    }
    let trace = trace(stamps);
    assert_eq!((trace.events.len(), trace.unmatched), (100, 0));
    let names: Vec<(Hop, Hop)> = trace.steps.iter().map(|step| (step.from, step.to)).collect();
    assert_eq!(
        names,
        [
            (Received, Lifted),
            (Lifted, Taken),
            (Taken, Committed),
            (Committed, Sent)
        ]
    );
    let quantiles = |p50_ns, p90_ns, p99_ns, max_ns| {
        Some(Quantiles {
            p50_ns,
            p90_ns,
            p99_ns,
            max_ns,
        })
    };
    let [first, .., last] = trace.steps.as_slice() else {
        unreachable!()
    };
    assert_eq!(first.time, quantiles(500, 900, 990, 1000));
    assert_eq!(first.cpu, quantiles(250, 450, 495, 500));
    assert_eq!(first.run_delay, quantiles(50, 90, 99, 100));
    assert_eq!((first.thread_changes, last.thread_changes), (0, 50));
    assert_eq!(last.run_delay, quantiles(49, 89, 99, 99), "of those on one thread");
    assert_eq!(trace.whole.time, quantiles(2000, 3600, 3960, 4000));
    assert_eq!((trace.whole.events, trace.whole.thread_changes), (100, 50));
}

#[test]
fn without_any_event_there_is_no_time() {
    let trace = trace(vec![stamp(Sent, 1)]);
    assert_eq!(trace.steps.len(), Hop::ALL.len() - 1);
    for step in trace.steps.iter().chain([&trace.whole]) {
        assert_eq!(
            (step.events, step.time, step.cpu, step.run_delay),
            (0, None, None, None)
        );
    }
}

#[test]
fn a_hop_has_one_name() {
    for hop in Hop::ALL {
        assert_eq!(serde_json::to_value(hop).unwrap(), hop.name());
    }
}
