//! Nexus: a chat backend, a web page, a login and a tunnel, each of them but the page a sandboxed WASM plugin.
//!
//! Dependencies point one way: `cli` → `web` → `services` → (`journal`, `runtime`) → (`capabilities`, `process`, `outgoing`,
//! `store`) → (`config`, `model`, `time`). `ARCHITECTURE.md` is the map.

pub mod app;
pub mod audit;
pub mod backup;
pub mod builtin;
pub mod capabilities;
pub mod cli;
pub mod config;
pub mod journal;
pub mod limits;
pub mod logfile;
pub mod model;
pub mod outgoing;
pub mod process;
pub mod runtime;
pub mod services;
pub mod store;
pub mod time;
pub mod web;
