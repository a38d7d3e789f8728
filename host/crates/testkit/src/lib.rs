//! What the tests of the host's crates share: fakes of what is outside (plugins), small components to load, and
//! how to wait.
//!
//! It must not depend on a crate whose own unit tests use it.
#![warn(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod builtins;
pub mod components;
mod fake_auth;
pub mod fake_chat;

pub use builtins::{Builtins, config, read_config};
pub use fake_auth::{FakeAuth, auth_config};
pub use fake_chat::FakeChat;
pub use nexus_test_wait as wait;
