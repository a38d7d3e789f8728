//! What cloudflared writes, and what it means.
//!
//! Only for the reasons of a failure: whether the tunnel is up is read from its pages ([`crate::metrics_endpoint`]), since cloudflared
//! writes errors while all works. A line is JSON where the version can (2025.6.1 and newer), else
//! `TIME LEVEL message key=value`; the command's own last word is plain text in both.

use crate::settings::Mode;
use nexus_plugin_api::job::permanent;
use nexus_plugin_api::tunnel::{Failure, FailureKind};
use serde::Deserialize;

const NETWORK_HINT: &str =
    "check this machine's network: cloudflared needs outgoing port 7844, UDP for QUIC or TCP for HTTP/2";
const SECRETS_HINT: &str = "set the token or the credentials of an existing tunnel in [plugin.tunnel-cloudflared.secrets] in the configuration";
const CLOCK_HINT: &str =
    "set this machine's clock (`timedatectl`) and keep it synchronized: certificates are only valid for a limited time";
/// `CERTIFICATE_TIME` is the error of every certificate when the clock is wrong; cloudflared's own text has the second
/// in it, and so differs each time.
const CERTIFICATE_TIME: &str =
    "according to this machine's clock, the server's certificate is not valid yet or has expired";
/// `SERVING_ERROR` is what cloudflared reports over QUIC for any failed registration.
const SERVING_ERROR: &str = "control stream encountered a failure while serving";
const UNEXPLAINED: &str = "Cloudflare does not register the tunnel: it either rejects it or does not answer, and over QUIC \
    cloudflared does not report which";
const METRICS_UNAVAILABLE: &str = "cloudflared does not answer on its metrics endpoint: it was stopped or hangs";
/// `MAX_TEXT` is how many characters of a line are kept: cloudflared logs a whole response of the quick-tunnel service.
const MAX_TEXT: usize = 300;

/// `Exit` is how the process exited, as the host reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Record {
    #[serde(default)]
    level: String,
    #[serde(default)]
    message: String,
    error: Option<String>,
    /// `status_code` is the status of a response that could not be read, such as `500 Internal Server Error`.
    status_code: Option<String>,
}

impl Record {
    /// `read` is `None` for a line without a level: the last output of the command itself.
    fn read(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            return serde_json::from_str(line).ok();
        }
        let (_, rest) = line.split_once(' ')?;
        let (level, rest) = rest.split_once(' ')?;
        let level = match level {
            "DBG" => "debug",
            "INF" => "info",
            "WRN" => "warn",
            "ERR" => "error",
            "FTL" => "fatal",
            _ => return None,
        };
        let value = |key: &str| rest.split_once(key).map(|(_, value)| unquoted(value));
        let message = rest.split_once("error=").map_or(rest, |(message, _)| message);
        Some(Self {
            level: level.to_owned(),
            message: message.trim().to_owned(),
            error: value("error="),
            status_code: value("status_code="),
        })
    }

    /// `has_cause` tells whether the error has a cause; lines without one are advice.
    fn has_cause(&self) -> bool {
        self.error.is_some() || self.status_code.is_some()
    }

    fn reason(&self) -> String {
        // The answer of the quick service: its status says more than what the parser missed.
        if let Some(status) = self.status_code.as_deref().filter(|status| !status.is_empty()) {
            let body = self
                .message
                .split_once("QuickTunnel response:")
                .map(|(_, body)| body.trim());
            return match body {
                Some("") => format!("an empty response ({status})"),
                Some(body) if status.starts_with('2') => format!("an invalid response ({status}): {body}"),
                _ => status.to_owned(),
            };
        }
        let given = self.error.as_deref().filter(|text| !text.is_empty());
        without_varying_parts(given.unwrap_or(&self.message))
    }
}

/// `without_varying_parts` is the same text for the same error: without the time, and without the local port, which
/// differs at each attempt.
fn without_varying_parts(text: &str) -> String {
    if text.contains("certificate has expired or is not yet valid") {
        return CERTIFICATE_TIME.to_owned();
    }
    let words = text
        .split(' ')
        .map(|word| word.split_once("->").map_or(word, |(_, there)| there));
    words.collect::<Vec<_>>().join(" ")
}

/// `unquoted` is the value at the start of `text`, with or without quotation marks.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"') {
        Some(inside) => {
            let mut value = String::new();
            let mut chars = inside.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => value.extend(chars.next()),
                    c => value.push(c),
                }
            }
            value
        }
        None => text.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// `LogReader` collects what the log says.
#[derive(Debug, Default)]
pub(crate) struct LogReader {
    /// `registered`: a connection was registered once, so cloudflared itself retries later failures.
    pub(crate) registered: bool,
    /// `accepted`: Cloudflare accepted the tunnel in an earlier process.
    accepted: bool,
    /// `hangs`: its pages answered before, and do not answer now.
    pub(crate) hangs: bool,
    /// `registration_failures_before` are the failed registrations when it was last connected;
    /// [`Self::registration_failures`] are those since then.
    pub(crate) registration_failures_before: u64,
    registration_failures: u64,
    rejected: Option<String>,
    limited: bool,
    usage: Option<String>,
    /// `error` is the last error of the log; `last` is the last output of the command itself.
    error: Option<String>,
    last: Option<String>,
}

impl LogReader {
    /// `accepted`: Cloudflare accepted this tunnel in an earlier process.
    pub(crate) fn new(accepted: bool) -> Self {
        Self {
            accepted,
            ..Self::default()
        }
    }

    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.contains("429 Too Many Requests") || line.contains("error code: 1015") {
            self.limited = true;
        }
        if line.starts_with("Incorrect Usage") {
            self.usage = Some(truncated(line));
        }
        let Some(record) = Record::read(line) else {
            // The very last line may only point at the help.
            if !line.is_empty() && !line.starts_with("See '") {
                self.last = Some(truncated(line));
            }
            return;
        };
        if record.message.starts_with("Registered tunnel connection") {
            self.registered = true;
            (self.rejected, self.error) = (None, None);
        } else if record.reason().contains("Unauthorized") {
            self.rejected = Some(truncated(&record.reason()));
        } else if matches!(record.level.as_str(), "error" | "fatal") && record.has_cause() && !is_noise(&record) {
            // A look-up that failed may not have been needed: any other reason is a better one.
            if self.error.is_none() || !record.message.starts_with("edge discovery") {
                self.error = Some(truncated(&record.reason()));
            }
        }
    }

    /// `set_registration_failures` takes the count from its metrics.
    pub(crate) fn set_registration_failures(&mut self, count: u64) {
        self.registration_failures = count;
    }

    /// `connected` takes note of a connection: earlier failed registrations no longer count.
    pub(crate) fn connected(&mut self) {
        (self.registration_failures_before, self.registered) =
            (self.registration_failures_before.max(self.registration_failures), true);
    }

    pub(crate) fn registration_failures(&self) -> u64 {
        self.registration_failures
            .saturating_sub(self.registration_failures_before)
    }

    /// `trouble` is the reason why no request arrives, in cloudflared's own text where there is one.
    pub(crate) fn trouble(&self) -> String {
        let why = self.known_trouble();
        why.unwrap_or_else(|| "no connection to Cloudflare is registered".to_owned())
    }

    /// `known_trouble` is [`Self::trouble`] where the log or the metrics give a reason.
    pub(crate) fn known_trouble(&self) -> Option<String> {
        if self.hangs {
            return Some(METRICS_UNAVAILABLE.to_owned());
        }
        let why = self.rejected.as_deref().or(self.error.as_deref());
        Some(match why.or(self.last.as_deref())? {
            serving if serving == SERVING_ERROR && self.registration_failures() > 0 => UNEXPLAINED.to_owned(),
            why => why.to_owned(),
        })
    }

    /// `network_hint` is the hint for the known cause.
    fn network_hint(&self) -> String {
        let clock = self.trouble().contains(CERTIFICATE_TIME);
        if clock { CLOCK_HINT } else { NETWORK_HINT }.to_owned()
    }

    /// `rejection_failure` is the failure of a tunnel that Cloudflare rejects: cloudflared would retry for ever without
    /// success.
    pub(crate) fn rejection_failure(&self, mode: &Mode) -> Option<Failure> {
        let why = self.rejected.as_deref()?;
        Some(match mode {
            Mode::Quick => retry_later(format!("Cloudflare rejected the quick tunnel: {why}."), None),
            Mode::Token { .. } | Mode::Credentials { .. } => {
                let message = format!(
                    "Cloudflare does not accept the tunnel: {why}. The tunnel was deleted, or its secret was changed."
                );
                let hint = SECRETS_HINT.to_owned();
                // What was accepted once may be again; who cannot be reached has no other way in.
                if self.registered || self.accepted {
                    retry_later(message, Some(hint))
                } else {
                    permanent(message, hint)
                }
            }
        })
    }

    /// `unexplained_failure` is the failure of registrations without a logged cause: Cloudflare may reject the tunnel,
    /// which the operator must know, or it may have a temporary problem.
    pub(crate) fn unexplained_failure(&self, mode: &Mode) -> Option<Failure> {
        if self.rejected.is_some() {
            return None;
        }
        Some(match mode {
            Mode::Quick => retry_later(format!("{UNEXPLAINED}."), None),
            Mode::Token { .. } | Mode::Credentials { .. } => retry_later(
                format!("{UNEXPLAINED}. Usually the tunnel was deleted, or its secret was changed."),
                Some(format!(
                    "{SECRETS_HINT}. Cloudflare's own message is shown with `protocol = \"http2\"` under \
                     [plugin.tunnel-cloudflared.config]"
                )),
            ),
        })
    }

    /// `unregistered` is the failure of a tunnel that did not connect, or did not reconnect, in time. `kind` says
    /// whether a restart may follow soon: each start of a quick tunnel requests a name, and the service gives none to a
    /// client that asks too often.
    pub(crate) fn unregistered(&self, kind: FailureKind) -> Failure {
        Failure {
            kind,
            message: format!("Cloudflare cannot be reached: {}.", self.trouble()),
            hint: Some(self.network_hint()),
        }
    }

    /// `failure` is the reason why the process exited. `kind`: whether a restart may follow soon.
    pub(crate) fn failure(&self, mode: &Mode, exit: Exit, kind: FailureKind) -> Failure {
        let again = |message: String| Failure {
            kind,
            message,
            hint: None,
        };
        if self.limited {
            return retry_later(
                "Cloudflare currently provides no more quick tunnels to this address (429).".to_owned(),
                Some(
                    "wait, because more attempts make it worse, or use a tunnel of your own, which has no such limit"
                        .to_owned(),
                ),
            );
        }
        if let Some(failure) = self.rejection_failure(mode) {
            return failure;
        }
        if let Some(usage) = &self.usage {
            return permanent(
                format!("cloudflared does not support the arguments it was started with: {usage}."),
                "update it with `cloudflared update` or your package manager",
            );
        }
        let last = self.last.as_deref().unwrap_or_default();
        let says = |words: &str| last.contains(words);
        if says("token is not valid") {
            return permanent(
                "cloudflared does not accept the token.",
                "copy it again from Cloudflare's dashboard: it is the long text that starts with `ey`, alone or in \
                 the command shown there",
            );
        }
        if says("credentials file") || says("ingress") {
            return permanent(
                format!("cloudflared does not accept its configuration: {last}."),
                SECRETS_HINT,
            );
        }
        if says("failed to request quick Tunnel") {
            // Nobody was asked: the pauses of the host are long enough.
            let why = without_varying_parts(innermost_cause(last));
            let hint = if why == CERTIFICATE_TIME {
                CLOCK_HINT
            } else {
                "check this machine's network and DNS: it must reach api.trycloudflare.com"
            };
            return Failure {
                kind: FailureKind::Retry,
                message: format!("Cloudflare's service for quick tunnels cannot be reached: {why}."),
                hint: Some(hint.to_owned()),
            };
        }
        if says("quick Tunnel ID") {
            return again(format!(
                "Cloudflare's service for quick tunnels answered but provided no tunnel: {last}."
            ));
        }
        if says("quick Tunnel") {
            return again(format!(
                "Cloudflare's service for quick tunnels provided no tunnel: {}.",
                self.trouble()
            ));
        }
        match exit {
            Exit::Signal(signal) => again(format!("cloudflared was killed by signal {signal}.")),
            Exit::Code(0) => again("cloudflared exited.".to_owned()),
            Exit::Code(code) => again(format!("cloudflared exited with code {code}: {}.", self.trouble())),
        }
    }
}

fn retry_later(message: String, hint: Option<String>) -> Failure {
    Failure {
        kind: FailureKind::RetryLater,
        message,
        hint,
    }
}

/// `is_noise` tells whether an error at the start only means that a lookup was not needed.
fn is_noise(record: &Record) -> bool {
    record.message.contains("DNS local resolver")
        || record.message.starts_with("Failed to fetch features")
        || record.reason().contains("context canceled")
}

/// `innermost_cause` is the innermost cause of a Go error.
fn innermost_cause(text: &str) -> &str {
    text.split_once("failed to request quick Tunnel: ")
        .map_or(text, |(_, cause)| cause)
}

fn truncated(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "log_lines_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
