use super::*;

fn origin() -> Origin {
    Origin {
        host: "127.0.0.1".to_owned(),
        port: 4711,
    }
}

fn with(mode: &Mode, protocol: Protocol, words: &Words, seen: &Seen) -> Option<End> {
    let origin = origin();
    let run = Run {
        mode,
        origin: &origin,
        protocol,
        http2: false,
        adopted: false,
        fallback: false,
        mark: None,
    };
    given_up(&run, words, seen)
}

fn own() -> Mode {
    Mode::Token { hostname: None }
}

fn kind(end: Option<End>) -> Option<FailureKind> {
    match end {
        Some(End::Failed(failure)) => Some(failure.kind),
        Some(End::Unregistered) => panic!("unregistered"),
        _ => None,
    }
}

/// Was up, and has been down for so long.
fn down(for_: u64) -> Seen {
    Seen {
        now: 100_000 + for_,
        pages: Some(0),
        ready: Some(1_000),
        down: Some(100_000),
        silent: None,
        was_up: true,
    }
}

#[test]
fn an_outage_costs_a_quick_tunnel_no_name() {
    let words = Words::default();
    for minutes in [1, 6, 30, 59] {
        let end = with(&Mode::Quick, Protocol::Auto, &words, &down(minutes * 60_000));
        assert!(end.is_none(), "{minutes}");
    }
    // One of its own keeps the name over a new start.
    assert_eq!(
        kind(with(&own(), Protocol::Auto, &words, &down(DOWN + 1))),
        Some(FailureKind::Retry)
    );
    // At last, and not as if the service had asked for a pause.
    assert_eq!(
        kind(with(&Mode::Quick, Protocol::Auto, &words, &down(DOWN_QUICK + 1))),
        Some(FailureKind::Retry)
    );
}

#[test]
fn what_is_refused_over_quic_is_given_up_in_time() {
    let mut words = Words::new(false);
    let never = Seen {
        now: 5_000,
        pages: Some(0),
        ..Seen::default()
    };
    words.refused(REFUSALS - 1);
    assert!(
        with(&own(), Protocol::Quic, &words, &never).is_none(),
        "one may be an accident"
    );
    words.refused(REFUSALS);
    assert_eq!(
        kind(with(&own(), Protocol::Quic, &words, &never)),
        Some(FailureKind::RetryLater)
    );
    assert_eq!(
        kind(with(&Mode::Quick, Protocol::Auto, &words, &never)),
        Some(FailureKind::RetryLater)
    );
    // cloudflared itself goes over to HTTP/2, and then says why.
    assert!(with(&own(), Protocol::Auto, &words, &never).is_none());
    // Revoked while it was up: it may be accepted again for a while, and is not failed for good.
    assert!(with(&own(), Protocol::Auto, &words, &down(REJECTED)).is_none());
    assert_eq!(
        kind(with(&own(), Protocol::Auto, &words, &down(REJECTED + 1))),
        Some(FailureKind::RetryLater)
    );
}

#[test]
fn a_program_that_hangs_is_started_anew() {
    let mut seen = down(HUNG);
    seen.silent = Some(100_000);
    let mut words = Words::new(false);
    words.hangs = true;
    assert!(with(&Mode::Quick, Protocol::Auto, &words, &seen).is_none());
    seen.now += 1;
    assert_eq!(
        kind(with(&Mode::Quick, Protocol::Auto, &words, &seen)),
        Some(FailureKind::Retry)
    );
}

#[test]
fn names_are_asked_for_quickly_a_few_times_and_then_rarely() {
    ASKED.set(0);
    for _ in 1..QUICKLY {
        count_name_request();
        assert_eq!(again(&Mode::Quick), FailureKind::Retry);
    }
    count_name_request();
    assert_eq!(again(&Mode::Quick), FailureKind::RetryLater);
    assert_eq!(again(&own()), FailureKind::Retry, "nothing is asked for");
}

#[test]
fn no_connection_at_all_is_unregistered() {
    let seen = Seen {
        now: REGISTRATION + 1,
        pages: Some(0),
        ..Seen::default()
    };
    assert!(matches!(
        with(&own(), Protocol::Auto, &Words::default(), &seen),
        Some(End::Unregistered)
    ));
}
