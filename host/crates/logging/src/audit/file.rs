//! One file of the audit, which several processes append to: the host and the commands beside it.
//!
//! Each line is written by opening, locking, perhaps rotating, appending and closing: lines are few, since those of
//! strangers are folded, so nothing has to be kept between two of them that another process could make untrue. A lock that
//! somebody keeps holds no line up for longer than [`AUDIT_LOCK`].

use super::paths::paths;
use crate::logfile::{appending, ends_with_a_line, make_room, open};
use nexus_files::private;
use nexus_model::limits::{AUDIT_FILE_BYTES, AUDIT_FILES, AUDIT_LOCK, AUDIT_STRANGERS_BYTES, AUDIT_STRANGERS_FILES};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `PAUSE` is the pause between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// `AuditFile` is one file of the audit with its bounds.
#[derive(Debug, Clone)]
pub struct AuditFile {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
}

impl AuditFile {
    /// `of` is a file of the data folder: the owner's, or the strangers'.
    pub fn of(data_dir: &Path, strangers: bool) -> Self {
        let [owners, others] = paths(data_dir);
        if strangers {
            Self {
                path: others,
                max_size: AUDIT_STRANGERS_BYTES,
                max_files: AUDIT_STRANGERS_FILES,
            }
        } else {
            Self {
                path: owners,
                max_size: AUDIT_FILE_BYTES,
                max_files: AUDIT_FILES,
            }
        }
    }

    /// `path` is where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line, which has no line break, and rotates before it where the file is full. Blocks.
    ///
    /// # Errors
    /// The disk is full, or the folder is not ours.
    pub fn append(&self, line: &str) -> io::Result<()> {
        let folder = self.path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        private::make_dir(folder)?;
        let _held = self.lock();
        let mut file = open(&self.path)?;
        let bytes = line.len() as u64 + 1;
        let size = file.metadata()?.len();
        if size > 0 && size.saturating_add(bytes) > self.max_size {
            self.rotate()?;
            file = open(&self.path)?;
        }
        let mut text = String::with_capacity(line.len() + 2);
        if !ends_with_a_line(&file)? {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        file.write_all(text.as_bytes())
    }

    /// Takes the lock. `None`: somebody keeps it, or it cannot be made.
    fn lock(&self) -> Option<File> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        let file = appending().open(&name).ok()?;
        let end = Instant::now() + AUDIT_LOCK;
        loop {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(_) if Instant::now() < end => std::thread::sleep(PAUSE),
                Err(_) => return None,
            }
        }
    }

    fn rotate(&self) -> io::Result<()> {
        make_room(&self.path, self.max_files)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn processes_append_together_and_the_size_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = AuditFile {
            max_size: 4_000,
            max_files: 100,
            ..AuditFile::of(dir.path(), false)
        };
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let file = file.clone();
                std::thread::spawn(move || (0..200).for_each(|n| file.append(&format!("{writer} {n}")).unwrap()))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let mut lines = Vec::new();
        for (_, file) in crate::logfile::open_all(file.path()).unwrap() {
            assert!(file.metadata().unwrap().len() <= 4_000);
            lines.extend(io::read_to_string(file).unwrap().lines().map(str::to_owned));
        }
        assert_eq!(lines.len(), 800);
        assert!(lines.iter().all(|line| line.split(' ').count() == 2), "torn");
        let dir = tempfile::tempdir().unwrap();
        let few = AuditFile {
            max_size: 100,
            max_files: 3,
            ..AuditFile::of(dir.path(), true)
        };
        (0..100).for_each(|n| few.append(&format!("a line with its number {n:04}")).unwrap());
        assert_eq!(crate::logfile::open_all(few.path()).unwrap().len(), 3);
        assert!(
            io::read_to_string(File::open(few.path()).unwrap())
                .unwrap()
                .contains("0099")
        );
    }

    #[cfg(unix)]
    #[test]
    fn it_is_private_and_a_lock_that_somebody_keeps_holds_no_line_up_for_long() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = AuditFile::of(&dir.path().join("data"), true);
        file.append("one").unwrap();
        for path in [file.path().to_owned(), file.path().parent().unwrap().to_owned()] {
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o077,
                0,
                "{path:?}"
            );
        }
        let kept = file.lock().unwrap();
        file.append("two").unwrap();
        drop(kept);
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "one\ntwo\n");
    }
}
