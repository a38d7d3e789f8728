//! The version of the file's format.

/// `CONFIG_VERSION` is the version that this program reads.
pub const CONFIG_VERSION: i64 = 1;
