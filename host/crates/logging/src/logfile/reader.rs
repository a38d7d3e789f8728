//! Reads the log back: its last lines, by level and plugin.

use super::line::{Filter, Line};
use super::rotated_files::open_all;
use super::tail::{OpenFile, Tail};
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// `last` shows the last `count` lines that are wanted, oldest first, over all files of the log; without a count, every one.
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
    let mut files: Vec<OpenFile> = open_all(path)?.into_iter().map(OpenFile::new).collect();
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
    use super::*;
    use crate::logfile::rotated_files::older;
    use nexus_model::log::About;
    use std::fs;
    use tracing::Level;

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
