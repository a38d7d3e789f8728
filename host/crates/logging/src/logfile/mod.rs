//! The log in a file: JSON, a line for each event, whatever stderr shows, so that it can be read back by level and
//! plugin. `nexus.log` is the present file, `nexus.log.1` the newest of the older ones.
//!
//! The writer is our own: crates for this rotate by time alone and leave the mode to the umask. Here a rotation happens
//! between two lines. A thread of its own writes ([`Background`]), so that a disk that stalls stalls nothing else; what
//! waits for it when the process is killed is lost.

mod background;
mod latest;
mod reader;
mod recent;
mod tail;
mod writer;

pub use background::{Background, Missing};
pub use latest::{LogError, LogReader};
pub use reader::{Filter, Line, last, plain};
pub use recent::recent;
pub use tail::Tail;
pub use writer::{Writer, missing};
pub(crate) use writer::{appending, ends_with_a_line, make_room, open};

use nexus_config::file::open_at_once;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A line as it is written: everything in it is seen, also where somebody reads the file by other means. What has no room in
/// JSON (and on a terminal the escapes of a message) is escaped before; colours of our own stay.
pub(crate) fn seen(line: &[u8]) -> Cow<'_, [u8]> {
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    let pieces: Vec<_> = text.split('\x1b').map(nexus_plugin_api::text::prose).collect();
    Cow::Owned(pieces.join("\x1b").into_bytes())
}

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

/// Which file it is, whatever it is called by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(meta: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(meta.dev(), meta.ino())
    }

    /// The time it was made, as near as such a system lets us come.
    #[cfg(not(unix))]
    fn of(meta: &std::fs::Metadata) -> Self {
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
