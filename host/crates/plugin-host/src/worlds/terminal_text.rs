//! What a terminal would show of a program's output.
//!
//! Problem: a tool's output holds colours, links, a progress bar that draws over itself; shown as it is, it is full of
//! `␛[2K` and repeats itself. Mechanism: the sequences are read as a terminal reads them (ECMA-48), and the lines are
//! kept as they end up: colours and titles are dropped, the text of a link stays, `\r`, backspaces, movements and erased
//! parts of a line act. Limits: a screen that is cleared ends a paragraph and takes nothing away; there is no width, so
//! nothing wraps; each character is one column. What remains of controls is made visible afterwards, as in all prose.
//!
//! Rejected: `strip-ansi-escapes`, which lets ten pictures of a progress bar stand behind each other; and a terminal
//! emulator, which would forget what scrolled out of its screen.

use nexus_model::limits::{OUTPUT_BLANKS, OUTPUT_MOVE};
use std::borrow::Cow;

/// The lines as they end up.
pub(crate) fn text(raw: &str) -> Cow<'_, str> {
    // A line's end as Windows writes it is no movement.
    let acts = |(at, c): (usize, char)| match c {
        '\r' => !raw.get(at + 1..).is_some_and(|rest| rest.starts_with('\n')),
        c => matches!(
            c,
            '\u{8}' | '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}'
        ),
    };
    if !raw.char_indices().any(acts) {
        return Cow::Borrowed(raw);
    }
    let mut screen = Screen {
        lines: vec![Vec::new()],
        row: 0,
        column: 0,
        blanks: OUTPUT_BLANKS,
    };
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => escape(&mut rest, &mut screen),
            '\u{9b}' => control(&mut rest, &mut screen),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => string(&mut rest),
            '\n' => screen.line_feed(),
            '\r' => screen.column = 0,
            '\u{8}' => screen.column = screen.column.saturating_sub(1),
            // Rings.
            '\u{7}' => {}
            c => screen.put(c),
        }
    }
    Cow::Owned(screen.shown())
}

struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Columns that movements may still add: a few bytes of a text could ask for any number.
    blanks: usize,
}

impl Screen {
    #[expect(clippy::indexing_slicing, reason = "the line is made where it is not there")]
    fn line(&mut self) -> &mut Vec<char> {
        if self.row >= self.lines.len() {
            self.lines.resize_with(self.row + 1, Vec::new);
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        let length = self.line().len();
        if self.column > length {
            let missing = (self.column - length).min(self.blanks);
            self.blanks -= missing;
            self.column = length + missing;
            self.line().extend(std::iter::repeat_n(' ', missing));
        }
        let column = self.column;
        match self.line().get_mut(column) {
            Some(there) => *there = c,
            None => self.line().push(c),
        }
        self.column += 1;
    }

    fn line_feed(&mut self) {
        self.row += 1;
        self.column = 0;
        self.line();
    }

    /// Below all that was written.
    fn below(&mut self) {
        self.row = self.lines.len() - 1;
        if !self.line().is_empty() {
            self.row += 1;
            self.line();
        }
        self.column = 0;
    }

    fn erase(&mut self, how: usize) {
        let column = self.column;
        match how {
            0 => self.line().truncate(column),
            1 => {
                let end = column.saturating_add(1).min(self.line().len()).min(self.blanks);
                self.blanks -= end;
                self.line().iter_mut().take(end).for_each(|c| *c = ' ');
            }
            2 => self.line().clear(),
            _ => {}
        }
    }

    fn act(&mut self, last: char, numbers: &[usize]) {
        let number = |n: usize, otherwise: usize| numbers.get(n).copied().filter(|n| *n > 0).unwrap_or(otherwise);
        let by = number(0, 1).min(OUTPUT_MOVE);
        match last {
            'A' | 'F' => self.row = self.row.saturating_sub(by),
            'B' | 'E' => self.row = (self.row + by).min(self.lines.len() - 1),
            'C' => self.column += by,
            'D' => self.column = self.column.saturating_sub(by),
            'G' | '`' => self.column = by - 1,
            'K' => self.erase(numbers.first().copied().unwrap_or(0)),
            // The rest of the screen; or all of it, which begins a new one.
            'J' if numbers.first().copied().unwrap_or(0) == 0 => {
                self.erase(0);
                let row = self.row;
                self.lines.truncate(row + 1);
            }
            'J' | 'H' | 'f' => self.below(),
            _ => {}
        }
        if matches!(last, 'E' | 'F') {
            self.column = 0;
        }
    }

    fn shown(&self) -> String {
        let mut out = String::with_capacity(self.lines.iter().map(|line| line.len() + 1).sum());
        for (n, line) in self.lines.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            out.extend(line);
        }
        out
    }
}

/// After ESC.
fn escape(rest: &mut std::str::Chars<'_>, screen: &mut Screen) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            control(rest, screen);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            string(rest);
        }
        Some(c @ (' '..='/' | '0'..='~')) => {
            *rest = ahead;
            // With an intermediate character one more follows: the choice of a set of characters.
            if c < '0' {
                let mut ahead = rest.clone();
                if ahead.next().is_some_and(|c| (' '..='~').contains(&c)) {
                    *rest = ahead;
                }
            }
        }
        // No sequence: what follows is text.
        _ => {}
    }
}

/// After CSI: parameters, intermediates, and what it is.
fn control(rest: &mut std::str::Chars<'_>, screen: &mut Screen) {
    let mut numbers = [0_usize; 4];
    let (mut count, mut private) = (0, false);
    loop {
        let mut ahead = rest.clone();
        let Some(c) = ahead.next().filter(|c| (' '..='~').contains(c)) else {
            return;
        };
        *rest = ahead;
        match c {
            '0'..='9' => {
                if let (Some(number), Some(digit)) = (numbers.get_mut(count), c.to_digit(10)) {
                    *number = number.saturating_mul(10).saturating_add(digit as usize);
                }
            }
            ';' | ':' => count = (count + 1).min(numbers.len()),
            '<'..='?' | ' '..='/' => private = true,
            last => {
                if !private {
                    screen.act(last, &numbers);
                }
                return;
            }
        }
    }
}

/// After OSC, DCS and their like: up to their end. One that has none would take the whole text with it, so it ends with
/// its line.
fn string(rest: &mut std::str::Chars<'_>) {
    loop {
        let mut ahead = rest.clone();
        match ahead.next() {
            None | Some('\n' | '\r') => return,
            Some('\u{7}' | '\u{9c}') => {
                *rest = ahead;
                return;
            }
            Some('\u{1b}') => {
                // ESC \ ends it; another sequence does too.
                let mut end = ahead.clone();
                if end.next() == Some('\\') {
                    *rest = end;
                }
                return;
            }
            Some(_) => *rest = ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_movement_of_the_cursor_has_an_end() {
        let moved = text("a\u{1b}[999999999Cb");
        assert_eq!(moved.len(), 1 + OUTPUT_MOVE + 1);
    }

    #[test]
    fn what_a_terminal_shows_is_left() {
        for (raw, shown) in [
            ("plain\r\ntext\n", "plain\r\ntext\n"),
            ("\u{1b}[31mFAIL\u{1b}[0m x", "FAIL x"),
            ("\u{1b}[1;38;5;196mred\u{1b}[m", "red"),
            ("\u{1b}[38:2::1:2:3mred\u{1b}[0m", "red"),
            ("\u{9b}31mred\u{9b}0m", "red"),
            ("50%\u{1b}[2K\r100%", "100%"),
            ("one\n50%\u{1b}[2K\u{1b}[1A\r100%", "100%\n"),
            (" 10%\r 50%\r100%\n", "100%\n"),
            ("longer\rab", "abnger"),
            ("longer\r\u{1b}[Kab", "ab"),
            ("abc\u{8}\u{8}\u{8}x", "xbc"),
            ("a\u{1b}[3Cb", "a   b"),
            ("a\u{1b}[9Gb\u{1b}[2Dc", "a      cb"),
            ("abc\u{1b}[1K", "   "),
            (
                "\u{1b}]8;;https://example.org\u{1b}\\a link\u{1b}]8;;\u{1b}\\.",
                "a link.",
            ),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]0;no end\ntext", "\ntext"),
            ("\u{1b}Pq#0\u{1b}\\text", "text"),
            ("\u{1b}[?25lhidden\u{1b}[?25h \u{1b}(Bx\u{1b}=\u{1b}>", "hidden x"),
            ("first\u{1b}[2J\u{1b}[Hsecond", "first\nsecond"),
            ("a\nb\nc\u{1b}[2A\r\u{1b}[Jx", "x"),
            ("bell\u{7}\rB", "Bell"),
            ("cut off \u{1b}[3", "cut off "),
            ("cut off \u{1b}", "cut off "),
            ("\u{1b}é", "é"),
            ("日本\r語", "語本"),
        ] {
            assert_eq!(text(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn a_few_bytes_do_not_ask_for_much() {
        // Against plain lines of the same length: a limit in seconds would say as much about the machine.
        let plain = "a line of words\n".repeat(1_300_000 / 16);
        let begun = std::time::Instant::now();
        let _ = text(&plain);
        let plain = begun.elapsed();
        for piece in [
            "\u{1b}[999C",
            "\u{1b}[999Cx\n",
            "\u{1b}[2Kx",
            "\u{1b}[1K",
            "x\u{1b}[1K",
            "\u{1b}[999B\n",
            "\u{1b}[J\n",
            "\u{1b}[2J",
            "\u{1b}]",
            "x\u{1b}[1A",
        ] {
            let raw = "y".repeat(300_000) + &piece.repeat(1_000_000 / piece.len());
            let begun = std::time::Instant::now();
            let shown = text(&raw);
            assert!(shown.len() <= raw.len() + OUTPUT_BLANKS, "{piece:?}: {}", shown.len());
            assert!(begun.elapsed() < 100 * plain, "{piece:?}: {:?}", begun.elapsed());
        }
    }

    proptest! {
        #[test]
        fn no_sequence_is_left(raw in "[a\u{1b}\u{8}\u{9b}\\[\\]0-9;A-Kmh\r\n\u{7}\\\\]*") {
            let shown = text(&raw);
            prop_assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{8}']), "{shown:?}");
        }
    }
}
