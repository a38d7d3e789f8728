//! The optional interface of a chat backend whose model the owner can choose.

#[doc(hidden)]
pub use super::bindings::models as __world;
pub use super::bindings::models::exports::nexus::plugin::models::*;
