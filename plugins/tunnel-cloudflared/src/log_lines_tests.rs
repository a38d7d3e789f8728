//! The lines are recorded from cloudflared 2026.8.2 on loopback, in both of its forms.

use super::*;

const REGISTERED: &str = r#"{"connIndex":0,"connection":"8d3c1a1e-1111-4b5c-9a51-3f4f2a7d9b10","event":0,"ip":"198.41.192.7","level":"info","location":"fra03","message":"Registered tunnel connection","protocol":"quic","time":"2026-11-22T16:44:48Z"}"#;
const REJECTED: &str = r#"{"connIndex":0,"error":"Unauthorized: Invalid tunnel secret","event":0,"ip":"198.41.192.7","level":"error","message":"Register tunnel error from server side","time":"2026-11-22T16:44:48Z"}"#;
const REFUSED: &str = r#"{"connIndex":0,"error":"DialContext error: dial tcp 127.0.0.1:1: connect: connection refused","event":0,"ip":"127.0.0.1","level":"error","message":"Serve tunnel error","time":"2026-11-22T22:34:31Z"}"#;
const REFUSED_TEXT: &str = "2026-11-22T22:34:37Z ERR Serve tunnel error error=\"DialContext error: dial tcp 127.0.0.1:1: connect: connection refused\" connIndex=0 event=0 ip=127.0.0.1";
const LIMITED: &str = r#"{"level":"info","message":"Requesting new quick Tunnel on trycloudflare.com...","time":"2026-11-22T22:34:25Z"}
{"error":"invalid character 'e' looking for beginning of value","level":"error","message":"Error unmarshaling QuickTunnel response: error code: 1015","status_code":"429 Too Many Requests","time":"2026-11-22T22:34:25Z"}
failed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value"#;
const BROKEN: &str = r#"{"error":"invalid character '\u003c' looking for beginning of value","level":"error","message":"Error unmarshaling QuickTunnel response: \u003chtml\u003e","status_code":"500 Internal Server Error","time":"2026-11-22T22:34:25Z"}
failed to unmarshal quick Tunnel: invalid character '<' looking for beginning of value"#;

const RETRY: FailureKind = FailureKind::Retry;

fn own() -> Mode {
    Mode::Token { hostname: None }
}

fn read(text: &str) -> LogReader {
    let mut log_reader = LogReader::default();
    for line in text.lines() {
        log_reader.read(line);
    }
    log_reader
}

#[test]
fn too_many_quick_tunnels_mean_a_long_pause() {
    let text = "2026-11-22T22:34:25Z ERR Error unmarshaling QuickTunnel response: error code: 1015 error=\"invalid character 'e' looking for beginning of value\" status_code=\"429 Too Many Requests\"\nfailed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value";
    for lines in [LIMITED, text] {
        let failure = read(lines).failure(&Mode::Quick, Exit::Code(1), RETRY);
        assert_eq!(failure.kind, FailureKind::RetryLater);
        assert!(failure.message.contains("429") && failure.hint.is_some());
    }
}

#[test]
fn a_tunnel_that_is_not_accepted_waits_for_the_operator_while_cloudflared_would_go_on() {
    let failure = read(REJECTED).rejection_failure(&own()).unwrap();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure.message.contains("Unauthorized: Invalid tunnel secret"),
        "{failure:?}"
    );
    assert_eq!(
        read(REJECTED).rejection_failure(&Mode::Quick).unwrap().kind,
        FailureKind::RetryLater
    );
    assert!(read(REFUSED).rejection_failure(&own()).is_none());
    let accepted_later = read(&format!("{REJECTED}\n{REGISTERED}"));
    assert!(accepted_later.registered && accepted_later.rejection_failure(&own()).is_none());
    let while_up = read(&format!("{REGISTERED}\n{REJECTED}"))
        .rejection_failure(&own())
        .unwrap();
    assert_eq!(while_up.kind, FailureKind::RetryLater, "it may be accepted again");
}

#[test]
fn both_forms_of_a_line_say_the_same() {
    for line in [REFUSED, REFUSED_TEXT] {
        let failure = read(line).unregistered(RETRY);
        assert_eq!(
            failure.message,
            "Cloudflare cannot be reached: DialContext error: dial tcp 127.0.0.1:1: connect: connection refused."
        );
        assert!(failure.hint.unwrap().contains("7844"));
        assert_eq!(failure.kind, FailureKind::Retry);
    }
}

#[test]
fn what_the_quick_service_did_is_reported() {
    let refused = "failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": dial tcp: lookup api.trycloudflare.com: no such host";
    let failure = read(refused).failure(&Mode::Quick, Exit::Code(1), RETRY);
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.message.contains("no such host") && failure.hint.unwrap().contains("api.trycloudflare.com"));
    let failure = read(BROKEN).failure(&Mode::Quick, Exit::Code(1), RETRY);
    assert!(failure.message.contains("500 Internal Server Error"), "{failure:?}");
    let failure =
        read("failed to parse quick Tunnel ID: invalid UUID length: 0").failure(&Mode::Quick, Exit::Code(1), RETRY);
    assert!(failure.message.contains("invalid UUID length"), "{failure:?}");
}

#[test]
fn an_end_with_code_0_is_a_failure_too() {
    let usage = "Incorrect Usage. flag provided but not defined: -nonsense\n\nNAME:\n   cloudflared tunnel";
    let failure = read(usage).failure(&Mode::Quick, Exit::Code(0), RETRY);
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("-nonsense"));
    assert_eq!(
        read("").failure(&Mode::Quick, Exit::Code(0), RETRY).kind,
        FailureKind::Retry
    );
}

#[test]
fn a_wrong_token_or_credentials_are_permanent() {
    let token = "Provided Tunnel token is not valid.\nSee 'cloudflared tunnel run --help'.";
    let failure = read(token).failure(&own(), Exit::Code(255), RETRY);
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.hint.unwrap().contains("starts with `ey`"));
    for word in [
        "Tunnel credentials file '/x.json' doesn't exist or is not a file",
        "Invalid JSON when parsing tunnel credentials file",
        "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)",
    ] {
        let failure = read(word).failure(&own(), Exit::Code(1), RETRY);
        assert_eq!(failure.kind, FailureKind::Permanent, "{word}");
    }
}

/// `START` is what 2026.8.2 logs at its start without a name service, although it may not need one.
const START: &str = r#"{"error":"lookup cfd-features.argotunnel.com on 10.0.0.1:53: no such host","level":"error","message":"Failed to fetch features, default to disable","time":"2026-11-22T23:30:43Z"}
{"error":"lookup _v2-origintunneld._tcp.argotunnel.com on 10.0.0.1:53: no such host","event":0,"level":"error","message":"edge discovery: error looking up Cloudflare edge IPs: the DNS query failed","time":"2026-11-22T23:30:43Z"}
{"event":0,"level":"error","message":"     https://developers.cloudflare.com/1.1.1.1/setting-up-1.1.1.1/","time":"2026-11-22T23:30:43Z"}
{"error":"lookup region1.v2.argotunnel.com on 10.0.0.1:53: no such host","level":"error","message":"Failed to initialize DNS local resolver","time":"2026-11-22T23:30:43Z"}"#;

#[test]
fn a_failed_look_up_is_the_reason_only_where_there_is_no_better_one() {
    assert!(
        read(START).trouble().contains("_v2-origintunneld"),
        "{}",
        read(START).trouble()
    );
    for lines in [format!("{START}\n{REFUSED}"), format!("{REFUSED}\n{START}")] {
        assert_eq!(read(&lines).trouble(), read(REFUSED).trouble());
    }
}

#[test]
fn a_signal_and_any_other_end_are_tried_again() {
    assert!(
        read(REGISTERED)
            .failure(&own(), Exit::Signal(9), RETRY)
            .message
            .contains("signal 9")
    );
    let failure = read(REFUSED).failure(&own(), Exit::Code(1), RETRY);
    assert!(
        failure.kind == FailureKind::Retry && failure.message.contains("code 1"),
        "{failure:?}"
    );
}

#[test]
fn a_page_of_html_in_the_log_is_cut() {
    let long = read(&"ü".repeat(5_000)).trouble();
    assert!(long.chars().count() == MAX_TEXT + 1 && long.ends_with('…'));
}

#[test]
fn who_was_accepted_in_an_earlier_process_is_not_locked_out_for_good() {
    let mut log_reader = LogReader::new(true);
    log_reader.read(REJECTED);
    assert_eq!(
        log_reader.rejection_failure(&own()).unwrap().kind,
        FailureKind::RetryLater
    );
}

/// `REFUSED_QUIC` is all that 2026.8.2 logs for a registration that is refused over QUIC.
const REFUSED_QUIC: &str = r#"{"connIndex":0,"error":"control stream encountered a failure while serving","event":0,"ip":"198.41.192.7","level":"error","message":"Serve tunnel error","time":"2026-11-28T17:01:02Z"}"#;

#[test]
fn a_refusal_over_quic_is_recognized_by_what_is_counted() {
    let mut log_reader = read(REFUSED_QUIC);
    assert_eq!(
        log_reader.trouble(),
        SERVING_ERROR,
        "a connection may also just have broken"
    );
    log_reader.set_registration_failures(2);
    assert_eq!(log_reader.registration_failures(), 2);
    assert_eq!(log_reader.trouble(), UNEXPLAINED);
    let failure = log_reader.unexplained_failure(&own()).unwrap();
    assert_eq!(failure.kind, FailureKind::RetryLater);
    assert!(failure.message.contains("secret was changed") && failure.hint.unwrap().starts_with("set the token"));
    // What was refused before it was up is over.
    log_reader.connected();
    assert_eq!(log_reader.registration_failures(), 0);
    log_reader.set_registration_failures(3);
    assert_eq!(log_reader.registration_failures(), 1);
    // Cloudflare's own words are better ones.
    assert!(read(REJECTED).unexplained_failure(&own()).is_none());
}

#[test]
fn a_wrong_clock_is_named_in_a_message_that_stays() {
    let line = |second: u32| {
        format!(
            r#"{{"connIndex":0,"error":"TLS handshake with edge error: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2036-11-28T17:00:{second:02}Z is after 2034-01-01T00:00:00Z","level":"error","message":"Serve tunnel error"}}"#
        )
    };
    let (first, second) = (read(&line(1)), read(&line(2)));
    assert_eq!(first.trouble(), second.trouble());
    let failure = first.unregistered(RETRY);
    assert!(failure.message.contains("clock") && failure.hint.unwrap().contains("clock"));
    let service = "failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2036-11-28T17:00:01Z is after 2034-01-01T00:00:00Z";
    let failure = read(service).failure(&Mode::Quick, Exit::Code(1), RETRY);
    assert!(
        failure.message.contains("clock") && !failure.message.contains("17:00:01"),
        "{failure:?}"
    );
    assert!(failure.hint.unwrap().contains("clock"));
}

#[test]
fn the_port_of_this_end_makes_no_other_trouble() {
    let line = |port: u16| {
        format!(
            r#"{{"error":"read udp 10.0.0.5:{port}->198.41.192.7:7844: recvfrom: network is unreachable","level":"error","message":"Failed to dial a quic connection"}}"#
        )
    };
    assert_eq!(read(&line(1)).trouble(), read(&line(2)).trouble());
    assert!(read(&line(1)).trouble().contains("198.41.192.7:7844"));
}

#[test]
fn an_empty_answer_is_called_one() {
    let empty = r#"{"error":"unexpected end of JSON input","level":"error","message":"Error unmarshaling QuickTunnel response: ","status_code":"200 OK","time":"2026-11-22T22:34:25Z"}
failed to unmarshal quick Tunnel: unexpected end of JSON input"#;
    let failure = read(empty).failure(&Mode::Quick, Exit::Code(1), RETRY);
    assert!(failure.message.contains("an empty response (200 OK)"), "{failure:?}");
}

#[test]
fn whether_a_new_start_may_follow_soon_is_decided_by_who_counts_them() {
    for exit in [Exit::Code(1), Exit::Code(0), Exit::Signal(9)] {
        for kind in [FailureKind::Retry, FailureKind::RetryLater] {
            assert_eq!(read(REFUSED).failure(&Mode::Quick, exit, kind).kind, kind);
            assert_eq!(read(BROKEN).failure(&Mode::Quick, exit, kind).kind, kind);
        }
        assert_eq!(
            read(LIMITED).failure(&Mode::Quick, exit, FailureKind::Retry).kind,
            FailureKind::RetryLater,
            "429 is never asked again quickly"
        );
    }
}

#[test]
fn a_program_that_hangs_is_reported() {
    let mut log_reader = read(REGISTERED);
    log_reader.hangs = true;
    assert_eq!(log_reader.trouble(), METRICS_UNAVAILABLE);
}
