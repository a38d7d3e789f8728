//! The contract between Nexus and its plugins.
//!
//! * `wit/` beside this crate is the contract itself; its comments say who may call what, when, and what
//!   an error means.
//! * A plugin in Rust enables one of the features `tunnel`, `chat` or `auth` and implements the trait in the module
//!   of that name; [`caps`] holds what it may call.
//! * [`json`] makes JSON that a program in JavaScript wrote readable.
//! * [`manifest`] reads `plugin.toml`, and [`text`] makes text from outside safe to show (feature `manifest`).
//! * [`renamed_keys`] reads keys that have a new name by their old one for one version (feature `manifest`).
//! * [`error_text`]: how an error text has its cause and its fix.
//! * [`paths`]: what a path says by itself.
//!
//! A plugin for a public address that already exists, and its manifest:
//!
#![cfg_attr(all(feature = "tunnel", feature = "manifest"), doc = "```")]
#![cfg_attr(not(all(feature = "tunnel", feature = "manifest")), doc = "```ignore")]
//! use nexus_plugin_api::tunnel::{
//!     Availability, CancelReason, Descriptor, Encryption, Event, Guest, Liveness, Origin, UrlKind, job,
//! };
//! use nexus_plugin_api::{FutureReader, job::Job, manifest::Manifest};
//!
//! struct Plugin;
//!
//! impl Guest for Plugin {
//!     async fn describe() -> Descriptor {
//!         Descriptor {
//!             title: "A fixed address".to_owned(),
//!             url: UrlKind::Stable,
//!             encryption: Encryption::Edge,
//!             liveness: Liveness::Unknown,
//!             event_streams: true,
//!             client_address_header: None,
//!             public_name_header: None,
//!             refused: vec![],
//!         }
//!     }
//!     async fn check_availability() -> Availability {
//!         Availability::ready("1.0.0")
//!     }
//!     async fn run(_: Origin, cancel: FutureReader<CancelReason>) -> Job<Event> {
//!         job(cancel, async |mut events, mut cancel| {
//!             let address = Event::address("https://chat.example.org");
//!             if events.send_all(vec![address, Event::Ready(1)]).await.is_ok() {
//!                 cancel.cancelled().await;
//!             }
//!             Ok(())
//!         })
//!     }
//! }
//!
//! nexus_plugin_api::export_tunnel!(Plugin);
//!
//! let manifest = Manifest::parse(r#"
//!     manifest = 1
//!     name = "tunnel-fixed"
//!     kind = "tunnel"
//!     version = "1.0.0"
//!     api = "0.2"
//!     description = "A public address that already exists"
//!     license = "MIT OR Apache-2.0"
//! "#)?;
//! assert_eq!(manifest.kind.interface(), "nexus:plugin/tunnel");
//! assert!(manifest.capabilities.process.is_empty(), "it asks for no permission");
//! # Ok::<(), nexus_plugin_api::manifest::ManifestError>(())
//! ```

#![warn(missing_docs)]

pub mod error_text;
#[cfg(any(feature = "tunnel", feature = "chat", feature = "auth"))]
mod guest;
#[cfg(any(feature = "tunnel", feature = "chat", feature = "auth"))]
pub use guest::*;
pub mod json;
#[cfg(feature = "manifest")]
pub mod manifest;
pub mod paths;
#[cfg(feature = "manifest")]
pub mod renamed_keys;
#[cfg(feature = "manifest")]
pub mod text;

/// `API_VERSION` is the version of the WIT package that this crate speaks.
pub const API_VERSION: &str = "0.2.0";

/// `MANIFEST_SECTION` is the component's custom section that holds `plugin.toml`.
pub const MANIFEST_SECTION: &str = "nexus-plugin-manifest";
