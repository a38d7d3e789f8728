//! One file that holds what of the data folder cannot be made again, and its way back.
//!
//! A gzipped tar: `manifest.json` first, then the files that it lists with their digests. In it is everything of the data
//! folder but what `format.rs` names. The database goes in as a snapshot of one moment, without logins.

mod format;
mod hashing_reader;
mod read;
mod staging;
mod write;

pub use format::{Entry, Manifest};
pub use read::{Restored, restore};
pub use write::{Written, write};

#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
