//! The configuration that the options name, and what is said where it cannot be used.

use super::common_options::CommonOptions;
use super::terminal::{print_error, print_failure};
use nexus_config::resolved::Config;
use nexus_config::{HostEnvironment, Overrides, PluginSource, Report, default_file, load};
use std::net::SocketAddr;
use std::process::ExitCode;

/// `EXIT_USAGE` is the exit code for a mistake in the command line or the configuration.
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
    let machine = HostEnvironment::this(plugins).map_err(LoadError::HostEnvironment)?;
    let file = place.config.clone().or_else(default_file);
    let overrides = Overrides {
        data_dir: place.data_dir.clone(),
        listen,
    };
    load(file.as_deref(), &overrides, &machine).map_err(LoadError::Config)
}

/// `LoadError` says why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `HostEnvironment`: the current directory is gone, or may not be read.
    #[error("the current directory cannot be read: {0}. To fix: change to a folder that exists")]
    HostEnvironment(std::io::Error),
    /// `Config`: the file, or what it names, has these problems.
    #[error("{0}")]
    Config(Report),
}

impl LoadError {
    /// Writes the error to stderr, and returns the exit code that goes with it.
    pub fn show(&self) -> ExitCode {
        match self {
            Self::HostEnvironment(_) => print_failure(&self.to_string()),
            Self::Config(_) => print_error(self.to_string().trim_end()),
        }
        match self {
            Self::HostEnvironment(_) => ExitCode::FAILURE,
            Self::Config(_) => ExitCode::from(EXIT_USAGE),
        }
    }
}
