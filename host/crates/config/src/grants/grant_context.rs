//! The plugin whose grants are settled: what it asks for, and where it will run.

use crate::diagnostic::{Diagnostic, Place};
use crate::toml_reader::Located;
use nexus_plugin_api::manifest::{ConfigKey, Manifest};
use std::path::PathBuf;

/// `GrantContext` is a plugin before its grants are settled.
pub(crate) struct GrantContext<'a> {
    pub(crate) name: &'a str,
    pub(crate) manifest: &'a Manifest,
    /// Where the file names it.
    pub(crate) place: Place,
    pub(crate) builtin: bool,
    /// `settings` are `[plugin.NAME.config]`, checked.
    pub(crate) settings: serde_json::Map<String, serde_json::Value>,
    /// `cwd` is where its programs are run.
    pub(crate) cwd: Option<PathBuf>,
    /// `absolute` resolves a path that is relative to the file.
    pub(crate) absolute: &'a dyn Fn(&str) -> PathBuf,
    /// `env` reads a variable of the environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
}

impl GrantContext<'_> {
    /// Says that a required key has no value.
    pub(crate) fn required(&self, key: &str, spec: &ConfigKey, fix: String) -> Diagnostic {
        Diagnostic::new(
            self.place.clone(),
            format!("plugin.{}.{key}", self.name),
            format!("the plugin `{}` cannot run without `{key}`", self.name),
        )
        .found("nothing")
        .expected(described(spec))
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
                format!(
                    "no entry here, because {} requests no permission of this kind",
                    self.name
                )
            } else {
                format!("one of {list}")
            })
            .nearest(what, names)
            .fix(format!(
                "delete it; `nexus plugin info {}` shows what the plugin requests",
                self.name
            ))
    }
}

/// `described` is what a key holds: `an integer (the port of the ssh server; 0 means 22)`
pub(crate) fn described(key: &ConfigKey) -> String {
    let description = key.description.trim_end_matches('.');
    // A description is a sentence; here it stands within one, where only a name keeps its capital.
    let mut letters = description.chars();
    let first = letters
        .next()
        .filter(|_| letters.next().is_some_and(char::is_lowercase));
    let description = match first {
        Some(first) => format!(
            "{}{}",
            first.to_lowercase(),
            description.get(first.len_utf8()..).unwrap_or_default()
        ),
        None => description.to_owned(),
    };
    format!("{} ({description})", key.kind)
}
