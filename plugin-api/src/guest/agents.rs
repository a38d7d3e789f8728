//! The optional interface of a chat backend with several agents, or modes.

#[doc(hidden)]
pub use super::bindings::agents as __world;
pub use super::bindings::agents::exports::nexus::plugin::agents::*;
