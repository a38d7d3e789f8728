//! The plugins of this host: which there are ([`Catalog`]), what each of them does ([`PluginStatuses`]), which one took the
//! place of the configured one ([`PluginOverrides`]), and how far they are loaded ([`LoadProgress`]). A plugin that serves from
//! the start is [`Late`]: nothing waits for it.
//!
//! Chat and tunnels load plugins through [`Plugins`] and enter here what serves; the page shows it. What runs a plugin is
//! behind [`PluginLoader`](nexus_plugin_traits::PluginLoader), so nothing here needs WebAssembly.

mod catalog;
mod late;
mod load_progress;
mod overrides;
mod plugins;
mod statuses;

pub use catalog::{Again, Catalog, NotFit, UnknownPlugin};
pub use late::{Late, Load};
pub use load_progress::LoadProgress;
pub use overrides::{NotKept, PluginOverrides, chat_place, tunnel_place};
pub use plugins::Plugins;
pub use statuses::{PluginStatuses, Registered, Ticket, counted};
