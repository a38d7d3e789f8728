//! Reading files that other programs can replace. They must not be able to hold up the host: a pipe is not waited for, and
//! no more is read than a file of its kind can have.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// `open_at_once` opens for reading, without waiting for the other end of what turns out to be a pipe.
///
/// # Errors
/// The operating system's.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(libc::O_NONBLOCK);
    }
    options.open(path)
}

/// `open` opens a regular file for reading.
///
/// # Errors
/// What was found instead, to be read after the path.
pub fn open(path: &Path) -> Result<File, String> {
    let file = open_at_once(path).map_err(|e| e.to_string())?;
    let meta = file.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    Ok(file)
}

/// `read` is the whole of a regular file of at most `limit` bytes.
///
/// # Errors
/// What was found instead, to be read after the path.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("it has more than {limit} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_that_is_not_too_long_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read(&path, 10).unwrap().len(), 10);
        assert!(read(&path, 9).unwrap_err().contains("more than 9 bytes"));
        assert!(read(dir.path(), 9).unwrap_err().contains("not a regular file"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(read(&path, 10).unwrap_err().contains("not a regular file"));
    }
}
