//! The optional interface of a chat backend that can summarize the earlier messages when the owner wants it.

#[doc(hidden)]
pub use super::bindings::compaction as __world;
pub use super::bindings::compaction::exports::nexus::plugin::compaction::*;
