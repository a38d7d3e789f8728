//! What cloudflared writes, and what it means.
//!
//! Only for the reasons of a failure: whether the tunnel is up is read from its pages ([`crate::metrics_endpoint`]), since cloudflared
//! writes errors while all works. A line is JSON where the version can (2025.6.1 and newer), else
//! `TIME LEVEL message key=value`; the command's own last word is plain text in both.

use crate::settings::Mode;
use nexus_plugin_api::job::permanent;
use nexus_plugin_api::tunnel::{Failure, FailureKind};
use serde::Deserialize;

const REACH: &str =
    "check this machine's network: cloudflared needs outgoing port 7844, UDP for QUIC or TCP for HTTP/2";
const OWN: &str = "set the token or the credentials of an existing tunnel in [plugin.tunnel-cloudflared.secrets] in the configuration";
const CLOCK: &str =
    "set this machine's clock (`timedatectl`) and keep it synchronized: certificates are only valid for a limited time";
/// For what the clock makes of every certificate; cloudflared's own text names the second, and so is another one each time.
const TIME: &str = "according to this machine's clock, the server's certificate is not valid yet or has expired";
/// What a registration that failed is called over QUIC, whatever the cause.
const SERVING: &str = "control stream encountered a failure while serving";
const UNSAID: &str = "Cloudflare does not register the tunnel: it either rejects it or does not answer, and over QUIC \
    cloudflared does not report which";
const HANGS: &str = "cloudflared does not answer on its metrics endpoint: it was stopped or hangs";
/// Longer lines are cut: an answer of the quick service is logged whole.
const LENGTH: usize = 300;

/// How the process ended, as the host says it.
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
    /// Of an answer that could not be read, as `500 Internal Server Error`.
    status_code: Option<String>,
}

impl Record {
    /// None: a line without a level, the command's own word.
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

    /// Errors without one are advice, a line each.
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
        steady(given.unwrap_or(&self.message))
    }
}

/// The same words for the same trouble: without the second, and without the port of this machine's end, which is another one
/// at each try.
fn steady(text: &str) -> String {
    if text.contains("certificate has expired or is not yet valid") {
        return TIME.to_owned();
    }
    let words = text
        .split(' ')
        .map(|word| word.split_once("->").map_or(word, |(_, there)| there));
    words.collect::<Vec<_>>().join(" ")
}

/// The value at the beginning, with or without quotation marks.
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

/// Everything the lines so far have said.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// A connection was registered once: what fails later is tried again by cloudflared itself.
    pub(crate) registered: bool,
    /// So it was in an earlier process.
    accepted: bool,
    /// Its pages answered, and do not any more.
    pub(crate) hangs: bool,
    /// Registrations that had failed when it was last up, and that have by now.
    pub(crate) refusals_before: u64,
    refusals: u64,
    rejected: Option<String>,
    limited: bool,
    usage: Option<String>,
    /// The last error of the log, and the last word of the command.
    error: Option<String>,
    last: Option<String>,
}

impl Words {
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
            self.usage = Some(cut(line));
        }
        let Some(record) = Record::read(line) else {
            // The very last line may only point at the help.
            if !line.is_empty() && !line.starts_with("See '") {
                self.last = Some(cut(line));
            }
            return;
        };
        if record.message.starts_with("Registered tunnel connection") {
            self.registered = true;
            (self.rejected, self.error) = (None, None);
        } else if record.reason().contains("Unauthorized") {
            self.rejected = Some(cut(&record.reason()));
        } else if matches!(record.level.as_str(), "error" | "fatal") && record.has_cause() && !is_noise(&record) {
            // A look-up that failed may not have been needed: any other reason is a better one.
            if self.error.is_none() || !record.message.starts_with("edge discovery") {
                self.error = Some(cut(&record.reason()));
            }
        }
    }

    /// What its metrics count.
    pub(crate) fn refused(&mut self, count: u64) {
        self.refusals = count;
    }

    /// It has a connection: what was refused before counts no more.
    pub(crate) fn connected(&mut self) {
        (self.refusals_before, self.registered) = (self.refusals_before.max(self.refusals), true);
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.saturating_sub(self.refusals_before)
    }

    /// Why no request arrives, in cloudflared's own words where they say it.
    pub(crate) fn trouble(&self) -> String {
        let why = self.hinders();
        why.unwrap_or_else(|| "no connection to Cloudflare is registered".to_owned())
    }

    /// As [`Self::trouble`], where something is known.
    pub(crate) fn hinders(&self) -> Option<String> {
        if self.hangs {
            return Some(HANGS.to_owned());
        }
        let why = self.rejected.as_deref().or(self.error.as_deref());
        Some(match why.or(self.last.as_deref())? {
            serving if serving == SERVING && self.refusals() > 0 => UNSAID.to_owned(),
            why => why.to_owned(),
        })
    }

    /// The hint for what the words tell of.
    fn reach(&self) -> String {
        let clock = self.trouble().contains(TIME);
        if clock { CLOCK } else { REACH }.to_owned()
    }

    /// What cloudflared would go on trying for ever, and never with success.
    pub(crate) fn hopeless(&self, mode: &Mode) -> Option<Failure> {
        let why = self.rejected.as_deref()?;
        Some(match mode {
            Mode::Quick => later(format!("Cloudflare rejected the quick tunnel: {why}."), None),
            Mode::Token { .. } | Mode::Credentials { .. } => {
                let message = format!(
                    "Cloudflare does not accept the tunnel: {why}. The tunnel was deleted, or its secret was changed."
                );
                let hint = OWN.to_owned();
                // What was accepted once may be again; who cannot be reached has no other way in.
                if self.registered || self.accepted {
                    later(message, Some(hint))
                } else {
                    permanent(message, hint)
                }
            }
        })
    }

    /// Registrations fail, and no words say why: it may be refused, which the operator has to know, or Cloudflare may be in
    /// trouble, which passes.
    pub(crate) fn unsaid(&self, mode: &Mode) -> Option<Failure> {
        if self.rejected.is_some() {
            return None;
        }
        Some(match mode {
            Mode::Quick => later(format!("{UNSAID}."), None),
            Mode::Token { .. } | Mode::Credentials { .. } => later(
                format!("{UNSAID}. Usually the tunnel was deleted, or its secret was changed."),
                Some(format!(
                    "{OWN}. Cloudflare's own message is shown with `protocol = \"http2\"` under \
                     [plugin.tunnel-cloudflared.config]"
                )),
            ),
        })
    }

    /// No connection came about in time, or none came back. Each start of a quick tunnel asks for another one, and
    /// asking too often is answered with none at all: `kind` says whether that was so.
    pub(crate) fn unregistered(&self, kind: FailureKind) -> Failure {
        Failure {
            kind,
            message: format!("Cloudflare cannot be reached: {}.", self.trouble()),
            hint: Some(self.reach()),
        }
    }

    /// Why the process is gone. `kind`: whether a new start may follow soon.
    pub(crate) fn failure(&self, mode: &Mode, exit: Exit, kind: FailureKind) -> Failure {
        let again = |message: String| Failure {
            kind,
            message,
            hint: None,
        };
        if self.limited {
            return later(
                "Cloudflare currently provides no more quick tunnels to this address (429).".to_owned(),
                Some(
                    "wait, because more attempts make it worse, or use a tunnel of your own, which has no such limit"
                        .to_owned(),
                ),
            );
        }
        if let Some(failure) = self.hopeless(mode) {
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
            return permanent(format!("cloudflared does not accept its configuration: {last}."), OWN);
        }
        if says("failed to request quick Tunnel") {
            // Nobody was asked: the pauses of the host are long enough.
            let why = steady(cause(last));
            let hint = if why == TIME {
                CLOCK
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

fn later(message: String, hint: Option<String>) -> Failure {
    Failure {
        kind: FailureKind::RetryLater,
        message,
        hint,
    }
}

/// Errors of the start that only mean that a look-up was not needed.
fn is_noise(record: &Record) -> bool {
    record.message.contains("DNS local resolver")
        || record.message.starts_with("Failed to fetch features")
        || record.reason().contains("context canceled")
}

/// The innermost cause of a Go error.
fn cause(text: &str) -> &str {
    text.split_once("failed to request quick Tunnel: ")
        .map_or(text, |(_, cause)| cause)
}

fn cut(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "log_lines_tests.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
