//! Lines on stderr of a host that serves, without ever waiting for them to be taken.
//!
//! A terminal that was stopped (Ctrl-S), or a pipe whose reader sleeps, takes nothing: a write to it waits, and with it a
//! thread of the runtime, and soon all of them. So one thread of its own writes; the others leave their lines with it, and
//! where too many wait, new ones are dropped and counted. The log's file has them all. (`tracing-appender` does much of
//! this, but neither counts in words nor ends while its writer waits.)

use crate::limits;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Between two tries to find room for the last one.
const PAUSE: Duration = Duration::from_millis(5);

enum Message {
    Text(Vec<u8>),
    /// Answered when all before it is written.
    Written(SyncSender<()>),
}

#[derive(Debug)]
pub(super) struct Terminal {
    queue: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Terminal {
    /// # Errors
    /// There can be no more threads.
    pub(super) fn stderr() -> io::Result<Self> {
        Self::over(io::stderr())
    }

    fn over(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(limits::TERMINAL_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("terminal".into())
            .spawn(move || write(out, &waiting, &counted))?;
        Ok(Self { queue, lost })
    }

    pub(super) fn say(&self, text: &str) {
        self.take(format!("{}\n", nexus_plugin_api::text::prose(text)).into_bytes());
    }

    fn take(&self, text: Vec<u8>) {
        if self.queue.try_send(Message::Text(text)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all is written that was said, but no longer than that.
    pub(super) fn finish(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Written(done.clone())) {
            if Instant::now() > end {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl Write for &Terminal {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.take(crate::logfile::seen(text).into_owned());
        Ok(text.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever closed stderr does not want to hear about it.
fn write(mut out: impl Write, waiting: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(message) = waiting.recv() {
        match message {
            Message::Text(text) => {
                let _ = out.write_all(&text);
            }
            Message::Written(done) => {
                let _ = done.try_send(());
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            many => {
                let _ = writeln!(
                    out,
                    "({many} lines are missing here, which nobody took; `nexus logs` has them)"
                );
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
    fn nobody_waits_for_a_terminal_that_takes_nothing_and_what_is_lost_is_counted() {
        let (permit, permissions) = channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let out = Stopped {
            permissions,
            taken: Arc::clone(&taken),
        };
        let terminal = Terminal::over(out).unwrap();
        // One may be in the thread's hands by now.
        for n in 0..limits::TERMINAL_LINES + 10 {
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
        assert_eq!(counted.sum::<usize>() + written, limits::TERMINAL_LINES + 10, "{text}");
        assert!(written >= limits::TERMINAL_LINES, "{written}");
    }
}
