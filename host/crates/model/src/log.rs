//! The log, as it is shown.

use serde::{Deserialize, Serialize};

/// What lines are about. Both none: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What it said, and what was said about it.
    pub plugin: Option<String>,
    /// What was said about it, and by or about the plugin that serves it where that is named beside it.
    pub tunnel: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// RFC 3339, UTC. None: the line is damaged, as one may be after a power cut.
    pub at: Option<String>,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: Option<String>,
    pub text: String,
}
