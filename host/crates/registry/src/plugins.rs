//! All that a service needs to let another plugin serve.

use crate::{Catalog, LoadProgress, PluginOverrides, PluginStatuses};
use nexus_plugin_traits::PluginLoader;
use std::sync::Arc;

/// `Plugins` is one for the whole host, and cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    /// `catalog` has the plugins that can be loaded.
    pub catalog: Arc<Catalog>,
    /// `statuses` has those that serve.
    pub statuses: Arc<PluginStatuses>,
    /// `overrides` says which of them serve instead of the configured ones.
    pub overrides: Arc<PluginOverrides>,
    /// `progress` says how far loading is.
    pub progress: Arc<LoadProgress>,
    /// `loader` makes an instance of a plugin of the catalog.
    pub loader: Arc<dyn PluginLoader>,
}
