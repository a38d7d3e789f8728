//! `nexus.toml`: read, checked and resolved, with the place of everything that is wrong in it.
//!
//! Problem: what is half understood is dangerous here, because the file decides what plugins may do; and an operator wants all
//! mistakes at once, each with its line and what to write instead.
//!
//! Mechanism: three stages. What was written ([`authored`], each value with its place), what it means with every default
//! filled in ([`prepared`]), and what this machine makes of it ([`resolved`]: paths, secrets, plugins found). Each stage notes
//! every problem it finds, and the configuration is used only if none was noted: a file that is half understood changes
//! nothing. Only [`resolved::Config`] leaves this crate.
//!
//! ```
//! use nexus_config::{LoadedManifest, HostEnvironment, Overrides, PluginSource, load, resolved::Source};
//!
//! struct NoPlugins;
//! impl PluginSource for NoPlugins {
//!     fn manifest(&self, name: &str, _: &Source) -> Result<LoadedManifest, String> {
//!         Err(format!("there is no {name} here"))
//!     }
//!     fn builtins(&self) -> Vec<String> {
//!         Vec::new()
//!     }
//! }
//!
//! let machine = HostEnvironment { cwd: "/".into(), data_home: Some("/data".into()), env: &|_| None, plugins: &NoPlugins };
//! let report = load(None, &Overrides::default(), &machine).unwrap_err();
//! assert!(report.to_string().contains("there is no plugin `auth-local`"));
//! ```

#![warn(missing_docs)]

mod authored;
mod changed_component;
pub mod changes;
mod command;
mod component_info;
pub mod diagnostic;
pub mod grants;
mod host_environment;
mod load;
mod locations;
mod log_filter;
mod metrics;
mod notify;
pub mod ownership;
mod permission;
mod plugin_settings;
mod plugin_source;
mod plugins;
mod prepared;
mod refused_settings;
mod resolve;
pub mod resolved;
mod secret;
mod toml_reader;
pub mod toml_text;
mod units;
mod value_readers;
mod version;
mod workspaces;
mod written_url;

pub use changed_component::ChangedComponent;
pub use command::{command, shell_word, with_place};
pub use diagnostic::{Diagnostic, Report};
pub use grants::{MissingPermissions, Request, lines_granting, missing_permissions, requested_http};
pub use host_environment::{HostEnvironment, Overrides, data_dir};
pub use load::{again, load};
pub use locations::{APPLY, THEN_APPLY, adding, default_file, default_place, in_table, with_file};
pub use log_filter::log_targets;
pub use permission::Permission;
pub use plugin_source::{LoadedManifest, PluginSource};
pub use plugins::old_manifest_keys;
pub use prepared::AUTH_PLUGIN;
pub use refused_settings::refused;
pub use version::CONFIG_VERSION;

#[cfg(test)]
mod tests;
