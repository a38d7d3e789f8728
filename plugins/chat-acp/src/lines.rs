//! The bytes of an agent's standard output as lines. A line has a bound: what is longer is left out, and costs nothing but
//! itself.

/// `LINE` is the longest line in bytes: the output of a tool with an image of 8 MiB in it, as base64.
pub const LINE: usize = 16 << 20;

#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// `skipped` is how many bytes of a line that is too long were left out so far.
    skipped: usize,
}

#[derive(Debug, PartialEq)]
pub enum Line {
    Whole(Vec<u8>),
    /// `TooLong` has the number of its bytes.
    TooLong(usize),
}

impl Lines {
    /// Takes bytes and returns the lines that they complete, without those that are blank.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end);
            self.keep(line);
            bytes = after.get(1..).unwrap_or_default();
            let (skipped, line) = (std::mem::take(&mut self.skipped), std::mem::take(&mut self.rest));
            if skipped > 0 {
                lines.push(Line::TooLong(skipped));
            } else if !line.trim_ascii().is_empty() {
                lines.push(Line::Whole(line));
            }
        }
        self.keep(bytes);
        lines
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipped == 0 && self.rest.len() + bytes.len() <= LINE {
            self.rest.extend_from_slice(bytes);
            return;
        }
        self.skipped += self.rest.len() + bytes.len();
        self.rest = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_in_whatever_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"{\"a\""), []);
        assert_eq!(lines.push(b":1}\n\n \r\n{}\n["), [whole("{\"a\":1}"), whole("{}")]);
        assert_eq!(lines.push(b"]\n"), [whole("[]")]);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            assert_eq!(lines.push(&piece), []);
            assert!(lines.rest.len() <= LINE);
        }
        assert_eq!(lines.push(b"\n{}\n"), [Line::TooLong(20 << 20), whole("{}")]);
        let mut just = vec![b'y'; LINE];
        just.push(b'\n');
        assert!(matches!(lines.push(&just).as_slice(), [Line::Whole(line)] if line.len() == LINE));
    }

    proptest::proptest! {
        #[test]
        fn where_the_pieces_are_cut_does_not_matter(text in "[a\n]{0,40}", cut in 0_usize..40) {
            let bytes = text.as_bytes();
            let mut at_once = Lines::default();
            let expected = at_once.push(bytes);
            let mut pieces = Lines::default();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut found = pieces.push(first);
            found.extend(pieces.push(second));
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
