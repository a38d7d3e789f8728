//! What an owner who is away is told.

use crate::time::Millis;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A tunnel is open at an address that was not told before.
    TunnelUrl,
    /// A tunnel failed, or waits before it is tried again.
    TunnelFailed,
    /// The chat backend stays away until someone does something.
    BackendFailed,
    /// A plugin reached its restart limit and waits for the operator.
    PluginFailed,
    /// Too many wrong passwords: an account is locked for a while.
    LoginLocked,
}

impl NoticeKind {
    pub const ALL: [Self; 5] = [
        Self::TunnelUrl,
        Self::TunnelFailed,
        Self::BackendFailed,
        Self::PluginFailed,
        Self::LoginLocked,
    ];

    /// As the configuration, the JSON and `NEXUS_EVENT` have it.
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

/// One message. It holds no secret and nothing of what was said in a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub event: NoticeKind,
    /// What it happened to: `tunnel home`, `chat`, `plugin chat-opencode`, `login`.
    pub subject: String,
    /// A sentence for people.
    pub text: String,
    /// For `tunnel-url`: where it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub at: Millis,
}
