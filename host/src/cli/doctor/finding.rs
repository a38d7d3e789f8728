//! What `nexus doctor` says of each thing that it looks at.

use serde::Serialize;

/// `Level` is how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// `Warn`: it works, and could work better or safer.
    Warn,
    /// `Fail`: something that is configured does not work.
    Fail,
}

/// `Finding` is one thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// `check` is dotted, as `program.opencode`; it is the same in every version.
    pub(super) check: String,
    pub(super) level: Level,
    /// `found` is a sentence.
    pub(super) found: String,
    /// `fix` is a command, or lines for the configuration; `None` where nothing is to be done.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            level: Level::Ok,
            found: found.into(),
            fix: None,
        }
    }
    pub(super) fn warn(check: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            fix: Some(fix.into()),
            ..Self::ok(check, found)
        }
    }
    pub(super) fn fail(check: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(check, found, fix)
        }
    }
}
