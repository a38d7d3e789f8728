//! The one gate: every capability asks here, and nowhere else is decided what a plugin may do.
//!
//! It knows the plugin's manifest, its grants and its limits, all fixed for the life of a loaded plugin, and does no I/O
//! but looking for a binary and a directory. What a capability decides is in its own folder (`permission.rs`), as methods
//! of this one type; here is what all of them share: how a refusal is said and counted. A refusal says which TOML would
//! allow it, ready to be pasted, and offers none for what the manifest does not ask for: the configuration would refuse it.

use super::find_binary;
use crate::bindings::caps::types::Error;
use crate::plugin_stats::Counters;
use nexus_config::resolved::{Grants, Limits, Plugin, Source};
use nexus_config::{Permission, adding, lines_granting};
use nexus_model::limits;
use nexus_model::trouble::sentence;
use nexus_model::units::{exact_duration, exact_size};
use nexus_plugin_api::manifest::Manifest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `Denial` is a sentence for the operator, with what to write where it can be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial(pub String);

impl From<Denial> for Error {
    fn from(d: Denial) -> Self {
        Self::Denied(d.0)
    }
}

/// `LimitReached` is a sentence for the operator: which limit is used up, and what to write where it can be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitReached(pub String);

impl From<LimitReached> for Error {
    fn from(limit: LimitReached) -> Self {
        Self::Limited(limit.0)
    }
}

/// `Gate` is what one plugin may do; see the module.
pub(crate) struct Gate {
    plugin: Plugin,
    manifest: Manifest,
    data_dir: PathBuf,
    counters: Arc<Counters>,
}

impl Gate {
    /// Takes the `manifest` of the component that is run. The host itself installs programs in `data_dir`.
    pub(crate) fn new(plugin: &Plugin, manifest: &Manifest, data_dir: &Path) -> Self {
        Self {
            plugin: plugin.clone(),
            manifest: manifest.clone(),
            data_dir: data_dir.to_path_buf(),
            counters: Arc::default(),
        }
    }

    /// Counts in `counters` what it refuses from now on.
    #[must_use]
    pub(crate) fn counting(self, counters: Arc<Counters>) -> Self {
        Self { counters, ..self }
    }

    /// `plugin` is the name of the plugin, as its operator calls it.
    pub(crate) fn plugin(&self) -> &str {
        &self.plugin.name
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.plugin.grants
    }

    /// What it asks for and does not have.
    pub(crate) fn missing(&self) -> &[Permission] {
        &self.plugin.missing
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.plugin.limits
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn config(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.plugin.config
    }

    pub(super) fn is_builtin(&self) -> bool {
        self.plugin.source == Source::Builtin
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Refuses one more call or stream that waits in the host.
    pub(crate) fn too_many_streams(&self) -> LimitReached {
        self.limit(
            "waits for",
            "streams",
            self.limits().streams,
            limits::PLUGIN_STREAMS_MOST,
        )
    }

    /// `too_many_own` is for what the plugin does by itself, where no call can be refused: it is the cause of its
    /// crash. `most` follows from the limit of streams.
    pub(crate) fn too_many_own(&self, what: &str, most: usize) -> LimitReached {
        let more = self.more("streams", self.limits().streams, limits::PLUGIN_STREAMS_MOST);
        let name = self.plugin();
        let cause = format!("The plugin {name} {what} at once: more than {most}, its limit.");
        self.used_up(sentence(&cause, more.as_deref()))
    }

    /// `more_memory` is the fix where its memory is not enough.
    pub(crate) fn more_memory(&self) -> String {
        let more = exact_size(self.limits().memory.saturating_mul(2));
        self.raised("memory", &format!("\"{more}\""))
    }

    /// `more_cpu` is the fix where a turn of it takes too long.
    pub(crate) fn more_cpu(&self) -> String {
        let more = exact_duration(self.limits().cpu.saturating_mul(2));
        self.raised("cpu", &format!("\"{more}\""))
    }

    /// `more_time` is the fix where its answers take too long.
    pub(crate) fn more_time(&self) -> String {
        let more = exact_duration(self.limits().call.saturating_mul(2));
        self.raised("call", &format!("\"{more}\""))
    }

    /// Refuses what is more than a limit. `what` is its key in the configuration, and `ceiling` what no configuration
    /// exceeds.
    pub(super) fn limit(&self, verb: &str, what: &str, most: u32, ceiling: u32) -> LimitReached {
        let name = self.plugin();
        let more = self.more(what, most, ceiling);
        let limit = if more.is_some() { "its limit" } else { "the fixed limit" };
        let cause = format!("The plugin {name} {verb} {most} {what} at once, {limit}.");
        self.used_up(sentence(&cause, more.as_deref()))
    }

    /// `more` is the fix that doubles a limit; `None` where nothing can.
    fn more(&self, what: &str, most: u32, ceiling: u32) -> Option<String> {
        let more = most.saturating_mul(2).clamp(1, ceiling);
        (most < ceiling).then(|| self.raised(what, &more.to_string()))
    }

    /// `raised` is the fix that sets a limit of this plugin; `value` is written as TOML has it.
    pub(super) fn raised(&self, limit: &str, value: &str) -> String {
        adding(&format!("[plugin.{}.limits]\n{limit} = {value}", self.plugin()))
    }

    /// The lines that would grant a permission, as the check of the configuration writes them too.
    pub(super) fn lines(&self, permission: &Permission) -> String {
        let find = |binary: &str| find_binary(self.plugin(), binary, None, &self.data_dir).ok();
        lines_granting(permission, &self.plugin, &self.manifest, &find)
            .trim_end()
            .to_owned()
    }

    /// Refuses a permission, with the lines that would grant it where the manifest asks for it.
    pub(super) fn deny(&self, permission: &Permission, requested: bool) -> Denial {
        self.deny_words(
            &format!("has no permission to {permission}"),
            requested.then(|| self.lines(permission)),
        )
    }

    /// Does the same in other words, which follow the plugin's name. `toml` is what would allow it; `None` where nothing
    /// would.
    pub(super) fn deny_words(&self, what: &str, toml: Option<String>) -> Denial {
        self.counters.denied();
        self.explain(what, toml)
    }

    /// Does as [`Self::deny_words`], and does not count it as a denial.
    pub(super) fn explain(&self, what: &str, toml: Option<String>) -> Denial {
        let plugin = self.plugin();
        Denial(match toml {
            Some(toml) => sentence(&format!("The plugin {plugin} {what}"), Some(&adding(&toml))),
            None => format!(
                "The plugin {plugin} {what}. Its manifest does not request this permission, so it cannot \
                 be granted."
            ),
        })
    }

    /// Refuses what is more than a limit, in a sentence of its own.
    pub(super) fn used_up(&self, cause: String) -> LimitReached {
        self.counters.denied();
        LimitReached(cause)
    }

    /// Refuses in a sentence of its own.
    pub(super) fn refuse(&self, cause: String) -> Denial {
        self.counters.denied();
        Denial(cause)
    }
}
