//! What happened, in words for people.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// Never the only sign: the text says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Good,
    /// Something is under way, or comes back by itself.
    Busy,
    Bad,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub at: Millis,
    /// What it happened to: `tunnel main`, `plugin chat-opencode`, `chat`, `login`.
    pub subject: String,
    pub tone: Tone,
    pub text: String,
}

/// Where it is written down. Returns at once; a note that cannot be kept is not worth a wait.
pub trait Activity: Send + Sync + 'static {
    fn note(&self, subject: &str, tone: Tone, text: &str);
}
