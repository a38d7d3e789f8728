//! The live connection: what happens, as it happens, and what the user does about it.
//!
//! [`protocol`] is the words, [`pump`] the connection (knows no socket, so that any transport can carry it),
//! [`socket`] the WebSocket around it.

pub(super) mod connections;
mod open_text;
mod prompt_limits;
pub mod protocol;
mod pump;
pub(super) mod session_view;
pub(super) mod socket;

pub(super) use prompt_limits::acceptable;
