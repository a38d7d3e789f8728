//! What an owner who is away is told.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// `NoticeKind` is what an owner can be told of; `[notify]` names the kinds that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// `TunnelUrl`: a tunnel is open at an address that was not told before.
    TunnelUrl,
    /// `TunnelFailed`: a tunnel failed, or waits before it is tried again.
    TunnelFailed,
    /// `BackendFailed`: the chat backend stays away until someone does something.
    BackendFailed,
    /// `PluginFailed`: a plugin reached its restart limit and waits for the operator.
    PluginFailed,
    /// `LoginLocked`: there were too many wrong passwords, so an account is locked for a while.
    LoginLocked,
}

impl NoticeKind {
    /// `ALL` has every kind, in the order in which the documents list them.
    pub const ALL: [Self; 5] = [
        Self::TunnelUrl,
        Self::TunnelFailed,
        Self::BackendFailed,
        Self::PluginFailed,
        Self::LoginLocked,
    ];

    /// `word` is as the configuration, the JSON and `NEXUS_EVENT` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::TunnelUrl => "tunnel-url",
            Self::TunnelFailed => "tunnel-failed",
            Self::BackendFailed => "backend-failed",
            Self::PluginFailed => "plugin-failed",
            Self::LoginLocked => "login-locked",
        }
    }
}

/// `Notice` is one message. It holds no secret and nothing of what was said in a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// `event` is the kind of what happened.
    pub event: NoticeKind,
    /// `subject` is what it happened to: `tunnel home`, `chat`, `plugin chat-opencode`, `login`.
    pub subject: String,
    /// `text` is a sentence for people.
    pub text: String,
    /// `url` is where the tunnel leads, for `tunnel-url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `at` is when it happened.
    pub at: Millis,
}
