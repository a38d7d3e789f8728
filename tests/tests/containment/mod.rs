//! Plugins that do all that a plugin must not do, of each kind: nothing else notices, and whoever runs Nexus reads why.
//!
//! How much others notice is measured: the time from the sending of an event to its arrival at a client, before and
//! while somebody misbehaves, in the same run. The bounds leave room for two busy cores; the measurements are printed.

mod bounds;
mod chat;
mod common;
mod control_characters;
mod invalid_events;
mod opencode;
mod processes;
mod start;
mod tunnel_and_login;
mod wasi;
