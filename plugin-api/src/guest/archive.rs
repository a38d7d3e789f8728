//! The optional interface of a chat backend that keeps whether a session is archived.

#[doc(hidden)]
pub use super::bindings::archive as __world;
pub use super::bindings::archive::exports::nexus::plugin::archive::*;
