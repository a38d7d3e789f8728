//! Outgoing HTTP for plugins: one pooled client, and the check that an address is one the operator meant.

pub mod port;
