//! The optional interface of a chat backend that works in several project folders.

#[doc(hidden)]
pub use super::bindings::workspaces as __world;
pub use super::bindings::workspaces::exports::nexus::plugin::workspaces::*;
