//! What the host does with its plugins: chat, tunnels, logins.

pub mod auth;
pub mod chat;
pub mod setup;
pub mod tunnel;
