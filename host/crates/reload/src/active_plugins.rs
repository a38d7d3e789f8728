//! Who serves, as the host says it.

use std::collections::{BTreeMap, BTreeSet};

/// Who serves now, whatever the file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivePlugins {
    /// By tunnel.
    pub tunnels: BTreeMap<String, String>,
    /// The chat backend that is wanted.
    pub chat: String,
    /// `main` of `[chat.main]`.
    pub chat_name: String,
    /// Loaded at the start of the host and never again: the login's, which guards the page where its change would be
    /// confirmed, and the chat's fallback.
    pub fixed: BTreeSet<String>,
}
