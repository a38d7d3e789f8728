#![allow(clippy::unwrap_used)]

use super::*;
use crate::settings::{Settings, tests::authored};

fn of(status: u16, code: &str, text: &str, key: bool, after: Option<u64>) -> Refusal {
    let server = Settings::try_from(authored("https://llm.example/v1")).unwrap().server;
    let fault = Fault {
        code: code.to_owned(),
        text: text.to_owned(),
    };
    let asked = Asked {
        server: &server,
        model: "big",
        key,
    };
    Refusal::of_status(asked, status, &fault, after)
}

#[test]
fn each_status_has_the_servers_words_and_what_to_do() {
    for (status, key, what, fix) in [
        (400, true, "refused the request", ""),
        (401, true, "does not accept the key", "correct `api_key`"),
        (401, false, "asks for a key", "add api_key"),
        (403, true, "does not accept the key", "correct `api_key`"),
        (402, true, "asks for payment", "add credit"),
        (
            404,
            true,
            "does not have the model \"big\"",
            "correct `model` and `base_url`",
        ),
        (413, true, "a request of this size", "smaller files"),
        (429, true, "takes no more requests", "wait a while"),
        (503, true, "failed", "wait a while"),
        (301, true, "leads elsewhere", "`base_url`"),
        (418, true, "refused the request", ""),
    ] {
        let refusal = of(status, "", "the very words", key, None);
        let text = &refusal.text;
        assert!(
            text.starts_with("llm.example ") && text.contains(what) && text.contains(fix),
            "{status}: {text}"
        );
        assert!(text.contains(&format!("(HTTP {status}): the very words")), "{text}");
        assert_eq!(text.contains("To fix: "), !fix.is_empty(), "{text}");
        assert_eq!(refusal.retry.is_some(), matches!(status, 429 | 503), "{status}");
    }
    assert_eq!(
        of(400, "", "", true, None).text,
        "llm.example refused the request (HTTP 400)."
    );
}

#[test]
fn a_pause_that_is_asked_for_is_kept_and_said() {
    let refusal = of(429, "rate_limit_exceeded", "slow down", true, Some(90_500));
    assert_eq!(refusal.retry, Some(Some(90_500)));
    assert!(refusal.text.contains("wait 91 s"), "{}", refusal.text);
    let broke = of(429, "insufficient_quota", "you exceeded your quota", true, Some(1));
    assert_eq!(broke.retry, None);
    assert!(broke.text.contains("add credit"), "{}", broke.text);
}

#[test]
fn a_chat_that_is_too_long_is_told_apart_in_each_servers_words() {
    for (status, code, text) in [
        (
            400,
            "context_length_exceeded",
            "This model's maximum context length is 8192 tokens.",
        ),
        (
            400,
            "exceed_context_size_error",
            "the request exceeds the available context size",
        ),
        (
            400,
            "BadRequestError",
            "This model's maximum context length is 4096 tokens",
        ),
        (500, "", "input is larger than the context window"),
        (413, "", "prompt is too long: 210000 tokens"),
    ] {
        let refusal = of(status, code, text, true, None);
        assert!(
            refusal.text.contains("start a new chat") && refusal.text.contains(text),
            "{}",
            refusal.text
        );
        assert_eq!(refusal.retry, None);
    }
    assert!(
        !of(500, "", "out of memory", true, None)
            .text
            .contains("start a new chat")
    );
}

#[test]
fn an_error_of_the_host_keeps_its_words() {
    let server = Settings::try_from(authored("https://llm.example/v1")).unwrap().server;
    let asked = Asked {
        server: &server,
        model: "m",
        key: false,
    };
    let of = |error| Refusal::of_host(asked, error, 60_000);
    let denied = of(Error::Denied("No grant. To fix: add these lines:\nx".to_owned()));
    assert_eq!(
        (denied.text.as_str(), denied.retry),
        ("No grant. To fix: add these lines:\nx", None)
    );
    let gone = of(Error::Unavailable("cannot reach http://a".to_owned()));
    assert!(
        gone.text
            .starts_with("cannot reach http://a. To fix: check that the server runs"),
        "{}",
        gone.text
    );
    assert_eq!(gone.retry, Some(None));
    let silent = of(Error::Timeout("x".to_owned()));
    assert!(
        silent.text.starts_with("llm.example sent nothing for 60 s."),
        "{}",
        silent.text
    );
    assert_eq!(silent.retry, None);
}

#[test]
fn reasons_to_finish_are_put_into_words_and_good_ones_are_none() {
    for good in ["stop", "", "eos"] {
        assert_eq!(finished(good), None);
    }
    for (reason, word) in [
        ("length", "truncated"),
        ("content_filter", "content filter"),
        ("tool_calls", "called a tool"),
        ("error", "error"),
        ("cosmic rays", "\"cosmic rays\""),
    ] {
        assert!(finished(reason).unwrap().contains(word), "{reason}");
    }
    assert!(finished(&"x".repeat(10_000)).unwrap().len() < 200);
}

#[test]
fn a_server_that_does_not_count_is_known_by_its_words() {
    let fault = |text: &str| Fault {
        code: String::new(),
        text: text.to_owned(),
    };
    assert!(is_of_stream_options(
        400,
        &fault("Unknown parameter: 'stream_options'.")
    ));
    assert!(is_of_stream_options(
        422,
        &fault("extra fields: stream_options.include_usage")
    ));
    assert!(!is_of_stream_options(500, &fault("stream_options")));
    assert!(!is_of_stream_options(400, &fault("something else")));
}
