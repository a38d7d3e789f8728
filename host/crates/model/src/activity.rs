//! What happened, in words for people.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Severity` is the severity of a note: `ok`, `warning` (something is not available now, and recovers by itself or is
/// under way), `error`, or `inactive` (something was stopped on purpose).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// `Ok`: it went well.
    Ok,
    /// `Warning`: something is under way, or recovers by itself.
    Warning,
    /// `Error`: it went wrong.
    Error,
    /// `Inactive`: it was stopped on purpose.
    Inactive,
}

impl Severity {
    /// `as_str` is as in JSON, in the database and in the classes of the pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Inactive => "inactive",
        }
    }
}

/// `Note` describes an event of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// `at` is the time of the event.
    pub at: Millis,
    /// `subject` is the part of Nexus that the note is about: `tunnel main`, `plugin chat-opencode`, `chat`, `login`.
    #[schema(examples("tunnel main"))]
    pub subject: String,
    /// `severity` is the severity of the event.
    pub severity: Severity,
    /// `text` describes the event in a sentence.
    pub text: String,
}
