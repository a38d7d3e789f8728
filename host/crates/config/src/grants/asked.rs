//! What one plugin asks for and what its operator wrote for it: of these two its grants are made.

use crate::authored::AuthoredPlugin;
use crate::diagnostic::{Diagnostic, Place};
use crate::toml_reader::Located;
use nexus_plugin_api::manifest::{ConfigKey, Manifest};

/// `Asked` is a plugin before its grants are settled.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) table: &'a AuthoredPlugin,
    pub(crate) manifest: &'a Manifest,
    /// Where the file names it.
    pub(crate) place: Place,
    pub(crate) builtin: bool,
}

impl Asked<'_> {
    /// Says that a required key has no value.
    pub(crate) fn required(&self, key: &str, spec: &ConfigKey, fix: String) -> Diagnostic {
        Diagnostic::new(
            self.place.clone(),
            format!("plugin.{}.{key}", self.name),
            format!("the plugin `{}` cannot run without `{key}`", self.name),
        )
        .found("nothing")
        .expected(format!("{}: {}", spec.kind, spec.description))
        .fix(fix)
    }

    /// Says that the manifest does not request what is granted at this place.
    pub(crate) fn not_asked<'n, T>(
        &self,
        at: &Located<T>,
        what: &str,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Diagnostic {
        let list = names.clone().collect::<Vec<_>>().join(", ");
        at.problem(format!("the plugin `{}` does not request `{what}`", self.name))
            .expected(if list.is_empty() {
                "no such grants".to_owned()
            } else {
                format!("one of {list}")
            })
            .nearest(what, names)
            .fix("delete it, or use what the manifest requests (`nexus plugin info` shows it)")
    }
}
