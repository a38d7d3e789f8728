//! What the host does with its plugins: chat, tunnels, logins.

pub mod activity;
pub mod auth;
pub mod chat;
pub mod setup;
pub mod tunnel;
