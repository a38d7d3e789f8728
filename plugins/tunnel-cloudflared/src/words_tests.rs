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

fn own() -> Mode {
    Mode::Token { hostname: None }
}

fn read(text: &str) -> Words {
    let mut words = Words::default();
    for line in text.lines() {
        words.read(line);
    }
    words
}

#[test]
fn too_many_quick_tunnels_mean_a_long_pause() {
    let text = "2026-11-22T22:34:25Z ERR Error unmarshaling QuickTunnel response: error code: 1015 error=\"invalid character 'e' looking for beginning of value\" status_code=\"429 Too Many Requests\"\nfailed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value";
    for lines in [LIMITED, text] {
        let failure = read(lines).failure(&Mode::Quick, Exit::Code(1));
        assert_eq!(failure.kind, FailureKind::RetryLater);
        assert!(failure.message.contains("429") && failure.hint.is_some());
    }
}

#[test]
fn a_tunnel_that_is_not_accepted_waits_for_the_operator_while_cloudflared_would_go_on() {
    let failure = read(REJECTED).hopeless(&own()).unwrap();
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(
        failure.message.contains("Unauthorized: Invalid tunnel secret"),
        "{failure:?}"
    );
    assert_eq!(
        read(REJECTED).hopeless(&Mode::Quick).unwrap().kind,
        FailureKind::RetryLater
    );
    assert!(read(REFUSED).hopeless(&own()).is_none());
    let accepted_later = read(&format!("{REJECTED}\n{REGISTERED}"));
    assert!(accepted_later.registered && accepted_later.hopeless(&own()).is_none());
    let while_up = read(&format!("{REGISTERED}\n{REJECTED}")).hopeless(&own()).unwrap();
    assert_eq!(while_up.kind, FailureKind::RetryLater, "it may be accepted again");
}

#[test]
fn both_forms_of_a_line_say_the_same() {
    for line in [REFUSED, REFUSED_TEXT] {
        let failure = read(line).unregistered(&own());
        assert_eq!(
            failure.message,
            "Cloudflare cannot be reached: DialContext error: dial tcp 127.0.0.1:1: connect: connection refused."
        );
        assert!(failure.hint.unwrap().contains("7844"));
        assert_eq!(failure.kind, FailureKind::Retry);
        assert_eq!(read(line).unregistered(&Mode::Quick).kind, FailureKind::RetryLater);
    }
}

#[test]
fn what_the_quick_service_did_is_told() {
    let refused = "failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": dial tcp: lookup api.trycloudflare.com: no such host";
    let failure = read(refused).failure(&Mode::Quick, Exit::Code(1));
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.message.contains("no such host") && failure.hint.unwrap().contains("api.trycloudflare.com"));
    let failure = read(BROKEN).failure(&Mode::Quick, Exit::Code(1));
    assert!(failure.message.contains("500 Internal Server Error"), "{failure:?}");
    let failure = read("failed to parse quick Tunnel ID: invalid UUID length: 0").failure(&Mode::Quick, Exit::Code(1));
    assert!(failure.message.contains("invalid UUID length"), "{failure:?}");
}

#[test]
fn an_end_with_code_0_is_a_failure_too() {
    let usage = "Incorrect Usage. flag provided but not defined: -nonsense\n\nNAME:\n   cloudflared tunnel";
    let failure = read(usage).failure(&Mode::Quick, Exit::Code(0));
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("-nonsense"));
    assert_eq!(read("").failure(&Mode::Quick, Exit::Code(0)).kind, FailureKind::Retry);
}

#[test]
fn a_wrong_token_or_credentials_are_permanent() {
    let token = "Provided Tunnel token is not valid.\nSee 'cloudflared tunnel run --help'.";
    let failure = read(token).failure(&own(), Exit::Code(255));
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.hint.unwrap().contains("--token"));
    for word in [
        "Tunnel credentials file '/x.json' doesn't exist or is not a file",
        "Invalid JSON when parsing tunnel credentials file",
        "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)",
    ] {
        let failure = read(word).failure(&own(), Exit::Code(1));
        assert_eq!(failure.kind, FailureKind::Permanent, "{word}");
    }
}

/// What 2026.8.2 writes at its start where no name service answers, though it may not need one.
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
            .failure(&own(), Exit::Signal(9))
            .message
            .contains("signal 9")
    );
    let failure = read(REFUSED).failure(&own(), Exit::Code(1));
    assert!(
        failure.kind == FailureKind::Retry && failure.message.contains("exit code 1"),
        "{failure:?}"
    );
}

#[test]
fn a_page_of_html_in_the_log_is_cut() {
    let long = read(&"ü".repeat(5_000)).trouble();
    assert!(long.chars().count() == LENGTH + 1 && long.ends_with('…'));
}
