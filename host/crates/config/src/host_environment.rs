//! What a configuration depends on besides its file: the command line, the environment, the plugins there are.

use crate::locations::{absolute, xdg};
use crate::plugin_source::PluginSource;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) const NO_DATA_DIR: &str = "there is no default data folder, because HOME is not set";

/// `Overrides` are what the command line says in place of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `data_dir` is `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `listen` is `--listen`.
    pub listen: Option<SocketAddr>,
}

/// `HostEnvironment` is what the configuration depends on besides its file.
pub struct HostEnvironment<'a> {
    /// `cwd` is the current directory: absolute.
    pub cwd: PathBuf,
    /// `data_home` is `$XDG_DATA_HOME`, or what is used for it; `None`: there is neither, nor a home directory.
    pub data_home: Option<PathBuf>,
    /// `env` gives the value of one variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// `plugins` is where the plugins' manifests come from.
    pub plugins: &'a dyn PluginSource,
}

impl<'a> HostEnvironment<'a> {
    /// `this` is the machine that this process runs on.
    ///
    /// # Errors
    /// The current directory is gone or may not be read.
    pub fn this(plugins: &'a dyn PluginSource) -> std::io::Result<Self> {
        Ok(Self {
            cwd: std::env::current_dir()?,
            data_home: xdg("XDG_DATA_HOME", ".local/share"),
            env: &|name| std::env::var(name).ok(),
            plugins,
        })
    }
}

/// `data_dir` is where the data lies: as the command line says, or in the user's data folder. No file says it.
///
/// # Errors
/// A sentence for the operator: there is no such place.
pub fn data_dir(overrides: &Overrides, machine: &HostEnvironment<'_>) -> Result<PathBuf, String> {
    place_for_data(overrides, machine).ok_or_else(|| NO_DATA_DIR.to_owned() + "; give one with --data-dir DIR")
}

pub(crate) fn place_for_data(overrides: &Overrides, machine: &HostEnvironment<'_>) -> Option<PathBuf> {
    match (&overrides.data_dir, &machine.data_home) {
        (Some(named), _) => Some(absolute(&machine.cwd, named)),
        (None, home) => Some(home.as_ref()?.join("nexus")),
    }
}
