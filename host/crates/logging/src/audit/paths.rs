//! Where the audit lies, and which events are its.

use std::path::{Path, PathBuf};

/// `TARGET` is the `tracing` target of the events that are the audit's.
pub const TARGET: &str = "audit";

/// `paths` are the files of a data folder: the owner's, the strangers'.
pub fn paths(data_dir: &Path) -> [PathBuf; 2] {
    ["audit.log", "audit-strangers.log"].map(|name| data_dir.join("logs").join(name))
}
