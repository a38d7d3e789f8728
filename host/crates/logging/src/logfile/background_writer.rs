//! Lines for a terminal or a disk, written by a thread of their own, without anybody who has one ever waiting for it.
//!
//! Problem: a terminal that was stopped (Ctrl-S), a pipe whose reader sleeps and a disk that stalls take nothing: a write
//! waits, and with it a thread of the runtime, and soon all of them.
//!
//! Mechanism: one thread writes; the others leave their lines with it. Where too many wait, new ones are dropped, counted,
//! and their number is written where they are missing. (`tracing-appender` does much of this, but neither counts in words
//! nor ends while its writer waits.)
//!
//! Limits: what waits when the process is killed is lost; an orderly end waits for it, but not for ever.

use super::line::FURTHER_LINE;
use nexus_model::limits::{LOG_WAITING_BYTES, LOG_WAITING_LINES};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// `PAUSE` is the pause between two tries to find room for the last line.
const PAUSE: Duration = Duration::from_millis(5);

enum Queued {
    Text(Vec<u8>),
    /// `Written` is answered when all before it is written.
    Written(SyncSender<()>),
}

/// `Missing` makes the line, with its line break, that is written in place of so many lines that were dropped.
pub type Missing = fn(u64) -> String;

/// `Background` is a writer on a thread of its own.
#[derive(Debug)]
pub struct Background {
    queue: SyncSender<Queued>,
    waiting: Arc<AtomicUsize>,
    lost: Arc<AtomicU64>,
}

impl Background {
    /// `stderr` writes to this process's standard error.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn stderr() -> io::Result<Self> {
        let missing = |many: u64| {
            format!(
                "({many} lines are missing here because the terminal did not accept them; `nexus \
                logs` has them)\n"
            )
        };
        Self::over("terminal", io::stderr(), missing)
    }

    /// `over` writes to `out`; `name` is that of the thread.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn over(name: &str, out: impl Write + Send + 'static, missing: Missing) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LOG_WAITING_LINES);
        let (waiting, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let (held, counted) = (Arc::clone(&waiting), Arc::clone(&lost));
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || write(out, &lines, &held, &counted, missing))?;
        Ok(Self { queue, waiting, lost })
    }

    /// `say` leaves one line with the thread, or drops and counts it where too many wait.
    pub fn say(&self, text: &str) {
        self.take(format!("{}\n", nexus_plugin_api::text::prose(text)).into_bytes());
    }

    fn take(&self, text: Vec<u8>) {
        let bytes = text.len();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // One line alone may be of any length.
        let full = before > 0 && before.saturating_add(bytes) > LOG_WAITING_BYTES;
        if full || self.queue.try_send(Queued::Text(text)).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was said is written, but no longer than `limit`.
    pub fn finish(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Queued::Written(done.clone())) {
            if Instant::now() > end {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

/// `as_one_event` indents further lines: what a plugin or a program said may have lines of its own, and none of them
/// begins where an event of ours does.
fn as_one_event(text: &[u8]) -> Vec<u8> {
    let (text, end) = match text.strip_suffix(b"\n") {
        Some(text) => (text, &b"\n"[..]),
        None => (text, &b""[..]),
    };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    [&lines.join(FURTHER_LINE.as_bytes()), end].concat()
}

impl Write for &Background {
    /// Takes one event of the log.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.take(as_one_event(text));
        Ok(text.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until the queue ends. Errors are dropped: whoever closed stderr does not want to hear about it.
fn write(mut out: impl Write, lines: &Receiver<Queued>, waiting: &AtomicUsize, lost: &AtomicU64, missing: Missing) {
    while let Ok(message) = lines.recv() {
        match message {
            Queued::Text(text) => {
                let _ = out.write_all(&text);
                waiting.fetch_sub(text.len(), Ordering::Relaxed);
            }
            Queued::Written(done) => {
                let _ = done.try_send(());
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            many => {
                let _ = out.write_all(missing(many).as_bytes());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    /// Takes one write for each permission.
    struct Stopped {
        permissions: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stopped {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.permissions.recv();
            self.taken.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_text_with_lines_makes_no_line_of_the_log() {
        let forged = b"INFO opencode is unavailable: x\n2026-11-28T00:00:00Z  INFO everything is OK\n\n  y\n";
        let said = String::from_utf8(as_one_event(forged)).unwrap();
        assert!(said.lines().skip(1).all(|line| line.starts_with("    ")), "{said}");
        assert!(said.ends_with("y\n"));
        for plain in ["one\n", "one", ""] {
            assert_eq!(as_one_event(plain.as_bytes()), plain.as_bytes());
        }
    }

    /// A stalled disk costs the host no more than the bound, whatever the lines are like.
    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let (permit, permissions) = channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let out = Stopped {
            permissions,
            taken: Arc::clone(&taken),
        };
        let lines = Background::over("test", out, |many| format!("{many} are missing\n")).unwrap();
        let long = "x".repeat(LOG_WAITING_BYTES / 8);
        (0..100).for_each(|_| lines.say(&long));
        assert!(lines.waiting.load(Ordering::Relaxed) <= LOG_WAITING_BYTES);
        drop(permit);
        lines.finish(Duration::from_secs(60));
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let written = text.lines().filter(|line| line.starts_with('x')).count();
        assert!((6..=9).contains(&written), "{written}");
        assert!(text.contains("are missing"), "not reported");
    }

    #[test]
    fn nobody_waits_for_a_terminal_that_takes_nothing_and_what_is_lost_is_counted() {
        let (permit, permissions) = channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let out = Stopped {
            permissions,
            taken: Arc::clone(&taken),
        };
        let terminal = Background::over("test", out, |many| format!("({many} lines are missing here)\n")).unwrap();
        // One may be in the thread's hands by now.
        for n in 0..LOG_WAITING_LINES + 10 {
            terminal.say(&format!("line {n}"));
        }
        terminal.finish(Duration::from_millis(1));
        drop(permit); // from now on all is taken
        terminal.finish(Duration::from_secs(60));
        terminal.say("the last one");
        terminal.finish(Duration::from_secs(60));
        let text = String::from_utf8(taken.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "line 0");
        assert_eq!(lines.last(), Some(&"the last one"));
        let missing = lines.iter().filter(|line| line.contains("lines are missing here"));
        let counted = missing.map(|line| {
            line.trim_start_matches('(')
                .split(' ')
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap()
        });
        let written = lines.iter().filter(|line| line.starts_with("line ")).count();
        assert_eq!(counted.sum::<usize>() + written, LOG_WAITING_LINES + 10, "{text}");
        assert!(written >= LOG_WAITING_LINES, "{written}");
    }
}
