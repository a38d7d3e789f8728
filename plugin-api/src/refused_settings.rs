//! Settings that a plugin cannot use.
//!
//! Problem: the host checks settings against the manifest, which knows types and choices. Only the plugin knows which
//! settings exclude each other, or what a host name is; and if it reports that when it uses them, a check of the file
//! does not show it.
//!
//! Mechanism: [`REFUSED_SETTINGS`] in the `ext` of what `describe` returns (chat, tunnel): JSON, a list of
//! [`RefusedSetting`]. The host does not use such a plugin: it has failed, for these reasons, until its settings change.
//! `nexus config check` and `nexus doctor` report each with the line of the file where the key stands.
//!
//! Limits: only settings and secrets, no file, program or network: `describe` is called at each start. An auth plugin
//! reports at `begin` what keeps it from working.

use serde::{Deserialize, Serialize};

/// `REFUSED_SETTINGS` is the name in `ext`.
pub const REFUSED_SETTINGS: &str = "nexus.refused-settings";

/// `RefusedSetting` is one setting that cannot be used, or several that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSetting {
    /// `key` is one of the manifest's `[config]`, including secrets, if only one key is wrong.
    #[serde(default)]
    pub key: Option<String>,
    /// `why` is what was found, and what is wrong with it: a sentence.
    pub why: String,
    /// `hint` is what to write instead.
    #[serde(default)]
    pub hint: Option<String>,
}
