//! Whether a reader of an answer got each of its words once and in order, and how its reading ended.
//!
//! The words are `word0 `, `word1 ` and so on, each a delta. A reader that is too slow is promised the whole part, or the whole
//! state, in place of some of them. Frames are looked at as text: reading JSON would be what is measured.

/// How a reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer is complete.
    Complete,
    /// Nexus closed the socket: whoever takes nothing for too long is closed, and comes again.
    Closed,
    /// It was not complete in time.
    Late,
}

/// What one reader saw.
#[derive(Debug, Default)]
pub(crate) struct Order {
    next: usize,
    pub(crate) deltas: usize,
    /// Words that never came, and that nothing came for.
    pub(crate) lost: usize,
    /// Words that came again.
    pub(crate) doubled: usize,
    /// It got a whole part or state before the answer was complete.
    pub(crate) behind: bool,
    over: bool,
}

impl Order {
    /// Takes a frame. The number of its word, where it is a delta.
    pub(crate) fn take(&mut self, frame: &str) -> Option<usize> {
        if frame.contains(r#""type":"delta""#) {
            let n = first_word(frame)?;
            self.deltas += 1;
            if n < self.next {
                self.doubled += 1;
            } else {
                self.lost += n - self.next;
                self.next = n + 1;
            }
            return Some(n);
        }
        let (whole, state) = (
            frame.contains(r#""type":"part""#),
            frame.starts_with(r#"{"type":"state""#),
        );
        if (whole || state)
            && let Some(last) = last_word(frame)
            && last >= self.next
        {
            self.behind = true;
            self.next = last + 1;
        }
        self.over |=
            self.next > 0 && (frame.contains(r#""type":"turn""#) || state) && frame.contains(r#""state":"idle""#);
        None
    }

    /// The turn is over: nothing follows.
    pub(crate) fn over(&self) -> bool {
        self.over
    }

    /// After the last frame of an answer of so many words. A whole part that is long is shown in part, so of a reader that was
    /// behind it is not known.
    pub(crate) fn end(&mut self, end: End, words: usize) {
        if end == End::Complete && !self.behind {
            self.lost += words.saturating_sub(self.next);
        }
    }
}

/// The number behind the first `word` of a frame.
fn first_word(frame: &str) -> Option<usize> {
    number(frame.split_once(r#""text":"word"#)?.1)
}

fn last_word(frame: &str) -> Option<usize> {
    frame
        .rmatch_indices("word")
        .find_map(|(at, word)| number(&frame[at + word.len()..]))
}

/// It is followed by a blank: one that is cut off is none.
fn number(text: &str) -> Option<usize> {
    text.split_once(' ')?.0.parse().ok()
}
