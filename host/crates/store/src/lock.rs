//! One running host per data folder. The operating system frees the lock when the process ends, however it ends;
//! the text in the file only serves the message that a second one gets.

use crate::error::StoreError;
use crate::private::{private_dir, private_file};
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

const FILE: &str = "lock";

/// `Lock` holds the data folder for this process while it lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of `data_dir`, without waiting for it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another host runs on `data_dir`: its message names that one.
    pub fn acquire(data_dir: &Path) -> Result<Self, StoreError> {
        private_dir(data_dir)?;
        let path = data_dir.join(FILE);
        private_file(&path)?;
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
                return Err(StoreError::Locked(in_use(data_dir, owner.trim())));
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

/// `Holder` is the host that has the lock of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `pid` is the number of its process.
    pub pid: u32,
    /// `url` is where its page is: `http://127.0.0.1:7860`; `None`: it does not listen yet.
    pub url: Option<String>,
}

/// Refuses to go on where another Nexus runs. It is called before anything is opened that only one can have; it is
/// [`Lock::acquire`] that decides.
///
/// # Errors
/// Another Nexus runs there.
pub fn refuse_a_second(data_dir: &Path) -> Result<(), StoreError> {
    let Some(Holder { pid, url }) = holder(data_dir) else {
        return Ok(());
    };
    let url = url.map(|url| format!(", {url}")).unwrap_or_default();
    Err(StoreError::Locked(in_use(data_dir, &format!("process {pid}{url}"))))
}

/// Finds the host that runs on `data_dir`, without taking the lock even for a moment: a host that starts just then
/// would be refused.
pub fn holder(data_dir: &Path) -> Option<Holder> {
    let path = data_dir.join(FILE);
    let text = std::fs::read_to_string(&path).ok()?;
    let (pid, url) = match text.trim().split_once(", ") {
        Some((pid, url)) => (pid, Some(url.to_owned())),
        None => (text.trim(), None),
    };
    let pid = pid.strip_prefix("process ")?.parse().ok()?;
    // The text outlives its process.
    held_by(&path, pid).then_some(Holder { pid, url })
}

/// Reads the kernel's own list: `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`. It goes not by the device, whose
/// number some file systems tell differently.
#[cfg(target_os = "linux")]
fn held_by(path: &Path, pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The list makes the whole machine hold still for some milliseconds, and mostly the process is long gone.
    let number = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let gone = |number| rustix::process::test_kill_process(number) == Err(rustix::io::Errno::SRCH);
    if number.is_none_or(gone) {
        return false;
    }
    let Ok(meta) = path.metadata() else { return false };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != "FLOCK").skip(3);
        let whose = words.next() == Some(pid.to_string().as_str());
        let file = words.next().and_then(|file| file.rsplit(':').next());
        whose && file == Some(meta.ino().to_string().as_str())
    })
}

#[cfg(all(unix, not(target_os = "linux")))]
fn held_by(_: &Path, pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(not(unix))]
fn held_by(_: &Path, _: u32) -> bool {
    true
}

fn in_use(data_dir: &Path, owner: &str) -> String {
    let who = if owner.is_empty() {
        String::new()
    } else {
        format!(" ({owner})")
    };
    format!(
        "another Nexus{who} uses the data folder {}. To fix: stop it, or use another folder with --data-dir",
        data_dir.display()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_refused_with_the_name_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Lock::acquire(dir.path()).unwrap();
        first.listening("http://127.0.0.1:7860").unwrap();
        let Err(StoreError::Locked(cause)) = Lock::acquire(dir.path()) else {
            panic!("both hold it")
        };
        assert!(
            cause.contains("http://127.0.0.1:7860") && cause.contains(&std::process::id().to_string()),
            "{cause}"
        );
        let holder = holder(dir.path()).unwrap();
        assert_eq!(
            (holder.pid, holder.url.as_deref()),
            (std::process::id(), Some("http://127.0.0.1:7860"))
        );
        let again = refuse_a_second(dir.path()).unwrap_err();
        assert!(again.to_string().contains(&std::process::id().to_string()), "{again}");
        drop(first);
        refuse_a_second(dir.path()).unwrap();
        assert_eq!(super::holder(dir.path()), None, "the text alone is no lock");
        Lock::acquire(dir.path()).unwrap();
    }
}
