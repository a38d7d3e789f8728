use super::*;

fn origin() -> Origin {
    Origin {
        host: "127.0.0.1".to_owned(),
        port: 4711,
    }
}

fn with(mode: &Mode, protocol: Protocol, log_reader: &LogReader, observed: &ObservedState) -> Option<RunEnd> {
    let origin = origin();
    let run = RunContext {
        mode,
        origin: &origin,
        protocol,
        http2: false,
        adopted: false,
        fallback: false,
        mark: None,
    };
    end_of_unconnected(&run, log_reader, observed)
}

fn own() -> Mode {
    Mode::Token { hostname: None }
}

fn kind(end: Option<RunEnd>) -> Option<FailureKind> {
    match end {
        Some(RunEnd::Failed(failure)) => Some(failure.kind),
        Some(RunEnd::Unregistered) => panic!("unregistered"),
        _ => None,
    }
}

/// `down` is the state of a tunnel that was connected, and has been down for this long.
fn down(for_: u64) -> ObservedState {
    ObservedState {
        now: 100_000 + for_,
        pages: Some(0),
        ready: Some(1_000),
        down: Some(100_000),
        silent: None,
        was_up: true,
    }
}

#[test]
fn a_quick_tunnel_keeps_its_name_over_an_outage() {
    let log_reader = LogReader::default();
    for minutes in [1, 6, 30, 59] {
        let end = with(&Mode::Quick, Protocol::Auto, &log_reader, &down(minutes * 60_000));
        assert!(end.is_none(), "{minutes}");
    }
    // One of its own keeps the name over a new start.
    assert_eq!(
        kind(with(&own(), Protocol::Auto, &log_reader, &down(RECONNECT_TIMEOUT + 1))),
        Some(FailureKind::Retry)
    );
    // At last, and not as if the service had asked for a pause.
    assert_eq!(
        kind(with(
            &Mode::Quick,
            Protocol::Auto,
            &log_reader,
            &down(RECONNECT_TIMEOUT_QUICK + 1)
        )),
        Some(FailureKind::Retry)
    );
}

#[test]
fn what_is_refused_over_quic_ends_in_time() {
    let mut log_reader = LogReader::new(false);
    let never = ObservedState {
        now: 5_000,
        pages: Some(0),
        ..ObservedState::default()
    };
    log_reader.set_registration_failures(MAX_REGISTRATION_FAILURES - 1);
    assert!(
        with(&own(), Protocol::Quic, &log_reader, &never).is_none(),
        "one may be an accident"
    );
    log_reader.set_registration_failures(MAX_REGISTRATION_FAILURES);
    assert_eq!(
        kind(with(&own(), Protocol::Quic, &log_reader, &never)),
        Some(FailureKind::RetryLater)
    );
    assert_eq!(
        kind(with(&Mode::Quick, Protocol::Auto, &log_reader, &never)),
        Some(FailureKind::RetryLater)
    );
    // cloudflared itself goes over to HTTP/2, and then says why.
    assert!(with(&own(), Protocol::Auto, &log_reader, &never).is_none());
    // Revoked while it was up: it may be accepted again for a while, and is not failed for good.
    assert!(with(&own(), Protocol::Auto, &log_reader, &down(REJECTION_TIMEOUT)).is_none());
    assert_eq!(
        kind(with(&own(), Protocol::Auto, &log_reader, &down(REJECTION_TIMEOUT + 1))),
        Some(FailureKind::RetryLater)
    );
}

#[test]
fn a_program_that_hangs_is_restarted() {
    let mut observed = down(METRICS_TIMEOUT);
    observed.silent = Some(100_000);
    let mut log_reader = LogReader::new(false);
    log_reader.hangs = true;
    assert!(with(&Mode::Quick, Protocol::Auto, &log_reader, &observed).is_none());
    observed.now += 1;
    assert_eq!(
        kind(with(&Mode::Quick, Protocol::Auto, &log_reader, &observed)),
        Some(FailureKind::Retry)
    );
}

#[test]
fn names_are_asked_for_quickly_a_few_times_and_then_rarely() {
    NAME_REQUESTS.set(0);
    for _ in 1..MAX_QUICK_REQUESTS {
        count_name_request();
        assert_eq!(retry_kind(&Mode::Quick), FailureKind::Retry);
    }
    count_name_request();
    assert_eq!(retry_kind(&Mode::Quick), FailureKind::RetryLater);
    assert_eq!(retry_kind(&own()), FailureKind::Retry, "nothing is asked for");
}

#[test]
fn no_connection_at_all_is_unregistered() {
    let observed = ObservedState {
        now: REGISTRATION_TIMEOUT + 1,
        pages: Some(0),
        ..ObservedState::default()
    };
    assert!(matches!(
        with(&own(), Protocol::Auto, &LogReader::default(), &observed),
        Some(RunEnd::Unregistered)
    ));
}
