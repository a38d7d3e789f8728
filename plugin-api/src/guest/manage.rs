//! The optional interface of an auth provider that keeps credentials.

#[doc(hidden)]
pub use super::bindings::manage as __world;
pub use super::bindings::manage::exports::nexus::plugin::manage::*;
