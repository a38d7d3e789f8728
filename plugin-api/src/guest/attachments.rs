//! The optional interface of a chat backend that takes files with a prompt.

#[doc(hidden)]
pub use super::bindings::attachments as __world;
pub use super::bindings::attachments::exports::nexus::plugin::attachments::*;
