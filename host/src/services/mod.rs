//! What the host does with its plugins: chat, tunnels, logins.

pub mod chat;
pub mod tunnel;
