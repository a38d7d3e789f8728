//! The way into a configuration: from a file, from nothing, or once more from a text that was good.

use crate::diagnostic::{Diagnostic, Place, Report};
use crate::host_environment::{HostEnvironment, Overrides};
use crate::resolve::resolve;
use crate::resolved::Config;
use nexus_files::bounded;
use nexus_model::limits;
use std::path::Path;

/// `load` reads, checks and completes a configuration; without a file, it is the defaults.
///
/// # Errors
/// Every problem, each with its place.
pub fn load(file: Option<&Path>, overrides: &Overrides, machine: &HostEnvironment<'_>) -> Result<Config, Report> {
    let Some(file) = file else {
        return resolve("config_version = 1\n", None, overrides, machine);
    };
    let fail = |problem: String, fix: &str| {
        let d = Diagnostic::new(Place::At(0..0), "", problem).fix(fix);
        Report {
            of_machine: true,
            ..Report::new(Some(file.to_owned()), String::new(), vec![d])
        }
    };
    let bytes = bounded::read(file, limits::CONFIG_BYTES).map_err(|e| {
        fail(
            format!("cannot read the file: {e}"),
            "give a file that exists, or none to use the defaults",
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        fail(
            format!("the file is not UTF-8 from byte {} on", e.utf8_error().valid_up_to()),
            "save it as UTF-8",
        )
    })?;
    resolve(&text, Some(file), overrides, machine)
}

/// `again` is what the active configuration makes of this machine now: components and secrets that were not there may be.
///
/// # Errors
/// As [`load`].
pub fn again(config: &Config, overrides: &Overrides, machine: &HostEnvironment<'_>) -> Result<Config, Report> {
    resolve(&config.text, config.file.as_deref(), overrides, machine)
}
