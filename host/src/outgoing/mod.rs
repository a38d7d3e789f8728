//! Outgoing HTTP for plugins: one pooled client, and the check that an address is one the operator meant.

pub mod address;
pub mod allow;
pub mod client;
pub mod port;

pub use client::Client;
