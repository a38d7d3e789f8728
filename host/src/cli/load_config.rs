//! The configuration that the options name, and what is said where it cannot be used.

use super::common_options::CommonOptions;
use super::terminal::complain;
use nexus_config::resolved::Config;
use nexus_config::{Machine, Overrides, PluginSource, Report, default_file, load};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Usage or configuration.
pub const EXIT_USAGE: u8 = 2;

/// Reads the configuration that `place` names.
///
/// # Errors
/// Every problem of the file, or that the current directory cannot be read.
pub fn load_config(
    place: &CommonOptions,
    listen: Option<SocketAddr>,
    plugins: &dyn PluginSource,
) -> Result<Config, LoadError> {
    let machine = Machine::this(plugins).map_err(LoadError::Machine)?;
    let file = place.config.clone().or_else(default_file);
    let overrides = Overrides {
        data_dir: place.data_dir.clone(),
        listen,
    };
    load(file.as_deref(), &overrides, &machine).map_err(LoadError::Config)
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the current directory cannot be read: {0}")]
    Machine(std::io::Error),
    #[error("{0}")]
    Config(Report),
}

impl LoadError {
    /// Writes itself to stderr.
    pub fn show(&self) -> ExitCode {
        complain(&self.to_string());
        match self {
            Self::Machine(_) => ExitCode::FAILURE,
            Self::Config(_) => ExitCode::from(EXIT_USAGE),
        }
    }
}
