//! Outgoing HTTP for plugins: one pooled client, and the check that an address is one the operator meant. Beside it the
//! host's own look at itself through a tunnel.

pub mod allow;
pub mod client;
pub mod port;
pub mod probe;
pub mod webhook;

pub use client::Client;
