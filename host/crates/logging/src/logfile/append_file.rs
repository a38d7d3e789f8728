//! Files that are appended to, for their owner alone.

use nexus_files::private;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

pub(crate) fn appending() -> OpenOptions {
    let mut options = private::options();
    options.read(true).append(true).create(true);
    // In a folder of others, a link could lead our lines into any file of ours.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    options
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = appending().open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    private::tighten(&file)?;
    Ok(file)
}

/// A machine that lost its power may have cut the last line.
pub(crate) fn ends_with_a_line(mut file: &File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
