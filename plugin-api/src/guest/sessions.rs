//! The optional interface of a chat backend that holds several sessions.

#[doc(hidden)]
pub use super::bindings::sessions as __world;
pub use super::bindings::sessions::exports::nexus::plugin::sessions::*;
