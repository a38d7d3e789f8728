//! The contract between Nexus and its plugins.
//!
//! * `wit/` beside this crate is the contract itself; its comments say who may call what, when, and what
//!   an error means.
//! * A plugin in Rust enables one of the features `tunnel`, `chat` or `auth` and implements the trait in the module
//!   of that name; [`caps`] holds what it may call.
//! * [`json`] makes JSON that a program in JavaScript wrote readable.
//! * [`manifest`] reads `plugin.toml`, and [`text`] makes text from outside safe to show (feature `manifest`).
//! * [`chat_ext`] names what a chat backend may add to the contract's records.
//! * [`renamed_keys`] reads keys that have a new name by their old one for one version (feature `manifest`).
//! * [`process_ext`] names what a plugin may add to a process's specification.
//! * [`refused`]: how a plugin says that it cannot use its settings.

pub mod chat_ext;
#[cfg(any(feature = "tunnel", feature = "chat", feature = "auth"))]
mod guest;
#[cfg(any(feature = "tunnel", feature = "chat", feature = "auth"))]
pub use guest::*;
pub mod json;
#[cfg(feature = "manifest")]
pub mod manifest;
pub mod process_ext;
pub mod refused;
#[cfg(feature = "manifest")]
pub mod renamed_keys;
#[cfg(feature = "manifest")]
pub mod text;

/// The version of the WIT package that this crate speaks.
pub const API_VERSION: &str = "0.1.0";

/// The component's custom section that holds `plugin.toml`.
pub const MANIFEST_SECTION: &str = "nexus-plugin-manifest";
