//! The lines are recorded from bore 0.6.0.

use super::*;
use nexus_plugin_api::tunnel::FailureKind;

const CONNECTED: &str = "2026-11-22T19:07:24.986754Z  INFO bore_cli::client: connected to server remote_port=20044";
const BACKTRACE: &str = "
Stack backtrace:
   0: anyhow::error::<impl anyhow::Error>::msg
   1: anyhow::__private::format_err
   2: tokio::runtime::park::CachedParkThread::block_on
  10: __libc_start_call_main
             at ./csu/../sysdeps/nptl/libc_start_call_main.h:58:16";

fn read(text: &str) -> LogReader {
    let mut log_reader = LogReader::default();
    for line in text.lines() {
        log_reader.read(line);
    }
    log_reader
}

fn failure(text: &str, code: i32) -> Failure {
    read(text).failure("bore.example", Exit::Code(code))
}

#[test]
fn the_port_is_read() {
    assert_eq!(LogReader::default().read(CONNECTED), LineEvent::Connected(20044));
    assert_eq!(
        LogReader::default().read(&CONNECTED.replace("20044", "65536")),
        LineEvent::Ignored
    );
}

#[test]
fn lines_about_requests_mean_nothing() {
    for line in [
        "2026-11-22T18:57:41.370460Z  INFO bore_cli::client: listening at 127.0.0.9:20051",
        "2026-11-22T18:57:42.538082Z  INFO proxy{id=4890a93e-6dcb-4ce6-a44b-8ff12db6ad59}: bore_cli::client: new connection",
        "2026-11-22T18:57:42.540821Z  INFO proxy{id=4890a93e-6dcb-4ce6-a44b-8ff12db6ad59}: bore_cli::client: connection exited",
        "",
    ] {
        assert_eq!(LogReader::default().read(line), LineEvent::Ignored, "{line}");
    }
}

#[test]
fn a_complaint_of_the_server_is_passed_on() {
    let line = "2026-11-22T19:07:24.986754Z ERROR bore_cli::client: server error err=\"busy\"";
    assert_eq!(
        LogReader::default().read(line),
        LineEvent::Warning("server error err=\"busy\"".to_owned())
    );
}

#[test]
fn a_wrong_or_missing_secret_is_permanent() {
    for error in [
        "Error: server error: invalid secret",
        "Error: server requires authentication, but no client secret was provided",
    ] {
        for text in [error.to_owned(), format!("{error}\n{BACKTRACE}")] {
            let failure = failure(&text, 1);
            assert_eq!(failure.kind, FailureKind::Permanent, "{text}");
            assert!(failure.message.contains("bore.example") && failure.message.contains("secret"));
            assert!(failure.hint.unwrap().contains("`secret`"));
        }
    }
}

#[test]
fn a_secret_for_a_server_without_one_is_explained() {
    let failure = failure(
        "Error: timed out waiting for initial message\n\nCaused by:\n    deadline has elapsed\n",
        1,
    );
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.hint.unwrap().contains("remove `secret`"));
}

#[test]
fn a_port_out_of_range_is_permanent_and_one_in_use_is_not() {
    let range = failure("Error: server error: client port number not in allowed range", 1);
    assert_eq!(range.kind, FailureKind::Permanent);
    let used = failure("Error: server error: port already in use", 1);
    assert_eq!(used.kind, FailureKind::Retry);
    assert!(used.message.contains("in use") && used.hint.unwrap().contains("`port`"));
}

#[test]
fn the_cause_of_a_failed_connection_is_reported() {
    let refused = failure(
        &format!(
            "Error: could not connect to 127.0.0.8:7835\n\nCaused by:\n    Connection refused (os error 111)\n{BACKTRACE}"
        ),
        1,
    );
    assert_eq!(refused.kind, FailureKind::Retry);
    assert_eq!(
        refused.message,
        "bore.example cannot be reached: Connection refused (os error 111)."
    );
    let unknown = failure(
        "Error: could not connect to no-such-host.invalid:7835\n\nCaused by:\n    failed to lookup address information: Name or service not known",
        1,
    );
    assert!(unknown.hint.unwrap().contains("check `server`"));
}

#[test]
fn arguments_it_does_not_know_are_permanent() {
    let text = "error: invalid value 'x' for '--port <PORT>': invalid digit found in string\n\nFor more information, try '--help'.";
    let failure = failure(text, 2);
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("invalid value 'x'"));
}

#[test]
fn an_end_without_a_word_is_the_servers() {
    let failure = read(CONNECTED).failure("bore.example", Exit::Code(0));
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Retry, "bore.example closed the connection.")
    );
    let killed = read(CONNECTED).failure("bore.example", Exit::Signal(9));
    assert!(killed.message.contains("signal 9"));
    let early = read("").failure("bore.example", Exit::Code(101));
    assert!(early.message.contains("code 101"));
}

#[test]
fn any_other_error_is_reported_as_it_is() {
    let failure = failure("Error: unexpected EOF", 1);
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Retry, "bore failed: unexpected EOF.")
    );
}
