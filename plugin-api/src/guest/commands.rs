//! The optional interface of a chat backend with commands.

#[doc(hidden)]
pub use super::bindings::commands as __world;
pub use super::bindings::commands::exports::nexus::plugin::commands::*;
