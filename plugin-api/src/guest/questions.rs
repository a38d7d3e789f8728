//! The optional interface of a chat backend whose agent asks questions.

#[doc(hidden)]
pub use super::bindings::questions as __world;
pub use super::bindings::questions::exports::nexus::plugin::questions::*;
