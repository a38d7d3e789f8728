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

/// `Activity` is where notes are written down. It returns at once; a note that cannot be kept is not worth a wait.
pub trait Activity: Send + Sync + 'static {
    /// Takes a note: `text` is a sentence about `subject`, such as `tunnel main`.
    fn note(&self, subject: &str, tone: Tone, text: &str);
}

/// `Unkept` keeps no note: it is for commands that run beside a host, whose list is in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unkept;

impl Activity for Unkept {
    fn note(&self, _: &str, _: Tone, _: &str) {}
}
