//! A parser of `text/event-stream`, fed with bytes as they arrive.
//!
//! Own rather than a crate: the format is five rules, and a guest should stay small. `event`, `id` and `retry` are
//! read over; no backend so far says anything with them that its data does not say.

/// `Parser` collects bytes and gives the data of each whole event.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    after_return: bool,
    dropped: bool,
    /// `begun`: the first line has ended, which alone may have a byte order mark.
    begun: bool,
}

/// `MAX_EVENT` is in bytes. A longer event is dropped: a server that never ends one must not fill the plugin's memory.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// `MARK` is the byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Parser {
    /// `push` returns the data of the events that `bytes` completes. The result does not depend on where the bytes were
    /// cut.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_of_line()),
                _ if self.line.len() + self.data.as_ref().map_or(0, String::len) < MAX_EVENT => self.line.push(byte),
                _ => self.dropped = true,
            }
        }
        events
    }

    fn end_of_line(&mut self) -> Option<String> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        if line.is_empty() {
            let event = self.data.take();
            return if std::mem::take(&mut self.dropped) { None } else { event };
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<String> {
        Parser::default().push(text.as_bytes())
    }

    #[test]
    fn the_rules_of_the_format() {
        assert_eq!(parse("data: a\n\ndata:b\r\n\r\n"), ["a", "b"]);
        assert_eq!(parse("data: a\ndata:  b\n\n"), ["a\n b"]);
        assert_eq!(parse(": a comment\nevent: x\nid: 3\ndata\n\n"), [""]);
        assert_eq!(parse("event: x\n\n"), Vec::<String>::new());
        assert_eq!(parse("data: never ended\n"), Vec::<String>::new());
        assert_eq!(parse("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
        assert_eq!(parse("\u{feff}\ndata: \u{feff}a\r\r"), ["\u{feff}a"]);
    }

    #[test]
    fn a_too_long_event_is_dropped_alone() {
        let mut text = String::from("data: ");
        text.extend(std::iter::repeat_n('x', MAX_EVENT + 10));
        text.push_str("\n\ndata: next\n\n");
        assert_eq!(parse(&text), ["next"]);
    }

    proptest::proptest! {
        #[test]
        fn any_cut_gives_the_same_events(text in "\u{feff}?(data|: c|event|\r|\n|é|💡| |x|\u{feff}){0,60}", cuts in proptest::collection::vec(0usize..200, 0..12)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let (mut events, mut from) = (Vec::new(), 0);
            for to in cuts {
                events.extend(parser.push(bytes.get(from..to).unwrap_or_default()));
                from = to;
            }
            proptest::prop_assert_eq!(events, parse(&text));
        }
    }
}
