//! The newest lines, out of the last part of the log: for a page, which must not read tens of megabytes.

use super::line::{Filter, Line};
use super::rotated_files::open_all;
use nexus_model::limits;
use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

/// At most `count` lines that are wanted, the oldest first. Of a log that is not there: none.
///
/// # Errors
/// A file cannot be read.
pub fn recent(path: &Path, count: usize, filter: &Filter) -> io::Result<Vec<Line>> {
    let mut found: VecDeque<Line> = VecDeque::new();
    let mut left = limits::LOG_SEARCHED;
    for (_, mut file) in open_all(path)? {
        let size = file.metadata()?.len();
        let begin = size.saturating_sub(left);
        left -= size - begin;
        // From the byte before: where that ends a line, the first one is whole.
        file.seek(SeekFrom::Start(begin.saturating_sub(1)))?;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        if begin > 0 {
            reader.read_until(b'\n', &mut bytes)?;
        }
        let mut here = VecDeque::new();
        loop {
            bytes.clear();
            reader.read_until(b'\n', &mut bytes)?;
            // Also one whose end is not written yet.
            if !bytes.ends_with(b"\n") {
                break;
            }
            let line = Line::read(&bytes);
            if !line.raw.is_empty() && filter.wants(&line) {
                if here.len() + found.len() >= count {
                    here.pop_front();
                }
                here.push_back(line);
            }
        }
        here.append(&mut found);
        found = here;
        if left == 0 || found.len() >= count {
            break;
        }
    }
    while found.len() > count {
        found.pop_front();
    }
    Ok(found.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::logfile::rotated_files::older;
    use std::fs;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.raw.as_str()).collect()
    }

    #[test]
    fn the_newest_lines_of_as_many_files_as_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nexus.log");
        assert!(recent(&path, 5, &Filter::default()).unwrap().is_empty());
        fs::write(older(&path, 2), "a\nb\n").unwrap();
        fs::write(older(&path, 1), "c\nd\n").unwrap();
        fs::write(&path, "e\nhalf a li").unwrap();
        let get = |count| recent(&path, count, &Filter::default()).unwrap();
        assert_eq!(texts(&get(1)), ["e"]);
        assert_eq!(texts(&get(2)), ["d", "e"]);
        assert_eq!(texts(&get(4)), ["b", "c", "d", "e"]);
        assert_eq!(texts(&get(9)), ["a", "b", "c", "d", "e"]);
        assert!(get(0).is_empty());
    }

    #[test]
    fn of_a_long_log_only_the_last_part_is_read_and_no_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nexus.log");
        for length in [98, 99, 100, 101, 102] {
            let line = "x".repeat(length) + "\n";
            fs::write(&path, format!("first\n{}", line.repeat(40_000))).unwrap();
            let lines = recent(&path, 100_000, &Filter::default()).unwrap();
            assert!(lines.iter().all(|line| line.raw.len() == length));
            let read = lines.len() * (length + 1);
            assert!(
                read <= limits::LOG_SEARCHED as usize && read + length >= limits::LOG_SEARCHED as usize - length,
                "{read}"
            );
        }
    }
}
