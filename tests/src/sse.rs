//! Server-sent events, as far as these tests read them: `data:` lines, an event each.

/// Bytes in, whole events out.
#[derive(Debug, Default)]
pub struct Parser(Vec<u8>);

impl Parser {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            if let Some(data) = String::from_utf8_lossy(&line).trim_end().strip_prefix("data: ") {
                events.push(data.to_owned());
            }
        }
        events
    }
}
