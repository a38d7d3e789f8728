//! What the subcommands answer.

use serde_json::Value;

/// The same facts for people and for programs.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) json: Value,
}
