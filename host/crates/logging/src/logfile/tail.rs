//! Follows the log while it is written, from one file into the next.

use super::line::Line;
use super::rotated_files::{Identity, open_all};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// `Tail` is where the reading of a log stands.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    present: Option<OpenFile>,
}

/// `OpenFile` is a file, and how far it is read.
#[derive(Debug)]
pub(super) struct OpenFile {
    identity: Identity,
    reader: BufReader<File>,
    /// `partial` is the beginning of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl OpenFile {
    pub(super) fn new((identity, file): (Identity, File)) -> Self {
        Self {
            identity,
            reader: BufReader::new(file),
            partial: Vec::new(),
        }
    }

    /// Reads whole lines up to the end as it is now.
    pub(super) fn read(&mut self, show: &mut dyn FnMut(Line) -> io::Result<()>) -> io::Result<()> {
        while self.reader.read_until(b'\n', &mut self.partial)? > 0 {
            if !self.partial.ends_with(b"\n") {
                return Ok(());
            }
            let line = Line::read(&self.partial);
            self.partial.clear();
            if !line.raw.is_empty() {
                show(line)?;
            }
        }
        Ok(())
    }

    fn read_into(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        self.read(&mut |line| {
            lines.push(line);
            Ok(())
        })
    }
}

/// `NewLines` is what came since the last look.
#[derive(Debug, Default)]
pub struct NewLines {
    /// `lines` are the new lines, the oldest first.
    pub lines: Vec<Line>,
    /// `missed`: files went by that nobody read; they were rotated away before this look.
    pub missed: bool,
}

impl Tail {
    /// Begins behind what was read of `present`; `None`: at the beginning of a log that is not there yet.
    pub(super) fn at(path: &Path, present: Option<OpenFile>) -> Self {
        Self {
            path: path.to_owned(),
            present,
        }
    }

    /// Begins at the beginning of a log that is not there yet.
    pub fn from_the_beginning(path: &Path) -> Self {
        Self::at(path, None)
    }

    /// Reads what came since the last call, without waiting for more.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn look(&mut self) -> io::Result<NewLines> {
        let mut news = NewLines::default();
        if let Some(present) = &mut self.present {
            present.read_into(&mut news.lines)?;
            let now = match std::fs::metadata(&self.path) {
                Ok(meta) => Identity::of(&meta),
                // Between the two steps of a rotation.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(news),
                Err(e) => return Err(e),
            };
            if now == present.identity {
                return Ok(news);
            }
            // What was written between the end we saw and the rotation.
            present.read_into(&mut news.lines)?;
        }
        let old = self.present.as_ref().map(|p| p.identity);
        let files = open_all(&self.path)?;
        let newer: Vec<_> = files.into_iter().map(OpenFile::new).collect();
        let known = newer.iter().position(|f| Some(f.identity) == old);
        news.missed = old.is_some() && known.is_none();
        // The present file is the first one.
        let take = known.unwrap_or(newer.len());
        for mut next in newer.into_iter().take(take).collect::<Vec<_>>().into_iter().rev() {
            next.read_into(&mut news.lines)?;
            self.present = Some(next);
        }
        Ok(news)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::logfile::writer::Writer;
    use nexus_config::resolved::LogFile;
    use std::io::Write as _;

    fn texts(news: &NewLines) -> Vec<&str> {
        news.lines.iter().map(|l| l.raw.as_str()).collect()
    }

    #[test]
    fn lines_are_followed_through_every_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let config = LogFile {
            path: dir.path().join("nexus.log"),
            max_size: 200,
            max_files: 4,
        };
        let mut tail = Tail::from_the_beginning(&config.path);
        assert!(tail.look().unwrap().lines.is_empty());
        let writer = Writer::open(&config, Box::new(|_| {})).unwrap();
        let mut seen = Vec::new();
        for n in 0..500 {
            let mut to = &writer;
            to.write_all(format!("line {n}\n").as_bytes()).unwrap();
            // At most two rotations between two looks.
            if n % 37 == 0 {
                let news = tail.look().unwrap();
                assert!(!news.missed);
                seen.extend(news.lines.into_iter().map(|l| l.raw));
            }
        }
        seen.extend(tail.look().unwrap().lines.into_iter().map(|l| l.raw));
        assert_eq!(seen, (0..500).map(|n| format!("line {n}")).collect::<Vec<_>>());
        // Nothing is said twice, and who sleeps too long is told.
        assert!(tail.look().unwrap().lines.is_empty());
        for n in 0..500 {
            let mut to = &writer;
            to.write_all(format!("late {n}\n").as_bytes()).unwrap();
        }
        let news = tail.look().unwrap();
        assert!(news.missed);
        assert_eq!(*texts(&news).last().unwrap(), "late 499");
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nexus.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::from_the_beginning(&path);
        assert_eq!(texts(&tail.look().unwrap()), ["old"]);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(texts(&tail.look().unwrap()), ["one"]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(texts(&tail.look().unwrap()), ["two"]);
    }
}
