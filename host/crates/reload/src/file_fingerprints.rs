//! Whether a file is still the one that was read.

use std::path::Path;
use std::time::SystemTime;

/// What changes when a file is written or replaced; none where it is not there.
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

/// What was read, by its fingerprints, and what was seen since.
pub(super) struct Seen {
    pub(super) read: Vec<Fingerprint>,
    pub(super) since: Option<Vec<Fingerprint>>,
    pub(super) restless: u32,
}
