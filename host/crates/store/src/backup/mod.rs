//! One file that holds what of the data directory cannot be made again, and its way back.
//!
//! A gzipped tar: `manifest.json` first, then the files that it lists with their digests. In it is everything of the data
//! directory but what [`left_out`] names. The database goes in as a snapshot of one moment, without logins.

mod read;
mod write;

pub use read::{Restored, restore};
pub use write::{Written, write};

use nexus_model::digest::hex;
use nexus_model::private;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// Of the archive's layout.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";

/// What stays out of a backup, by the first part of its path in the data directory, and why.
const LEFT_OUT: [(&str, &str); 9] = [
    ("control.sock", "the running host's own way in"),
    ("lock", "it says who runs"),
    ("run", "the running programs' own files"),
    ("cache", "compiled code, made again at the next start"),
    ("tools", "installed programs: nexus setup opencode"),
    ("logs", "the log"),
    ("nexus.db", "the database, which goes in as a snapshot"),
    ("nexus.db-wal", "part of the database"),
    ("nexus.db-shm", "part of the database"),
];
/// Folders of this room's own: half a backup, half a restore, what stood there before a restore.
const STAGING: &str = ".nexus-backup-";
const RESTORING: &str = "restore-in-work-";
const BEFORE: &str = "before-restore-";

/// Whether an entry at the top of the data directory stays out of a backup, and where it is through a restore.
fn left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(out, _)| *out == name) || [STAGING, RESTORING, BEFORE].iter().any(|own| name.starts_with(own))
}

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the archive's layout: 1.
    pub format: u32,
    /// The nexus that wrote it.
    pub nexus: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Of the database.
    pub schema: i64,
    pub files: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Below the data directory, with `/`.
    pub path: String,
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

/// Whether a path of an archive leads to a place below the data directory that a backup may hold.
///
/// # Errors
/// Why not.
fn check_path(text: &str) -> Result<(), String> {
    let path = Path::new(text);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if text.is_empty() || !plain || text.contains('\\') || text.ends_with('/') || text.contains("//") {
        return Err(format!(
            "`{}` is no plain path below the data directory",
            nexus_plugin_api::text::literal(text)
        ));
    }
    let first = text.split('/').next().unwrap_or_default();
    if left_out(first) && text != crate::snapshot::NAME {
        return Err(format!(
            "`{}` never belongs to a backup",
            nexus_plugin_api::text::literal(text)
        ));
    }
    Ok(())
}

/// A folder that is gone when its work is done or has failed.
struct Staging(std::path::PathBuf);

impl Staging {
    fn make(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
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
fn private_dir(path: &Path) -> anyhow::Result<()> {
    use anyhow::Context as _;
    private::make_dir(path).with_context(|| format!("{} cannot be made", path.display()))
}

/// A new file for its owner alone.
fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    private::options().write(true).create_new(true).open(path)
}

/// Names that were made or changed are there after a power cut.
fn sync_dir(path: &Path) {
    // Where a folder cannot be synced (some network disks), the files themselves were.
    let _ = std::fs::File::open(path).and_then(|dir| dir.sync_all());
}

#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
