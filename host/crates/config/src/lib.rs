//! Configuration in three stages: what was written (`authored`), what it means with every default filled in
//! (`prepared`), and what this machine makes of it (`resolved`: paths, secrets, plugins found). Only [`resolved`] is
//! passed inward.
//!
//! Each stage notes every problem it finds, and the configuration counts only if none was noted: a file that is half
//! understood changes nothing.

mod authored;
pub mod changes;
pub mod diagnostic;
pub mod file;
mod lacking;
pub mod others;
mod plugins;
mod prepared;
pub use prepared::AUTH_PLUGIN;
mod read;
mod refused;
mod resolve;
pub mod resolved;
mod secret;
mod units;
mod watch;

pub use authored::CONFIG_VERSION;
pub use diagnostic::{Diagnostic, Report};
pub use lacking::{Lacking, lacking};
pub use plugins::{Found, PluginSource, requested_http};
pub use refused::refused;
pub use units::{show_duration, show_size};

use nexus_model::limits;
use resolved::Config;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the command line says in place of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub data_dir: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
}

/// What the configuration depends on besides its file.
pub struct Machine<'a> {
    /// The current directory: absolute.
    pub cwd: PathBuf,
    /// `$XDG_DATA_HOME`, or what stands for it.
    pub data_home: Option<PathBuf>,
    /// One variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub plugins: &'a dyn PluginSource,
}

impl<'a> Machine<'a> {
    /// This one.
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

/// A base directory: the variable where it is absolute, else its place below the home directory.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p: &PathBuf| p.is_absolute())
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))
}

/// Where the data lies: as named, or in the user's data folder. No file says it.
///
/// # Errors
/// A sentence for the operator: there is no such place.
pub fn data_dir(overrides: &Overrides, machine: &Machine<'_>) -> Result<PathBuf, String> {
    resolve::data_dir(overrides, machine).ok_or_else(|| NO_DATA_DIR.to_owned() + ": say one: --data-dir DIR")
}

/// What a configuration that counts already makes of this machine now: components and secrets that were not there may be.
///
/// # Errors
/// As [`load`].
pub fn again(config: &Config, overrides: &Overrides, machine: &Machine<'_>) -> Result<Config, Report> {
    resolve::resolve(&config.text, config.file.as_deref(), overrides, machine)
}

const NO_DATA_DIR: &str = "there is no place for the data: HOME is not set";

/// Where the configuration lies when none is named: `nexus/nexus.toml` in the user's configuration home.
pub fn default_place() -> Option<PathBuf> {
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("nexus/nexus.toml"))
}

/// A text that gives lines to paste says into which file, and how that begins where there is none yet.
pub fn with_file(text: &str, file: Option<&Path>) -> String {
    // Each message that does begins with the table.
    let pastes = ["[plugin.", "[tunnel.", "[chat.", "[web]", "[auth]", "[log]", "[notify]"];
    let Some(file) = file.map(Path::to_owned).or_else(default_place) else {
        return text.to_owned();
    };
    if !pastes.iter().any(|table| text.contains(table)) || text.contains(&*file.to_string_lossy()) {
        return text.to_owned();
    }
    let first = if file.exists() {
        String::new()
    } else {
        format!(", which is not there yet: its first line is config-version = {CONFIG_VERSION}")
    };
    format!("{}\nThese lines belong into {}{first}", text.trim_end(), file.display())
}

/// The file that counts when none is named, if it exists.
///
/// Never one in the current directory: that is the workspace, where the agent writes, and a file of its making could
/// grant a plugin anything at the next start.
pub fn default_file() -> Option<PathBuf> {
    default_place().filter(|p| p.exists())
}

/// Reads, checks and completes a configuration. Without a file: the defaults.
///
/// # Errors
/// Every problem, each with its place.
pub fn load(file: Option<&Path>, overrides: &Overrides, machine: &Machine<'_>) -> Result<Config, Report> {
    let Some(file) = file else {
        return resolve::resolve("config-version = 1\n", None, overrides, machine);
    };
    let fail = |problem: String, fix: &str| {
        let d = Diagnostic::new(diagnostic::Place::At(0..0), "", problem).fix(fix);
        Report::new(Some(file.to_owned()), String::new(), vec![d])
    };
    let bytes = self::file::read(file, limits::CONFIG_BYTES).map_err(|e| {
        fail(
            format!("the file cannot be read: {e}"),
            "name a file that exists, or none for the defaults",
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        fail(
            format!("the file is not UTF-8, from byte {} on", e.utf8_error().valid_up_to()),
            "save it as UTF-8",
        )
    })?;
    resolve::resolve(&text, Some(file), overrides, machine)
}

#[cfg(test)]
mod tests;
