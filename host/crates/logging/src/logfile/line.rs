//! A line of the log, as it is written and as it is read back.
//!
//! Problem: a message may have lines of its own, such as lines of TOML to paste. They have to stay lines, but text from
//! outside must not make a line that looks like an event of the log.
//!
//! Mechanism: in the file an event is one line of JSON, where a line break is `\n`. Where people read it (stderr, `nexus logs`,
//! the page), each further line of an event is indented by [`FURTHER_LINE`], and no event begins with a blank.

use nexus_model::log::About;
use nexus_plugin_api::text::prose;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tracing::Level;

/// `FURTHER_LINE` begins each further line of an event.
pub(crate) const FURTHER_LINE: &str = "\n    ";

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
    /// `text` is the message and the fields. The lines of the message stay lines, indented; the fields stand behind the first of
    /// them, so that whoever copies lines to paste copies nothing else.
    pub fn text(&self) -> String {
        // The audit has no message, only fields.
        let message = Some(prose(&self.message).into_owned()).filter(|message| !message.is_empty());
        let fields = self.fields.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}={}", plain(name), prose(&value))
        });
        on_lines(message.into_iter().chain(fields)).replace('\n', FURTHER_LINE)
    }
}

/// `on_lines` puts the first lines of all parts on one line, and the further ones below it.
pub(super) fn on_lines(parts: impl IntoIterator<Item = String>) -> String {
    let (mut text, mut further) = (String::new(), String::new());
    for part in parts {
        let part = part.trim_end_matches('\n');
        let (first, rest) = part.split_once('\n').map_or((part, ""), |(first, rest)| (first, rest));
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(first);
        if part.contains('\n') {
            further.push('\n');
            further.push_str(rest);
        }
    }
    text + &further
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
    let pieces: Vec<_> = text.split('\x1b').map(prose).collect();
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

    fn event(message: &str, fields: &serde_json::Value) -> Line {
        let mut all = serde_json::json!({ "message": message });
        let both = all.as_object_mut().zip(fields.as_object());
        both.into_iter().for_each(|(all, fields)| all.extend(fields.clone()));
        let line = serde_json::json!({ "timestamp": "2026-01-02T03:04:05Z", "level": "WARN", "fields": all });
        Line::read(line.to_string().as_bytes())
    }

    #[test]
    fn lines_to_paste_stay_lines_and_the_fields_stand_apart() {
        let toml = "[plugin.bore]\nbinary = \"/opt/bore\"";
        let line = event(
            &format!("To fix: add these lines:\n{toml}\n"),
            &serde_json::json!({ "plugin": "bore", "n": 1 }),
        );
        let text = line.parsed.unwrap().text();
        assert_eq!(
            text,
            "To fix: add these lines: plugin=bore n=1\n    [plugin.bore]\n    binary = \"/opt/bore\""
        );
        let pasted: Vec<&str> = text.lines().skip(1).take(2).map(str::trim_start).collect();
        assert_eq!(pasted.join("\n"), toml);
        let short = event("it failed", &serde_json::json!({ "plugin": "bore", "n": 1 }));
        assert_eq!(short.parsed.unwrap().text(), "it failed plugin=bore n=1");
    }

    /// A plugin, a program or a stranger chooses the message or a field: none of its lines begins where an event does.
    #[test]
    fn no_text_forges_an_event_of_the_log() {
        let forged = "2026-01-02T03:04:05Z  INFO everything is OK";
        for end in [
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            "\u{85}",
            "\u{2028}",
            "\u{2029}",
            "\u{b}",
            "\u{c}",
            "\u{1b}[1E",
        ] {
            let text = format!("x{end}{forged}{end}{forged}");
            for line in [
                event(&text, &serde_json::json!({})),
                event("x", &serde_json::json!({ "error": text.clone() })),
                event("x", &serde_json::json!({ text.clone(): "y" })),
                event("x", &serde_json::json!({ "list": [text] })),
            ] {
                let written = line.raw.as_bytes();
                assert!(!written.contains(&b'\n'), "an event is one line of the file");
                let shown = line.parsed.unwrap().text();
                let ends = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
                let further = shown.split(ends).skip(1);
                assert!(further.clone().all(|line| line.starts_with("    ")), "{shown:?}");
                assert!(!shown.contains('\u{1b}'), "{shown:?}");
            }
        }
    }
}
