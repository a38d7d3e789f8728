//! What an auth provider implements: [`Guest`], exported with [`export_auth!`](crate::export_auth).

#[doc(hidden)]
pub use super::bindings::auth as __world;
pub use super::bindings::auth::exports::nexus::plugin::auth::*;
pub use super::bindings::auth::nexus::plugin::auth_types as types;
pub use super::caps::types::{Error, Ext};
