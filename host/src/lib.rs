//! Nexus: a chat backend, a web page, a login and a tunnel, each of them but the page a sandboxed WASM plugin.
//!
//! This crate is the program: it reads the command line, builds the crates under `host/crates/` and connects them.
//! `ARCHITECTURE.md` is the map.

#![warn(missing_docs)]

pub mod app;
pub mod builtin;
pub mod cli;
pub mod notify;
