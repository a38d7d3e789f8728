//! Reads the log back: its last lines, by level and plugin.

use super::open_all;
use super::tail::{Open, Tail};
use nexus_model::log::About;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use tracing::Level;

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// As it stands in the file, without the line break.
    pub raw: String,
    /// None: it is damaged, as the last line before a power cut may be.
    pub parsed: Option<Parsed>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// RFC 3339, UTC.
    pub timestamp: String,
    pub level: Level,
    pub message: String,
    /// What else was said, the plugin among it.
    pub fields: Map<String, Value>,
}

impl Line {
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
    /// The message and the fields, as on stderr.
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

/// One line in which everything is seen: the file may hold what an earlier version, or somebody else, wrote.
pub fn plain(text: &str) -> String {
    nexus_plugin_api::text::line(text).into_owned()
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// This and whatever is worse.
    pub level: Option<Level>,
    pub about: About,
}

impl Filter {
    /// A damaged line has neither level nor plugin, so it is wanted only where nothing was asked for.
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

/// Shows the last `count` lines that are wanted, oldest first, over all files of the log; without a count, every one.
/// What is returned goes on exactly behind them.
///
/// # Errors
/// A file cannot be read, or what `show` failed with. That there is no log at all is [`io::ErrorKind::NotFound`].
pub fn last(
    path: &Path,
    count: Option<usize>,
    filter: &Filter,
    show: &mut dyn FnMut(&Line) -> io::Result<()>,
) -> io::Result<Tail> {
    // The present one first.
    let mut files: Vec<Open> = open_all(path)?.into_iter().map(Open::new).collect();
    if files.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    match count {
        None => {
            for file in files.iter_mut().rev() {
                file.read(&mut |line| if filter.wants(&line) { show(&line) } else { Ok(()) })?;
            }
        }
        Some(count) => {
            let mut found: VecDeque<Line> = VecDeque::new();
            for file in &mut files {
                let room = count.saturating_sub(found.len());
                // Of this file, which is older than all that was found before. The present one is read in any case, so
                // that what is returned stands at its end.
                let mut here: VecDeque<Line> = VecDeque::new();
                file.read(&mut |line| {
                    if room > 0 && filter.wants(&line) {
                        if here.len() >= room {
                            here.pop_front();
                        }
                        here.push_back(line);
                    }
                    Ok(())
                })?;
                here.append(&mut found);
                found = here;
                if found.len() >= count {
                    break;
                }
            }
            found.iter().try_for_each(show)?;
        }
    }
    Ok(Tail::at(path, files.into_iter().next()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::older;
    use super::*;
    use std::fs;

    fn line(level: &str, plugin: Option<&str>, message: &str) -> String {
        let mut fields = serde_json::json!({ "message": message });
        if let (Some(plugin), Some(fields)) = (plugin, fields.as_object_mut()) {
            fields.insert("plugin".into(), plugin.into());
        }
        serde_json::json!({ "timestamp": "2026-01-02T03:04:05Z", "level": level, "fields": fields, "target": "t" })
            .to_string()
            + "\n"
    }

    fn messages(lines: &[Line]) -> Vec<&str> {
        lines
            .iter()
            .map(|l| l.parsed.as_ref().map_or(l.raw.as_str(), |p| p.message.as_str()))
            .collect()
    }

    #[test]
    fn the_last_lines_come_from_as_many_files_as_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nexus.log");
        let none = last(&path, None, &Filter::default(), &mut |_| Ok(())).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        fs::write(
            older(&path, 2),
            line("INFO", None, "a") + &line("ERROR", Some("p"), "b"),
        )
        .unwrap();
        fs::write(older(&path, 1), line("WARN", Some("p"), "c") + "{\"torn\n").unwrap();
        fs::write(&path, line("DEBUG", Some("q"), "d") + &line("INFO", Some("p"), "e")).unwrap();
        let get = |count, filter: &Filter| {
            let mut lines = Vec::new();
            let mut keep = |line: &Line| {
                lines.push(line.clone());
                Ok(())
            };
            let mut tail = last(&path, count, filter, &mut keep).unwrap();
            assert!(
                tail.look().unwrap().lines.is_empty(),
                "the tail begins behind the last line"
            );
            lines
        };
        let all = Filter::default();
        assert_eq!(messages(&get(None, &all)), ["a", "b", "c", "{\"torn", "d", "e"]);
        assert_eq!(messages(&get(Some(3), &all)), ["{\"torn", "d", "e"]);
        assert_eq!(messages(&get(Some(5), &all)), ["b", "c", "{\"torn", "d", "e"]);
        assert!(get(Some(0), &all).is_empty());
        let worse = Filter {
            level: Some(Level::WARN),
            ..Filter::default()
        };
        assert_eq!(messages(&get(None, &worse)), ["b", "c"]);
        let own = Filter {
            about: About {
                plugin: Some("p".into()),
                tunnel: None,
            },
            ..Filter::default()
        };
        assert_eq!(messages(&get(None, &own)), ["b", "c", "e"]);
        assert_eq!(messages(&get(Some(2), &own)), ["c", "e"]);
    }
}
