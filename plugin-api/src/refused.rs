//! What a plugin says of settings that it refuses.
//!
//! Problem: the host checks settings against the manifest, which knows types and choices. What goes together, or what is a
//! host name, only the plugin knows; and one that says so when it is used says it too late for whoever checks a file.
//!
//! Mechanism: [`REFUSED`] in the `ext` of what `describe` returns (chat, tunnel): JSON, a list of [`Refused`]. The host does
//! not use such a plugin: it has failed, with these words, until its settings are other ones. `nexus config check` and
//! `nexus doctor` say each with the line of the file where the key stands.
//!
//! Limits: the settings and secrets alone, no file, program or network: `describe` is called at each start. An auth plugin
//! says at `begin` what keeps it from working.

use serde::{Deserialize, Serialize};

/// `REFUSED` is the name in `ext`.
pub const REFUSED: &str = "nexus.refused-settings";

/// `Refused` is one thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// `key` is one of the manifest's `[config]`, secrets among them, where it is one key's fault.
    #[serde(default)]
    pub key: Option<String>,
    /// `why` is what was found, and what is wrong with it: a sentence.
    pub why: String,
    /// `hint` is what to write instead.
    #[serde(default)]
    pub hint: Option<String>,
}
