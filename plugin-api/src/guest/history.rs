//! The optional interface of a chat backend that keeps what was said.

#[doc(hidden)]
pub use super::bindings::history as __world;
pub use super::bindings::history::exports::nexus::plugin::history::*;
