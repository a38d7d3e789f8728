//! The optional interface of a chat backend that can take messages back.

#[doc(hidden)]
pub use super::bindings::revert as __world;
pub use super::bindings::revert::exports::nexus::plugin::revert::*;
