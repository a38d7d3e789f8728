//! What a change of the configuration needs from outside of every room.

use nexus_config::resolved::{Config, Plugin};

/// `Refused` is a sentence for the operator: why something outside did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// `ReloadHost` is what is outside of every room: the command line reads the file as it did at the start, the program has the components that
/// are built in and what compiles them, and the log has one filter for the process.
pub trait ReloadHost: Send + Sync + 'static {
    /// Reads and checks the file. Blocks.
    fn read(&self) -> Result<Config, Refused>;
    /// Checks that the component of this plugin would load, without running it. Blocks.
    fn would_load(&self, plugin: &Plugin) -> Result<(), Refused>;
    /// Gives the log another filter.
    fn log_filter(&self, filter: &str) -> Result<(), Refused>;
}
