//! The lines of one plugin in the host's log, at a limited rate: what it logs, and what it writes to its standard streams.

use crate::bindings::caps::log::Level;
use crate::capabilities::secrets::mask::Mask;
use crate::plugin_stats::Counters;
use nexus_model::limits;
use nexus_model::time::{Clock, Millis};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// `LogSink` is where the lines of one plugin go.
pub(crate) struct LogSink {
    plugin: String,
    clock: Arc<dyn Clock>,
    /// `rate` is in lines a second.
    rate: u32,
    counters: Arc<Counters>,
    /// `mask` keeps its own secrets out of all of it.
    mask: Arc<Mask>,
    state: Mutex<SinkState>,
}

#[derive(Default)]
struct SinkState {
    second: Millis,
    written: u32,
    dropped: u64,
    last_lines: VecDeque<String>,
}

impl LogSink {
    pub(crate) fn new(plugin: &str, clock: Arc<dyn Clock>, rate: u32, counters: Arc<Counters>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            clock,
            rate,
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

    /// Tells whether one more line may be written, and how many were dropped before it.
    fn admit(&self) -> Option<u64> {
        let second = self.clock.now() / 1000;
        let mut state = self.state();
        if state.second != second {
            state.second = second;
            state.written = 0;
        }
        if state.written >= self.rate {
            state.dropped += 1;
            self.counters.log_dropped();
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.dropped))
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
        let line = clean(&self.mask.hide(line));
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

/// `clean` is at most [`limits::PLUGIN_LINE_BYTES`] of one line, in which everything is seen.
fn clean(message: &str) -> String {
    let mut end = message.len().min(limits::PLUGIN_LINE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = nexus_plugin_api::text::line(message.get(..end).unwrap_or_default()).into_owned();
    // Marks are longer than what they stand for.
    let most = (0..=text.len().min(limits::PLUGIN_LINE_BYTES))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let marked = text.len();
    text.truncate(most.unwrap_or_default());
    if end < message.len() || text.len() < marked {
        text.push('…');
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nexus_model::time::ManualClock;
    use std::time::Duration;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let clock = ManualClock::at(5_000);
        let sink = LogSink::new("p", Arc::new(clock.clone()), 3, Arc::default());
        let admitted = (0..10).filter_map(|_| sink.admit()).collect::<Vec<_>>();
        assert_eq!(admitted, [0, 0, 0]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(sink.admit(), Some(7));
        assert_eq!(sink.admit(), Some(0));
        assert_eq!(sink.counters.statistics(0).log_dropped, 7);
    }

    #[test]
    fn a_line_is_cut_and_cannot_forge_another() {
        assert_eq!(clean("a\nERROR b\x1b[2J\u{202e}"), "a ERROR b⟨U+001B⟩[2J⟨U+202E⟩");
        assert!(clean(&"\x01".repeat(limits::PLUGIN_LINE_BYTES)).len() <= limits::PLUGIN_LINE_BYTES + '…'.len_utf8());
        let long = "ä".repeat(limits::PLUGIN_LINE_BYTES);
        let cut = clean(&long);
        assert!(cut.len() <= limits::PLUGIN_LINE_BYTES + '…'.len_utf8() && cut.ends_with('…'));
    }

    #[test]
    fn the_last_lines_survive_a_flood() {
        let sink = LogSink::new("p", Arc::new(ManualClock::at(1)), 1, Arc::default());
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
        let sink = LogSink::new("p", Arc::new(ManualClock::at(1)), 10, Arc::default()).hiding(mask);
        sink.stream_line(true, "panicked at: hunter2 hunter2");
        assert_eq!(sink.take_last_lines().unwrap(), "panicked at: [secret token]");
    }
}
