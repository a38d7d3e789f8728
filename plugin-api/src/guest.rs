//! The guest side: what a plugin in Rust implements and calls.
//!
//! Each interface of the contract is generated once and shared. The optional interfaces are generated from worlds of
//! their own (`optional-…`) rather than from the `…-full` worlds: so `chat::Guest` is one trait, whether or not a plugin
//! also exports `sessions`, and all features compile together. The section that describes a component's
//! exports is emitted by the `export_…!` macros only; a guest exports what it asked for and nothing else.
//!
//! ```text
//! struct Plugin;
//! impl nexus_plugin_api::chat::Guest for Plugin { … }
//! impl nexus_plugin_api::sessions::Guest for Plugin { … }
//! nexus_plugin_api::export_chat!(Plugin with sessions);
//! ```

#[cfg(feature = "chat")]
pub mod agents;
#[cfg(feature = "chat")]
pub mod archive;
#[cfg(feature = "chat")]
pub mod attachments;
#[cfg(feature = "auth")]
pub mod auth;
mod availability;
pub mod awake_clock;
mod bindings;
pub mod caps;
mod channel;
#[cfg(feature = "chat")]
pub mod chat;
#[cfg(feature = "chat")]
pub mod commands;
#[cfg(feature = "chat")]
pub mod compaction;
mod config;
mod error;
mod export;
#[cfg(feature = "chat")]
pub mod files;
#[cfg(feature = "chat")]
pub mod fork;
#[cfg(feature = "chat")]
pub mod history;
pub mod http;
pub mod job;
pub mod log;
#[cfg(feature = "auth")]
pub mod manage;
#[cfg(feature = "chat")]
pub mod models;
pub mod process;
#[cfg(feature = "chat")]
pub mod providers;
#[cfg(feature = "chat")]
pub mod questions;
mod refused_settings;
#[cfg(feature = "chat")]
pub mod revert;
#[cfg(feature = "chat")]
pub mod sessions;
pub mod sse;
#[cfg(feature = "tunnel")]
pub mod tunnel;
pub mod version;
#[cfg(feature = "chat")]
pub mod workspaces;

pub use config::config;
pub use refused_settings::refuse_settings;
pub use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};
