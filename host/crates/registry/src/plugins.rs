//! All that a service needs to let another plugin serve.

use crate::{Catalog, LoadProgress, PluginOverrides, PluginStatuses};
use nexus_plugin_traits::PluginLoader;
use std::sync::Arc;

/// One for the whole host; cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    /// The plugins that can be loaded.
    pub catalog: Arc<Catalog>,
    /// Those that serve.
    pub statuses: Arc<PluginStatuses>,
    /// Which of them serve instead of the configured ones.
    pub overrides: Arc<PluginOverrides>,
    /// How far loading is.
    pub progress: Arc<LoadProgress>,
    pub loader: Arc<dyn PluginLoader>,
}
