//! The lines of one plugin in the host's log, at a limited rate: what it logs, and what it writes to its standard streams.

use crate::bindings::caps::log::Level;
use crate::capabilities::secrets::mask::Mask;
use crate::plugin_stats::Counters;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;
use nexus_plugin_api::text;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// `LogSink` is where the lines of one plugin go.
pub(crate) struct LogSink {
    plugin: String,
    /// `rate` is in lines a second.
    rate: u32,
    lines: TokenBucket,
    /// `reports` bounds the lines that say how many were dropped: in a flood there is a gap before nearly every line.
    reports: TokenBucket,
    counters: Arc<Counters>,
    /// `mask` keeps its own secrets out of all of it.
    mask: Arc<Mask>,
    state: Mutex<SinkState>,
}

#[derive(Default)]
struct SinkState {
    dropped: u64,
    last_lines: VecDeque<String>,
}

impl LogSink {
    pub(crate) fn new(plugin: &str, rate: u32, counters: Arc<Counters>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            rate,
            lines: TokenBucket::new(f64::from(rate), SECOND),
            reports: TokenBucket::new(1.0, SECOND),
            counters,
            mask: Arc::default(),
            state: Mutex::default(),
        }
    }

    #[must_use]
    pub(crate) fn hiding(mut self, mask: Arc<Mask>) -> Self {
        self.mask = mask;
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether one more line may be written, and how many were dropped before it, where that is to be reported now.
    fn admit(&self) -> Option<u64> {
        let mut state = self.state();
        if self.lines.take(1.0).is_err() {
            state.dropped += 1;
            self.counters.log_dropped();
            return None;
        }
        if state.dropped > 0 && self.reports.take(1.0).is_ok() {
            return Some(std::mem::take(&mut state.dropped));
        }
        Some(0)
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        // A Rust plugin logs the text of a panic instead of writing it to standard error.
        if matches!(level, Level::Error) && message.starts_with("panicked at") {
            self.keep(message);
        }
        let Some(dropped) = self.admit() else { return };
        let plugin = self.plugin.as_str();
        if dropped > 0 {
            tracing::warn!(
                plugin,
                "dropped {dropped} log lines of this plugin: more than {} lines a second",
                self.rate
            );
        }
        let message = clean(&self.mask.hide(message));
        match level {
            Level::Debug => tracing::debug!(plugin, "{message}"),
            Level::Info => tracing::info!(plugin, "{message}"),
            Level::Warn => tracing::warn!(plugin, "{message}"),
            Level::Error => tracing::error!(plugin, "{message}"),
        }
    }

    /// Takes a line of a standard stream. Standard error is where a panic's text comes from.
    pub(crate) fn stream_line(&self, stderr: bool, line: &str) {
        if stderr {
            self.keep(line);
        }
        self.write(if stderr { Level::Warn } else { Level::Info }, line);
    }

    /// Keeps the line for the cause of a trap that may follow.
    fn keep(&self, line: &str) {
        let line = text::line(&clean(&self.mask.hide(line))).into_owned();
        let mut state = self.state();
        if state.last_lines.len() == limits::PLUGIN_LAST_LINES {
            state.last_lines.pop_front();
        }
        state.last_lines.push_back(line);
    }

    /// Takes the last lines of standard error, and forgets them.
    pub(crate) fn take_last_lines(&self) -> Option<String> {
        let lines = std::mem::take(&mut self.state().last_lines);
        let text = lines
            .iter()
            .map(|l| l.trim())
            .filter(|l| !l.is_empty() && !l.starts_with("note: run with"));
        let text = text.collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }
}

/// `clean` is at most [`limits::PLUGIN_LINE_BYTES`] of a message, in which everything is seen. Its lines stay lines (a denial
/// has lines to paste, and a plugin logs it as it is) up to [`limits::PLUGIN_MESSAGE_LINES`] of them; the log indents them, so
/// that none forges an event.
fn clean(message: &str) -> String {
    let mut end = message.len().min(limits::PLUGIN_LINE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut cleaned = text::prose(message.get(..end).unwrap_or_default()).into_owned();
    if let Some((at, _)) = cleaned.match_indices('\n').nth(limits::PLUGIN_MESSAGE_LINES - 1) {
        let rest = cleaned.split_off(at);
        cleaned.push_str(&text::line(&rest));
    }
    // Marks are longer than what they stand for.
    let most = (0..=cleaned.len().min(limits::PLUGIN_LINE_BYTES))
        .rev()
        .find(|end| cleaned.is_char_boundary(*end));
    let marked = cleaned.len();
    cleaned.truncate(most.unwrap_or_default());
    if end < message.len() || cleaned.len() < marked {
        cleaned.push('…');
    }
    cleaned
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_and_counted() {
        let sink = LogSink::new("p", 3, Arc::default());
        let admitted = (0..10).filter_map(|_| sink.admit()).collect::<Vec<_>>();
        assert_eq!(admitted, [0, 0, 0]);
        tokio::time::advance(SECOND).await;
        assert_eq!(sink.admit(), Some(7));
        assert_eq!(sink.admit(), Some(0));
        assert_eq!(sink.counters.statistics(0).log_dropped, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_has_an_even_rate_and_a_report_a_second() {
        let sink = LogSink::new("p", 10, Arc::default());
        let (mut written, mut reports, mut reported) = (0, 0, 0);
        // A thousand lines a second, for ten seconds.
        for _ in 0..10_000 {
            if let Some(dropped) = sink.admit() {
                written += 1;
                reports += u64::from(dropped > 0);
                reported += dropped;
            }
            tokio::time::advance(SECOND / 1000).await;
        }
        assert!(
            (105..=110).contains(&written),
            "{written}: a burst of 10, and 10 a second"
        );
        assert!((9..=10).contains(&reports), "{reports}");
        let dropped = sink.counters.statistics(0).log_dropped;
        assert!(reported > 8_000 && reported <= dropped, "{reported} of {dropped}");
    }

    #[test]
    fn a_line_is_cut_and_cannot_forge_another() {
        assert_eq!(clean("a\nERROR b\x1b[2J\u{202e}"), "a\nERROR b⟨U+001B⟩[2J⟨U+202E⟩");
        assert!(clean(&"\x01".repeat(limits::PLUGIN_LINE_BYTES)).len() <= limits::PLUGIN_LINE_BYTES + '…'.len_utf8());
        let long = "ä".repeat(limits::PLUGIN_LINE_BYTES);
        let cut = clean(&long);
        assert!(cut.len() <= limits::PLUGIN_LINE_BYTES + '…'.len_utf8() && cut.ends_with('…'));
    }

    #[test]
    fn a_message_keeps_its_lines_up_to_a_number() {
        let denial = "It has no permission. To fix:\n[plugin.p]\nbinary = \"/opt/p\"";
        assert_eq!(clean(denial), denial);
        let many = "x\n".repeat(1000);
        assert_eq!(clean(&many).lines().count(), limits::PLUGIN_MESSAGE_LINES);
        let sink = LogSink::new("p", 1, Arc::default());
        sink.write(Level::Error, "panicked at x:\nwhy");
        assert_eq!(sink.take_last_lines().unwrap(), "panicked at x: why");
    }

    #[test]
    fn the_last_lines_survive_a_flood() {
        let sink = LogSink::new("p", 1, Arc::default());
        for n in 0..50 {
            sink.stream_line(true, &format!("line {n}"));
        }
        sink.stream_line(true, "thread panicked at src/lib.rs:1:");
        sink.stream_line(true, "no cheese");
        assert_eq!(sink.state().last_lines.len(), limits::PLUGIN_LAST_LINES);
        let words = sink.take_last_lines().unwrap();
        assert!(words.ends_with("thread panicked at src/lib.rs:1: no cheese"), "{words}");
        assert_eq!(sink.take_last_lines(), None);
    }

    #[test]
    fn its_own_secret_is_in_no_line_and_in_no_last_word() {
        let given = [(
            "token".to_owned(),
            nexus_config::resolved::Secret::new("hunter2 hunter2"),
        )]
        .into();
        let mask = Arc::new(Mask::of(&given, &Arc::default(), "p"));
        let sink = LogSink::new("p", 10, Arc::default()).hiding(mask);
        sink.stream_line(true, "panicked at: hunter2 hunter2");
        assert_eq!(sink.take_last_lines().unwrap(), "panicked at: [secret token]");
    }
}
