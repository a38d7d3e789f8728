//! What happened, in words for people.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Tone` is how good or bad a note is. It is never the only sign: the text says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// `Good`: it went well.
    Good,
    /// `Busy`: something is under way, or comes back by itself.
    Busy,
    /// `Bad`: it went wrong.
    Bad,
    /// `Off`: it was ended on purpose.
    Off,
}

/// A note tells what happened, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// `at` is when it happened, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// `subject` is what it happened to: `tunnel main`, `plugin chat-opencode`, `chat`, `login`.
    #[schema(examples("tunnel main"))]
    pub subject: String,
    /// `tone` is how good or bad it is.
    pub tone: Tone,
    /// `text` is a sentence.
    pub text: String,
}
