//! The layout of a backup: its manifest, and which paths it may hold.

use crate::snapshot;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// `FORMAT` is the version of the archive's layout.
pub(super) const FORMAT: u32 = 1;
pub(super) const MANIFEST: &str = "manifest.json";

/// `LEFT_OUT` is what stays out of a backup, by the first part of its path in the data folder, and why.
pub(super) const LEFT_OUT: [(&str, &str); 9] = [
    ("control.sock", "the control socket of the running host"),
    ("lock", "the lock of the running host"),
    ("run", "temporary files of running programs"),
    ("cache", "compiled code, created again at the next start"),
    ("tools", "installed programs: nexus setup opencode"),
    ("logs", "the log"),
    ("nexus.db", "the database, which is included as a snapshot"),
    ("nexus.db-wal", "part of the database"),
    ("nexus.db-shm", "part of the database"),
];
/// `STAGING` and those below begin the names of folders of this room's own: half a backup, half a restore, what stood
/// there before a restore.
pub(super) const STAGING: &str = ".nexus-backup-";
pub(super) const RESTORING: &str = "restore-in-work-";
pub(super) const BEFORE: &str = "before-restore-";

/// Tells whether an entry at the top of the data folder stays out of a backup, and where it is through a restore.
pub(super) fn left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(out, _)| *out == name) || [STAGING, RESTORING, BEFORE].iter().any(|own| name.starts_with(own))
}

/// `Manifest` is what a backup says about itself: the first file of its archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `format` is the version of the archive's layout: 1.
    pub format: u32,
    /// `nexus` is the version of the Nexus that wrote it.
    pub nexus: String,
    /// `created_at` is in RFC 3339, UTC.
    pub created_at: String,
    /// `schema` is the version of the database's schema.
    pub schema: i64,
    /// `files` are all other files of the archive, the database among them.
    pub files: Vec<Entry>,
}

/// `Entry` is a file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `path` is below the data folder, with `/` between its parts.
    pub path: String,
    /// `bytes` is the length of the file.
    pub bytes: u64,
    /// `sha256` is the digest of the file's content, in lower-case hexadecimal.
    pub sha256: String,
}

/// Checks whether a path of an archive leads to a place below the data folder that a backup may hold.
///
/// # Errors
/// Why not.
pub(super) fn check_path(text: &str) -> Result<(), String> {
    let path = Path::new(text);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if text.is_empty() || !plain || text.contains('\\') || text.ends_with('/') || text.contains("//") {
        return Err(format!(
            "`{}` is not a plain path in the data folder",
            nexus_plugin_api::text::literal(text)
        ));
    }
    let first = text.split('/').next().unwrap_or_default();
    if left_out(first) && text != snapshot::NAME {
        return Err(format!(
            "`{}` is never part of a backup",
            nexus_plugin_api::text::literal(text)
        ));
    }
    Ok(())
}
