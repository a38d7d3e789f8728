//! A line of the log, as it is written and as it is read back.

use nexus_model::log::About;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tracing::Level;

/// `Line` is a line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// `raw` is the line as it is in the file, without the line break.
    pub raw: String,
    /// `parsed` is `None` where the line is damaged, as the last one before a power cut may be.
    pub parsed: Option<Parsed>,
}

/// `Parsed` is what a line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// `timestamp` is in RFC 3339, UTC.
    pub timestamp: String,
    /// `level` is that of the event.
    pub level: Level,
    /// `message` is the event's text.
    pub message: String,
    /// `fields` are what else was said, the plugin among it.
    pub fields: Map<String, Value>,
}

impl Line {
    /// `read` takes the bytes of one line, with or without its end.
    pub fn read(bytes: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned();
        let parsed = parse(&raw);
        Self { raw, parsed }
    }
}

fn parse(raw: &str) -> Option<Parsed> {
    let mut line: Map<String, Value> = serde_json::from_str(raw).ok()?;
    let Some(Value::Object(mut fields)) = line.remove("fields") else {
        return None;
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Some(Parsed {
        timestamp: line.remove("timestamp")?.as_str()?.to_owned(),
        level: line.remove("level")?.as_str()?.parse().ok()?,
        message: fields.shift_remove("message").map(text).unwrap_or_default(),
        fields,
    })
}

impl Parsed {
    /// `text` is the message and the fields, as on stderr.
    pub fn text(&self) -> String {
        // The audit has no message, only fields.
        let message = Some(plain(&self.message)).filter(|message| !message.is_empty());
        let fields = self.fields.iter().map(|(name, value)| match value.as_str() {
            Some(value) => format!("{}={}", plain(name), plain(value)),
            None => format!("{}={}", plain(name), plain(&value.to_string())),
        });
        message.into_iter().chain(fields).collect::<Vec<_>>().join(" ")
    }
}

/// `plain` makes one line in which everything is seen: the file may hold what an earlier version, or somebody else, wrote.
pub fn plain(text: &str) -> String {
    nexus_plugin_api::text::line(text).into_owned()
}

/// `Filter` says which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `level` asks for this level and whatever is worse; `None`: for all.
    pub level: Option<Level>,
    /// `about` asks for the lines of one plugin or tunnel.
    pub about: About,
}

impl Filter {
    /// Tells whether a line is wanted. A damaged one has neither level nor plugin, so it is wanted only where nothing
    /// was asked for.
    pub fn wants(&self, line: &Line) -> bool {
        let Some(parsed) = &line.parsed else {
            return *self == Self::default();
        };
        // The worse, the less, as `tracing` has it.
        let About { plugin, tunnel } = &self.about;
        let of = |field: &str, wanted: &Option<String>| {
            let said = parsed.fields.get(field).and_then(Value::as_str);
            wanted.as_deref().is_some_and(|wanted| said == Some(wanted))
        };
        let all = plugin.is_none() && tunnel.is_none();
        self.level.is_none_or(|least| parsed.level <= least) && (all || of("plugin", plugin) || of("tunnel", tunnel))
    }
}

/// `seen` is a line as it is written: everything in it is seen, also where somebody reads the file by other means. What
/// has no room in JSON (and on a terminal the escapes of a message) is escaped before; colors of our own stay.
pub(crate) fn seen(line: &[u8]) -> Cow<'_, [u8]> {
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    let pieces: Vec<_> = text.split('\x1b').map(nexus_plugin_api::text::prose).collect();
    Cow::Owned(pieces.join("\x1b").into_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_written_hides_nothing() {
        let json = r#"{"fields":{"message":"a\u001b[2J"#.to_owned() + "\u{202e}b\u{9b}\"}}\n";
        let written = seen(json.as_bytes());
        let text = std::str::from_utf8(&written).unwrap();
        assert_eq!(
            text,
            r#"{"fields":{"message":"a\u001b[2J⟨U+202E⟩b⟨U+009B⟩"}}"#.to_owned() + "\n"
        );
        assert_eq!(
            *seen("\x1b[32m INFO\x1b[0m ü\n".as_bytes()),
            *"\x1b[32m INFO\x1b[0m ü\n".as_bytes()
        );
    }
}
