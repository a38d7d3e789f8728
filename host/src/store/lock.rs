//! One running host per data directory. The operating system frees the lock when the process ends, however it ends;
//! the text in the file only serves the message that a second one gets.

use super::StoreError;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

const FILE: &str = "lock";

/// Held while it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// # Errors
    /// [`StoreError::Held`] where another host runs on `data_dir`: its message names that one.
    pub fn acquire(data_dir: &Path) -> Result<Self, StoreError> {
        super::private_dir(data_dir)?;
        let path = data_dir.join(FILE);
        super::private_file(&path)?;
        let open = |e: std::io::Error| StoreError::Open(format!("cannot lock {}: {e}", path.display()));
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(open)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner); // where the system hides it, the message goes without
                return Err(StoreError::Held(held(data_dir, owner.trim())));
            }
            Err(TryLockError::Error(e)) => return Err(open(e)),
        }
        let mut lock = Self { file, path };
        lock.say(&format!("process {}", std::process::id()))?;
        Ok(lock)
    }

    /// Says where the host listens, for the message that a second one gets.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn listening(&mut self, address: &str) -> Result<(), StoreError> {
        self.say(&format!("process {}, {address}", std::process::id()))
    }

    fn say(&mut self, text: &str) -> Result<(), StoreError> {
        let mut write = || -> std::io::Result<()> {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())
        };
        write().map_err(|e| StoreError::ReadOnly(format!("cannot write {}: {e}", self.path.display())))
    }
}

fn held(data_dir: &Path, owner: &str) -> String {
    let who = if owner.is_empty() {
        String::new()
    } else {
        format!(" ({owner})")
    };
    format!(
        "another nexus{who} runs on the data directory {}: stop it, or give this one a directory of its own with --data-dir",
        data_dir.display()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Lock::acquire(dir.path()).unwrap();
        first.listening("http://127.0.0.1:7860").unwrap();
        let Err(StoreError::Held(why)) = Lock::acquire(dir.path()) else {
            panic!("both hold it")
        };
        assert!(
            why.contains("http://127.0.0.1:7860") && why.contains(&std::process::id().to_string()),
            "{why}"
        );
        drop(first);
        Lock::acquire(dir.path()).unwrap();
    }
}
