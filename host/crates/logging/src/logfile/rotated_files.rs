//! Which files a rotated log consists of: `nexus.log` is the present one, `nexus.log.1` the newest of the older ones.

use nexus_files::bounded::open_at_once;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The `number`th older file.
pub(crate) fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Whether `file` is the log `path`, an older part of it, or its lock.
pub fn is_part_of(path: &Path, file: &Path) -> bool {
    let (Some(log), Some(name)) = (path.to_str(), file.to_str()) else {
        return path == file;
    };
    let rest = name
        .strip_prefix(log)
        .map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    rest.is_some_and(|rest| rest.is_empty() || rest == "lock" || rest.parse::<u32>().is_ok())
}

/// The numbers of the older files that are there, in no order.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn numbers(path: &Path) -> io::Result<Vec<u32>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Ok(Vec::new());
    };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let number = entry.to_str().and_then(|e| e.strip_prefix(name)?.strip_prefix('.'));
        // Only as we write it: `nexus.log.01` is somebody else's.
        if let Some(number) = number
            && let Ok(n) = number.parse::<u32>()
            && n.to_string() == number
            && n > 0
        {
            numbers.push(n);
        }
    }
    Ok(numbers)
}

/// Gives each file of a rotated log the next number, so that `path` is free. The last one is dropped: it is renamed over.
///
/// # Errors
/// One that is there cannot be renamed.
pub(crate) fn make_room(path: &Path, max_files: u32) -> io::Result<()> {
    let name = |number| {
        if number == 0 {
            path.to_path_buf()
        } else {
            older(path, number)
        }
    };
    for number in (0..max_files.saturating_sub(1)).rev() {
        match std::fs::rename(name(number), name(number + 1)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Which file it is, whatever it is called by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(meta.dev(), meta.ino())
    }

    /// The time it was made, as near as such a system lets us come.
    #[cfg(not(unix))]
    pub(crate) fn of(meta: &std::fs::Metadata) -> Self {
        let made = meta
            .created()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let made = made.unwrap_or_default();
        Self(made.as_secs(), u64::from(made.subsec_nanos()))
    }
}

/// All files of the log, open, the present one first. A rotation meanwhile leaves none out and none twice: files only
/// move to higher numbers, which are opened later.
///
/// # Errors
/// One of them cannot be opened.
pub(crate) fn open_all(path: &Path) -> io::Result<Vec<(Identity, File)>> {
    let listed = match numbers(path) {
        Ok(numbers) => numbers,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    // The next ones too: one may be moved while we look.
    let next = listed.iter().map(|number| number.saturating_add(1));
    let candidates: BTreeSet<u32> = listed.iter().copied().chain(next).chain([0, 1]).collect();
    let mut all: Vec<(Identity, File)> = Vec::new();
    for number in candidates {
        let name = if number == 0 {
            path.to_owned()
        } else {
            older(path, number)
        };
        let file = match open_at_once(&name) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", name.display()))),
        };
        let meta = file.metadata()?;
        // A pipe or a folder of that name is not ours.
        if !meta.is_file() {
            continue;
        }
        let identity = Identity::of(&meta);
        if all.iter().all(|(other, _)| *other != identity) {
            all.push((identity, file));
        }
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn strange_files_beside_the_log_do_not_hold_up_its_reading() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nexus.log");
        for name in ["nexus.log", "nexus.log.2", "nexus.log.4294967295"] {
            std::fs::write(dir.path().join(name), "a line\n").unwrap();
        }
        std::fs::create_dir(dir.path().join("nexus.log.3")).unwrap();
        #[cfg(target_os = "linux")]
        {
            let pipe = std::process::Command::new("mkfifo").arg(older(&path, 1)).status();
            assert!(pipe.unwrap().success());
        }
        let begun = Instant::now();
        assert_eq!(open_all(&path).unwrap().len(), 3);
        assert!(begun.elapsed() < Duration::from_secs(5), "four thousand million names");
    }
}
