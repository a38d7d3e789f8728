//! The optional interface of a chat backend through which the owner signs in to the providers of models.

#[doc(hidden)]
pub use super::bindings::providers as __world;
pub use super::bindings::providers::exports::nexus::plugin::providers::*;
