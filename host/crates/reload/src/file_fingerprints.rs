//! Whether a file, or what was read of it, is still the same.

use nexus_model::digest::{hex, sha256};
use std::path::Path;
use std::time::SystemTime;

/// `Fingerprint` is what changes when a file is written or replaced; `None`: the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Option<(SystemTime, u64, [i64; 4])>);

impl Fingerprint {
    /// Asks the disk.
    pub(super) fn of(file: &Path) -> Self {
        let seen = || {
            let meta = std::fs::metadata(file).ok()?;
            #[cfg(unix)]
            let more = {
                use std::os::unix::fs::MetadataExt as _;
                // The time of the last change of anything, which nobody can set.
                let number = |number: u64| i64::from_ne_bytes(number.to_ne_bytes());
                [number(meta.dev()), number(meta.ino()), meta.ctime(), meta.ctime_nsec()]
            };
            #[cfg(not(unix))]
            let more = [0; 4];
            Some((meta.modified().ok()?, meta.len(), more))
        };
        Self(seen())
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

/// `Seen` is what was read, by its stamps, and what was seen since.
pub(super) struct Seen {
    pub(super) read: Vec<Fingerprint>,
    pub(super) since: Option<Vec<Fingerprint>>,
    pub(super) restless: u32,
}

/// `id` is short, and another one for other texts.
pub(super) fn id<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    let mut id = hex(&sha256(&[&text]));
    id.truncate(32);
    id
}
