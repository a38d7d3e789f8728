//! Files and folders on the way to their place.

use nexus_files::private;
use nexus_model::digest::hex;
use std::path::{Path, PathBuf};

/// `Staging` is a folder that is gone when its work is done or has failed.
pub(super) struct Staging(pub(super) PathBuf);

impl Staging {
    pub(super) fn make(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
        let token: [u8; 6] = nexus_model::random::random()?;
        let path = parent.join(format!("{prefix}{}", hex(&token)));
        private_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a folder with all above it; what is made is for its owner alone.
pub(super) fn private_dir(path: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    private::make_dir(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Makes a new file for its owner alone.
pub(super) fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    private::options().write(true).create_new(true).open(path)
}

/// Sees to it that names that were made or changed are there after a power cut.
pub(super) fn sync_dir(path: &Path) {
    // Where a folder cannot be synced (some network disks), the files themselves were.
    let _ = std::fs::File::open(path).and_then(|dir| dir.sync_all());
}
