//! The optional interface of a chat backend that shows the files of a workspace.

#[doc(hidden)]
pub use super::bindings::files as __world;
pub use super::bindings::files::exports::nexus::plugin::files::*;
