//! The optional interface of a chat backend that can go on from an earlier message in another session.

#[doc(hidden)]
pub use super::bindings::fork as __world;
pub use super::bindings::fork::exports::nexus::plugin::fork::*;
