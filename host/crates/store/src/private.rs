//! Files and folders for their owner alone.

use crate::error::StoreError;
use std::path::Path;

/// Makes `dir` with mode 0700, and refuses one that others may write.
pub(crate) fn private_dir(dir: &Path) -> Result<(), StoreError> {
    let open = |e: std::io::Error| StoreError::Open(format!("cannot use the data directory {}: {e}", dir.display()));
    if !dir.exists() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(open)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = std::fs::metadata(dir).map_err(open)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(0o700);
            std::fs::set_permissions(dir, permissions).map_err(open)?;
        }
    }
    Ok(())
}

/// Makes the file with mode 0600 where there is none. SQLite gives its `-wal` and `-shm` the same mode.
pub(crate) fn private_file(path: &Path) -> Result<(), StoreError> {
    let open = |e: std::io::Error| StoreError::Open(format!("cannot open {} for writing: {e}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(open)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = file.metadata().map_err(open)?.permissions();
        if permissions.mode() & 0o177 != 0 {
            permissions.set_mode(0o600);
            file.set_permissions(permissions).map_err(open)?;
        }
    }
    drop(file);
    Ok(())
}
