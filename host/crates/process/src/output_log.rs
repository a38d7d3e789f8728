//! The last lines of a process, and readers that follow them.
//!
//! A reader that is too slow loses the oldest lines and is told how many; it never holds the process up. (A stream of
//! mode `pipe` is the lossless one.)

use crate::limits;
use crate::types::Line;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<(bool, String)>,
    /// `bytes` counts the text of all lines.
    bytes: usize,
    /// `first` is the number of the first line that is kept.
    first: u64,
    closed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct OutputLog {
    ring: Arc<Mutex<Ring>>,
    changed: watch::Sender<()>,
}

impl OutputLog {
    pub(super) fn new() -> Self {
        Self {
            ring: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, stderr: bool, text: String) {
        let mut ring = self.ring();
        ring.bytes += text.len();
        ring.lines.push_back((stderr, text));
        while ring.lines.len() > limits::PROCESS_LINES || ring.bytes > limits::PROCESS_LINES_BYTES {
            let Some((_, oldest)) = ring.lines.pop_front() else {
                break;
            };
            ring.bytes -= oldest.len();
            ring.first += 1;
        }
        drop(ring);
        self.changed.send_replace(());
    }

    /// Closes the log: no line comes after this.
    pub(super) fn close(&self) {
        self.ring().closed = true;
        self.changed.send_replace(());
    }

    pub(super) fn read(&self) -> mpsc::Receiver<Line> {
        let (sender, receiver) = mpsc::channel(limits::PROCESS_LINES_QUEUE);
        let (log, mut changed) = (self.clone(), self.changed.subscribe());
        tokio::spawn(async move {
            let mut next = 0;
            loop {
                changed.mark_unchanged();
                match log.line(&mut next) {
                    NextLine::Line(line) => {
                        if sender.send(line).await.is_err() {
                            return;
                        }
                    }
                    NextLine::End => return,
                    NextLine::Nothing => tokio::select! {
                        () = sender.closed() => return,
                        _ = changed.changed() => {}
                    },
                }
            }
        });
        receiver
    }

    fn line(&self, next: &mut u64) -> NextLine {
        let ring = self.ring();
        let dropped = ring.first.saturating_sub(*next);
        let at = (*next).max(ring.first);
        let Some((stderr, text)) = usize::try_from(at - ring.first).ok().and_then(|i| ring.lines.get(i)) else {
            return if ring.closed { NextLine::End } else { NextLine::Nothing };
        };
        *next = at + 1;
        NextLine::Line(Line {
            stderr: *stderr,
            text: text.clone(),
            dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
        })
    }
}

enum NextLine {
    Line(Line),
    Nothing,
    End,
}

/// Cuts bytes into lines, wherever the reads happened to end.
#[derive(Debug, Default)]
pub(super) struct Splitter(Vec<u8>);

impl Splitter {
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(String)) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
            let take = end.min(limits::PROCESS_LINE_BYTES - self.0.len());
            let (now, rest) = bytes.split_at(take);
            self.0.extend_from_slice(now);
            bytes = rest;
            if let [b'\n', rest @ ..] = bytes {
                bytes = rest;
                line(self.take(self.0.len()));
            } else if self.0.len() == limits::PROCESS_LINE_BYTES {
                line(self.take(whole_characters(&self.0)));
            }
        }
    }

    /// Gives what stands after the last end of line.
    pub(super) fn finish(&mut self, line: impl FnOnce(String)) {
        if !self.0.is_empty() {
            line(self.take(self.0.len()));
        }
    }

    fn take(&mut self, length: usize) -> String {
        let rest = self.0.split_off(length);
        let taken = std::mem::replace(&mut self.0, rest);
        String::from_utf8_lossy(taken.strip_suffix(b"\r").unwrap_or(&taken)).into_owned()
    }
}

/// `whole_characters` is the length without a character that the cut would halve.
fn whole_characters(bytes: &[u8]) -> usize {
    let back = bytes
        .iter()
        .rev()
        .take(3)
        .take_while(|b| **b & 0b1100_0000 == 0b1000_0000)
        .count();
    let lead = bytes.len() - back - 1;
    let whole = match bytes.get(lead) {
        Some(0b1100_0000..=0b1101_1111) => back >= 1,
        Some(0b1110_0000..=0b1110_1111) => back >= 2,
        Some(0b1111_0000..=0b1111_0111) => back >= 3,
        _ => true,
    };
    if whole { bytes.len() } else { lead }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for chunk in chunks {
            splitter.push(chunk, |l| lines.push(l));
        }
        splitter.finish(|l| lines.push(l));
        lines
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_at_the_longest() {
        assert_eq!(split(&[b"a\r\nb", b"c\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(split(&[b"\xff\n"]), ["\u{fffd}"]);
        assert!(split(&[b""]).is_empty());
        let long = "é".repeat(limits::PROCESS_LINE_BYTES);
        let lines = split(&[b"x", long.as_bytes(), b"\n"]);
        assert_eq!(lines.concat(), format!("x{long}"), "no character is halved");
        assert!(lines.iter().all(|l| l.len() <= limits::PROCESS_LINE_BYTES));
    }

    proptest! {
        #[test]
        fn where_the_reads_end_does_not_matter(text in "[a-zé\n]{0,60}", at in 0usize..60) {
            let at = at.min(text.len());
            let (a, b) = text.as_bytes().split_at(at);
            prop_assert_eq!(split(&[a, b]), split(&[text.as_bytes()]));
        }
    }

    async fn next(reader: &mut mpsc::Receiver<Line>) -> Option<Line> {
        nexus_testkit::wait::within("the next line", reader.recv()).await
    }

    #[tokio::test]
    async fn a_reader_gets_what_is_kept_then_what_comes_then_the_end() {
        let log = OutputLog::new();
        log.push(false, "one".into());
        let mut reader = log.read();
        assert_eq!(
            next(&mut reader).await.unwrap(),
            Line {
                stderr: false,
                text: "one".into(),
                dropped: 0
            }
        );
        log.push(true, "two".into());
        assert_eq!(
            next(&mut reader).await.unwrap(),
            Line {
                stderr: true,
                text: "two".into(),
                dropped: 0
            }
        );
        log.push(false, "three".into());
        log.close();
        assert_eq!(next(&mut reader).await.unwrap().text, "three");
        assert!(next(&mut reader).await.is_none());
    }

    #[test]
    fn long_lines_are_kept_up_to_their_bytes() {
        let log = OutputLog::new();
        for _ in 0..limits::PROCESS_LINES {
            log.push(false, "x".repeat(limits::PROCESS_LINE_BYTES));
        }
        let ring = log.ring();
        let held: usize = ring.lines.iter().map(|(_, text)| text.len()).sum();
        assert_eq!((held, ring.bytes), (limits::PROCESS_LINES_BYTES, held));
        assert_eq!(
            ring.first as usize + ring.lines.len(),
            limits::PROCESS_LINES,
            "what was dropped is counted"
        );
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_and_learns_how_many() {
        let log = OutputLog::new();
        for n in 0..limits::PROCESS_LINES + 5 {
            log.push(false, n.to_string());
        }
        log.close();
        let mut reader = log.read();
        let first = next(&mut reader).await.unwrap();
        assert_eq!((first.text.as_str(), first.dropped), ("5", 5));
        let mut count = 1;
        while let Some(line) = next(&mut reader).await {
            assert_eq!(line.dropped, 0);
            count += 1;
        }
        assert_eq!(count, limits::PROCESS_LINES);
    }
}
