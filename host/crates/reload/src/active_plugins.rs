//! Who serves, as the host says it.

use std::collections::{BTreeMap, BTreeSet};

/// `ActivePlugins` says who serves now, whatever the file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ActivePlugins {
    /// `tunnels` has the plugin of each tunnel, by the tunnel's name.
    pub(crate) tunnels: BTreeMap<String, String>,
    /// `closed` are the tunnels that are not open.
    pub(crate) closed: BTreeSet<String>,
    /// `chat` is the chat backend that is wanted.
    pub(crate) chat: String,
    /// `chat_name` is the name of the chat's table: `main` of `[chat.main]`.
    pub(crate) chat_name: String,
    /// `fixed` are the plugins that are loaded at the start of the host and never again: the login's, which guards the
    /// page where its change would be confirmed, and the chat's fallback.
    pub(crate) fixed: BTreeSet<String>,
}
