//! Files and folders on the way to their place.

use std::path::{Path, PathBuf};

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// A folder that is gone when its work is done or has failed.
pub(super) struct Staging(pub(super) PathBuf);

impl Staging {
    pub(super) fn make(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
        let token: [u8; 6] = nexus_model::time::random()?;
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

/// Made with all above it; what is made is for its owner alone.
pub(super) fn private_dir(path: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("cannot create {}", path.display()))
}

/// A new file for its owner alone.
pub(super) fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Names that were made or changed are there after a power cut.
pub(super) fn sync_dir(path: &Path) {
    // Where a folder cannot be synced (some network disks), the files themselves were.
    let _ = std::fs::File::open(path).and_then(|dir| dir.sync_all());
}
