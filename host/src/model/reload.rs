//! What the configuration's file says besides what counts.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Seen in the file, and not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Of what was read: what is confirmed must be what was shown.
    pub id: String,
    /// When the file was read.
    pub seen_at: Millis,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum What {
    /// It cannot be used, and nothing of it counts.
    Invalid { why: String },
    Changed {
        /// Can be put into force while Nexus runs, and wait for a confirmation.
        confirm: Vec<Change>,
        /// What a confirmation does.
        effects: Vec<Effect>,
        /// What plugins may do then that they may not now: a sentence each.
        gains: Vec<String>,
        /// Count from the next start of Nexus on.
        restart: Vec<Change>,
        /// The first list is being put into force.
        applying: bool,
    },
}

/// One key of the file. None: it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `tunnel.main.plugin`
    pub key: String,
    /// As TOML; `…` where it must not be shown, or cannot be shown whole.
    pub was: Option<String>,
    pub now: Option<String>,
    /// Why it could not be put into force.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// A sentence.
    pub what: String,
    /// Which tunnel it happens to, if any.
    pub tunnel: Option<String>,
    /// Whoever came through that tunnel is cut off.
    pub closes: bool,
}
