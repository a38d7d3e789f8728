//! Why an answer did not come, in words: what happened, in the server's own words where it has some, and what to do. And whether
//! it is worth another attempt.

use crate::settings::Server;
use crate::wire::Fault;
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::error_text::sentence;

/// `Refusal` is why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `text` is for the owner, with the fix.
    pub text: String,
    /// `retry` has when another attempt may help: the pause in milliseconds that the server asks for, if any.
    pub retry: Option<Option<u64>>,
}

/// `Asked` is what was asked of whom, for the words.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub server: &'a Server,
    pub model: &'a str,
    /// `key`: the operator gave one.
    pub key: bool,
}

/// `MODEL` is the fix for a model that is not there.
const MODEL: &str =
    "choose another model, or correct `model` and `base_url` in [plugin.chat-openai.config]: most addresses end in /v1";
/// `PAY` is the fix where the account is empty.
const PAY: &str = "add credit to the account, or use another model or key";

impl Refusal {
    pub fn lasting(why: &str, fix: Option<&str>) -> Self {
        Self {
            text: sentence(why, fix),
            retry: None,
        }
    }

    fn passing(why: &str, fix: Option<&str>, after: Option<u64>) -> Self {
        Self {
            text: sentence(why, fix),
            retry: Some(after),
        }
    }

    /// `of_status` is the refusal that an answer with this status is; `after` is what its `retry-after` says, in milliseconds.
    pub fn of_status(asked: Asked<'_>, status: u16, fault: &Fault, after: Option<u64>) -> Self {
        let host = &asked.server.host;
        let why = |what: &str| match fault.text.as_str() {
            "" => format!("{host} {what} (HTTP {status})"),
            text => format!("{host} {what} (HTTP {status}): {text}"),
        };
        match status {
            _ if is_too_long(status, fault) => Self::lasting(
                &why("cannot read a chat of this length"),
                Some("start a new chat, or choose a model with a larger context"),
            ),
            401 | 403 if asked.key => Self::lasting(
                &why("does not accept the key"),
                Some("correct `api_key` in [plugin.chat-openai.secrets]"),
            ),
            401 | 403 => Self::lasting(
                &why("asks for a key"),
                Some("add api_key = { file = \"openai.key\" } to [plugin.chat-openai.secrets]"),
            ),
            402 => Self::lasting(&why("asks for payment"), Some(PAY)),
            404 => Self::lasting(
                &why(&format!("does not have the model {:?} here", asked.model)),
                Some(MODEL),
            ),
            413 => Self::lasting(
                &why("does not take a request of this size"),
                Some("send fewer or smaller files, or start a new chat"),
            ),
            429 if fault.code == "insufficient_quota" => {
                Self::lasting(&why("has no credit left for this key"), Some(PAY))
            }
            429 => Self::passing(&why("takes no more requests for now"), Some(&later(after)), after),
            408 | 409 | 425 | 500..=599 => Self::passing(&why("failed"), Some(&later(after)), after),
            300..=399 => Self::lasting(
                &why("leads elsewhere"),
                Some("write the address that it leads to as `base_url` in [plugin.chat-openai.config]"),
            ),
            _ => Self::lasting(&why("refused the request"), None),
        }
    }

    /// `of_event` is the refusal that an error amid an answer is.
    pub fn of_event(asked: Asked<'_>, fault: &Fault) -> Self {
        let host = &asked.server.host;
        if is_too_long(400, fault) {
            return Self::of_status(asked, 400, fault, None);
        }
        let text = if fault.text.is_empty() {
            "it gave no reason"
        } else {
            &fault.text
        };
        Self::passing(
            &format!("{host} failed amid the answer: {text}"),
            Some("send the message again"),
            None,
        )
    }

    /// `of_host` is the refusal that an error of the host is: the request was not sent, or its answer broke off.
    pub fn of_host(asked: Asked<'_>, error: Error, timeout: u64) -> Self {
        match error {
            Error::Unavailable(text) => Self::passing(
                &text,
                Some("check that the server runs, and that `base_url` in [plugin.chat-openai.config] is its address"),
                None,
            ),
            Error::Timeout(_) => Self::lasting(
                &format!("{} sent nothing for {} s", asked.server.host, timeout / 1000),
                Some("check the server; if it needs longer, raise `timeout` in [plugin.chat-openai.config]"),
            ),
            other => Self {
                text: other.into(),
                retry: None,
            },
        }
    }
}

fn later(after: Option<u64>) -> String {
    match after {
        Some(after) => format!("wait {} s, then send the message again", after.div_ceil(1000)),
        None => "wait a while, then send the message again".to_owned(),
    }
}

/// Tells whether the chat is longer than the model's context: each server has words of its own for it.
fn is_too_long(status: u16, fault: &Fault) -> bool {
    const CODES: [&str; 3] = [
        "context_length_exceeded",
        "exceed_context_size_error",
        "context_window_exceeded",
    ];
    const WORDS: [&str; 7] = [
        "context length",
        "context size",
        "context window",
        "maximum context",
        "exceeds the available context",
        "prompt is too long",
        "too many tokens",
    ];
    if !matches!(status, 400 | 413 | 422 | 500) {
        return false;
    }
    let text = fault.text.to_lowercase();
    CODES.contains(&fault.code.as_str()) || WORDS.iter().any(|words| text.contains(words))
}

/// Tells whether a refusal is about `stream_options`, which some servers do not know.
pub fn is_of_stream_options(status: u16, fault: &Fault) -> bool {
    matches!(status, 400 | 422) && (fault.text.contains("stream_options") || fault.text.contains("include_usage"))
}

/// `finished` is what is wrong with an answer that ended for this reason; `None`: nothing.
pub fn finished(reason: &str) -> Option<String> {
    let (why, fix) = match reason {
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" | "" => return None,
        "length" | "max_tokens" => (
            "This answer was truncated because it reached the output limit of the model".to_owned(),
            Some("ask the model to continue, or raise max_tokens in `parameters` of [plugin.chat-openai.config]"),
        ),
        "content_filter" => (
            "The server's content filter ended this answer".to_owned(),
            Some("word the message differently"),
        ),
        "tool_calls" | "function_call" => (
            "The model called a tool, and this backend has none".to_owned(),
            Some("ask the model to answer without tools"),
        ),
        "error" => (
            "The server ended this answer because of an error".to_owned(),
            Some("send the message again"),
        ),
        other => {
            let other: String = other.chars().take(64).collect();
            (format!("The server ended this answer for the reason {other:?}"), None)
        }
    };
    Some(sentence(&why, fix))
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
