//! Writes the log's file and begins a new one in time.

use super::append_file::{appending, ends_with_a_line, open};
use super::line::seen;
use super::rotated_files::{make_room, numbers, older};
use nexus_config::resolved::LogFile;
use nexus_files::private;
use nexus_model::time::Utc;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// `OnError` takes a sentence about the log itself; it goes not through the log, and does not wait.
pub(super) type OnError = Box<dyn Fn(&str) + Send + Sync>;

/// `Writer` is the open log. Each call of `write` is one whole line.
pub struct Writer {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    state: Mutex<State>,
    complain: OnError,
    /// `_lock` is held while the writer lives: two writers would each rotate the other's file away.
    _lock: File,
}

#[derive(Debug)]
struct State {
    file: File,
    /// `limit` is the size from which on a new file is begun; it is more than `max_size` after one could not be.
    limit: u64,
    /// `lost` counts the lines that could not be written since the last one that could.
    lost: u64,
    /// `torn`: the file does not end with a line break.
    torn: bool,
}

impl Writer {
    /// Opens or makes the file, for its owner alone, and its folder where there is none.
    ///
    /// # Errors
    /// It cannot be written, or another process writes it: a sentence, without the path.
    pub fn open(config: &LogFile, complain: OnError) -> Result<Self, String> {
        let path = config.path.clone();
        let folder = path.parent().ok_or("it has no folder")?;
        private::make_dir(folder).map_err(|e| format!("cannot create its folder: {e}"))?;
        let lock = lock(&path)?;
        // Of a configuration that kept more.
        for number in numbers(&path).map_err(|e| e.to_string())? {
            if number >= config.max_files {
                let _ = std::fs::remove_file(older(&path, number)); // it only takes space
            }
        }
        let file = open(&path).map_err(|e| e.to_string())?;
        let torn = !ends_with_a_line(&file).map_err(|e| e.to_string())?;
        Ok(Self {
            max_size: config.max_size,
            max_files: config.max_files,
            state: Mutex::new(State {
                file,
                limit: config.max_size,
                lost: 0,
                torn,
            }),
            path,
            complain,
            _lock: lock,
        })
    }

    fn append(&self, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.try_append(&mut state, line) {
            state.lost += 1;
            state.torn = true; // perhaps; an empty line more hurts nobody
            if state.lost == 1 {
                (self.complain)(&format!(
                    "cannot write the log {} ({error}): until that works, its lines are only shown here",
                    self.path.display()
                ));
            }
        }
    }

    fn try_append(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        let mut meta = state.file.metadata()?;
        if gone(&meta) {
            // Somebody removed it: what went into it now would be seen by nobody.
            state.file = open(&self.path)?;
            state.torn = false;
            meta = state.file.metadata()?;
        }
        let size = meta.len();
        if size > 0 && size.saturating_add(line.len() as u64) > state.limit {
            match self.rotate() {
                Ok(file) => {
                    state.file = file;
                    state.limit = self.max_size;
                    state.torn = false;
                }
                Err(error) => {
                    // Rather a file that is too long than a line that is lost.
                    state.limit = size.saturating_add(self.max_size);
                    (self.complain)(&format!(
                        "cannot rotate the log {} ({error}): the current file keeps growing",
                        self.path.display()
                    ));
                }
            }
        }
        if state.torn {
            state.file.write_all(b"\n")?;
            state.torn = false;
        }
        if state.lost > 0 {
            state.file.write_all(missing(state.lost).as_bytes())?;
            state.lost = 0;
        }
        state.file.write_all(line)
    }

    fn rotate(&self) -> io::Result<File> {
        make_room(&self.path, self.max_files)?;
        open(&self.path)
    }
}

impl io::Write for &Writer {
    /// Writes one line, and never fails: whoever writes a log can do nothing about it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(&seen(line));
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        (&*self).write(line)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `missing` is a line of the log in place of so many lines that were dropped.
pub fn missing(many: u64) -> String {
    let note = serde_json::json!({
        "timestamp": Utc::now().to_string(),
        "level": "WARN",
        "fields": { "message": format!("{many} lines before this one could not be written to the log") },
        "target": module_path!(),
    });
    format!("{note}\n")
}

/// Locks a file beside the log: the log's own changes its name.
fn lock(path: &Path) -> Result<File, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = appending().open(&name).map_err(|e| e.to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err("another Nexus is writing to it".to_owned()),
        Err(TryLockError::Error(e)) => Err(format!("it cannot be locked: {e}")),
    }
}

#[cfg(unix)]
fn gone(meta: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(meta) == 0
}

#[cfg(not(unix))]
fn gone(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::logfile::rotated_files::open_all;
    use std::io::Read as _;

    fn open_quietly(config: &LogFile) -> Result<Writer, String> {
        Writer::open(config, Box::new(|_| {}))
    }
    use std::sync::Arc;

    fn config(dir: &tempfile::TempDir, max_size: u64, max_files: u32) -> LogFile {
        LogFile {
            path: dir.path().join("logs/nexus.log"),
            max_size,
            max_files,
        }
    }

    /// Oldest first.
    fn lines(config: &LogFile) -> Vec<String> {
        let mut all = String::new();
        for (_, mut file) in open_all(&config.path).unwrap().into_iter().rev() {
            file.read_to_string(&mut all).unwrap();
        }
        all.lines().map(str::to_owned).collect()
    }

    fn write(writer: &Writer, line: &str) {
        let mut to = writer;
        to.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[test]
    fn a_rotation_under_many_threads_loses_and_splits_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 10_000, 1000);
        let writer = Arc::new(open_quietly(&config).unwrap());
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let writer = Arc::clone(&writer);
                std::thread::spawn(move || {
                    for line in 0..2000 {
                        write(&writer, &format!("{thread} {line}"));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        let all = lines(&config);
        assert_eq!(all.len(), 16_000);
        for thread in 0..8 {
            let own: Vec<_> = all.iter().filter(|l| l.starts_with(&format!("{thread} "))).collect();
            assert_eq!(own.len(), 2000);
            assert!(own.iter().enumerate().all(|(n, l)| **l == format!("{thread} {n}")));
        }
        let files = open_all(&config.path).unwrap();
        assert!(files.len() > 5);
        assert!(files.iter().all(|(_, f)| f.metadata().unwrap().len() <= 10_000));
    }

    #[test]
    fn the_oldest_files_are_removed_and_fewer_are_kept_when_fewer_are_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let five = config(&dir, 100, 5);
        let writer = open_quietly(&five).unwrap();
        (0..200).for_each(|n| write(&writer, &format!("a line with its number {n:04}")));
        assert_eq!(open_all(&five.path).unwrap().len(), 5);
        assert!(lines(&five).last().unwrap().ends_with("0199"));
        drop(writer);
        std::fs::write(dir.path().join("logs/nexus.log.old"), "not ours").unwrap();
        drop(open_quietly(&config(&dir, 100, 2)).unwrap());
        assert_eq!(open_all(&five.path).unwrap().len(), 2);
        assert!(dir.path().join("logs/nexus.log.old").exists());
    }

    #[test]
    fn one_writer_only() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 100, 5);
        let first = open_quietly(&config).unwrap();
        assert_eq!(open_quietly(&config).err().unwrap(), "another Nexus is writing to it");
        drop(first);
        open_quietly(&config).unwrap();
    }

    #[test]
    fn a_torn_line_spoils_none_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 1000, 5);
        drop(open_quietly(&config).unwrap());
        std::fs::write(&config.path, "whole\nto").unwrap();
        let writer = open_quietly(&config).unwrap();
        write(&writer, "next");
        assert_eq!(lines(&config), ["whole", "to", "next"]);
    }

    #[test]
    fn a_file_that_was_removed_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 1000, 5);
        let writer = open_quietly(&config).unwrap();
        write(&writer, "one");
        std::fs::remove_file(&config.path).unwrap();
        write(&writer, "two");
        assert_eq!(lines(&config), ["two"]);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_private_and_follows_no_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 60, 3);
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let writer = open_quietly(&config).unwrap();
        (0..10).for_each(|n| write(&writer, &format!("a line with its number {n:04}")));
        assert_eq!(mode(config.path.parent().unwrap()), 0o700);
        for entry in std::fs::read_dir(config.path.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{path:?}");
        }
        drop(writer);
        std::fs::set_permissions(&config.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(open_quietly(&config).unwrap());
        assert_eq!(mode(&config.path), 0o600);
        std::fs::remove_file(&config.path).unwrap();
        let target = dir.path().join("something precious");
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &config.path).unwrap();
        open_quietly(&config).err().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn where_no_new_file_can_be_begun_the_old_one_grows() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, 60, 3);
        let writer = open_quietly(&config).unwrap();
        // A folder in the way of the older file, which no rename replaces. (A mode would not stop root.)
        std::fs::create_dir_all(older(&config.path, 1).join("x")).unwrap();
        std::fs::create_dir_all(older(&config.path, 2).join("x")).unwrap();
        (0..10).for_each(|n| write(&writer, &format!("a line with its number {n:04}")));
        let text = std::fs::read_to_string(&config.path).unwrap();
        assert_eq!(text.lines().count(), 10, "{text}");
    }
}
