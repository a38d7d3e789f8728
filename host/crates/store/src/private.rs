//! The data folder and the database, for their owner alone.

use crate::error::StoreError;
use nexus_files::private;
use std::path::Path;

/// Makes `dir` with mode 0700, and refuses one that others may write.
pub(crate) fn private_dir(dir: &Path) -> Result<(), StoreError> {
    let open = |e: std::io::Error| StoreError::Open(format!("cannot use the data folder {}: {e}", dir.display()));
    if dir.exists() && !dir.is_dir() {
        return Err(StoreError::Open(format!(
            "{} is a file, not a folder. To fix: choose another folder with --data-dir",
            dir.display()
        )));
    }
    private::make_dir(dir).map_err(open)?;
    private::tighten_dir(dir).map_err(open)
}

/// Makes the file with mode 0600 where there is none. SQLite gives its `-wal` and `-shm` the same mode.
pub(crate) fn private_file(path: &Path) -> Result<(), StoreError> {
    let open = |e: std::io::Error| StoreError::Open(format!("cannot open {} for writing: {e}", path.display()));
    let mut options = private::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(open)?;
    private::tighten(&file).map_err(open)
}
