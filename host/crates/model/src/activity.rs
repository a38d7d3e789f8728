//! What happened, in words for people.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Tone` is how good or bad a note is. It is never the only sign: the text says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Good,
    /// Something is under way, or comes back by itself.
    Busy,
    Bad,
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
    pub tone: Tone,
    /// `text` is a sentence.
    pub text: String,
}

/// Where it is written down. Returns at once; a note that cannot be kept is not worth a wait.
pub trait Activity: Send + Sync + 'static {
    fn note(&self, subject: &str, tone: Tone, text: &str);
}

/// Keeps no note: for commands that run beside a host, whose list is in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unkept;

impl Activity for Unkept {
    fn note(&self, _: &str, _: Tone, _: &str) {}
}
