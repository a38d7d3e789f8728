//! The plugins of this host: which there are ([`Catalog`]), what each of them does ([`PluginStatuses`]), which one took the
//! place of the configured one ([`PluginOverrides`]), and how far they are loaded ([`LoadProgress`]). A plugin that serves from
//! the start is [`LazyPlugin`]: nothing waits for it.
//!
//! Chat and tunnels load plugins through [`Plugins`] and enter here what serves; the page shows it. What runs a plugin is
//! behind [`PluginLoader`](nexus_plugin_traits::PluginLoader), so nothing here needs WebAssembly.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! # let store = nexus_store::Store::in_memory().unwrap();
//! use nexus_model::plugin::Kind;
//! use nexus_registry::{Catalog, PluginOverrides, tunnel_place};
//!
//! let config = nexus_testkit::config(folder.path(), "[tunnel.main]\nplugin = \"tunnel-ssh\"\n");
//! let (catalog, overrides) = (Catalog::new(&config), PluginOverrides::new(store, &config));
//! let main = tunnel_place("main");
//! assert_eq!(overrides.plugin(&main, Kind::Tunnel, &catalog).await, "tunnel-ssh");
//! // A swap is kept beside the file, and only for a plugin that can be loaded.
//! overrides.keep(&main, "tunnel-bore").await?;
//! assert_eq!(overrides.plugin(&main, Kind::Tunnel, &catalog).await, "tunnel-bore");
//! let refused = catalog.check("chat-echo", Kind::Tunnel).unwrap_err();
//! assert!(refused.to_string().starts_with("chat-echo is a chat plugin, not a tunnel plugin"));
//! # Ok::<_, nexus_registry::NotKept>(())
//! # }).unwrap();
//! ```

#![warn(missing_docs)]

mod catalog;
mod lazy_plugin;
mod load_progress;
mod overrides;
mod plugins;
mod statuses;

pub use catalog::{Catalog, CatalogError, RESTART, RereadConfig, UnknownPlugin, or_else, then};
pub use lazy_plugin::{LazyPlugin, Load};
pub use load_progress::LoadProgress;
pub use overrides::{NotKept, PluginOverrides, chat_place, tunnel_place};
pub use plugins::Plugins;
pub use statuses::{PluginStatuses, Registered, RegistrationId, counted};
