//! What the host does with its plugins: chat, tunnels, logins.

pub mod setup;
pub mod tunnel;
