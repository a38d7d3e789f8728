//! The rest of the host, as a change of the configuration needs it.

use crate::active_plugins::ActivePlugins;
use futures::future::BoxFuture;
use nexus_config::resolved::{Config, Plugin, Tunnel};
use std::collections::BTreeMap;

/// What the rest of the host does for it. `Err`: a sentence for the operator.
///
/// A trait, because most of it is outside of every room: the command line reads the file as it did at the start, the program
/// has the components that are built in, and the log has one filter for the process. What else is here is an order to a
/// service; the tests see which orders come, in which order, and let them fail.
pub trait Host: Send + Sync + 'static {
    /// Reads and checks the file. Blocks.
    fn read(&self) -> Result<Config, String>;
    /// Whether the component of this plugin would load, without running it. Blocks. `Err`: why not.
    fn would_load(&self, plugin: &Plugin) -> Result<(), String>;
    /// The file says this from now on, whether or not it is applied.
    fn file_says(&self, config: &Config);
    fn serving(&self) -> ActivePlugins;
    fn log_filter(&self, filter: &str) -> Result<(), String>;
    /// What is loaded from now on.
    fn plugins(&self, plugins: BTreeMap<String, Plugin>);
    /// Opens a tunnel again as it is described; one that is not there is made.
    fn tunnel(&self, tunnel: Tunnel) -> BoxFuture<'_, Result<(), String>>;
    fn remove_tunnel<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// Lets a plugin, reloaded, be the chat backend.
    fn chat(&self, plugin: String) -> BoxFuture<'_, Result<(), String>>;
}
