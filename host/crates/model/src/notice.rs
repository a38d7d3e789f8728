//! What an owner who is away is told.

use crate::time::Millis;
use serde::de::{self, IntoDeserializer};
use serde::{Deserialize, Serialize};

/// `NoticeKind` is what an owner can be told of; `[notify]` names the kinds that are wanted. Its name in the configuration,
/// in JSON and in `NEXUS_EVENT` is the one that serde gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// `TunnelUrl`: a tunnel is open at an address that was not told before.
    TunnelUrl,
    /// `TunnelFailed`: a tunnel failed, or waits before it is tried again.
    TunnelFailed,
    /// `BackendFailed`: the chat backend stays unavailable until someone does something.
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

    /// Reads a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::deserialize(IntoDeserializer::<de::value::Error>::into_deserializer(name)).ok()
    }
}

impl std::fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
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
    /// `url` is where the tunnel leads, for `tunnel_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `at` is when it happened.
    pub at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        let names = NoticeKind::ALL.map(|kind| kind.to_string());
        let expected = [
            "tunnel_url",
            "tunnel_failed",
            "backend_failed",
            "plugin_failed",
            "login_locked",
        ];
        assert_eq!(names, expected);
        for (kind, name) in NoticeKind::ALL.into_iter().zip(&names) {
            assert_eq!(NoticeKind::named(name), Some(kind));
        }
        assert_eq!(NoticeKind::named("tunnel-url"), None);
    }
}
