//! Whole-system tests: the real binary with real parts. One program, for each more would link the same again, and what waits
//! is best run beside what works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agent;
mod api;
mod approving;
mod asking;
mod backup;
mod bore;
mod browser;
mod cloudflared;
mod containment;
mod dependencies;
mod doctor;
mod edge;
mod failures;
mod faults;
mod floods;
mod login;
mod model;
mod opencode_world;
mod packaging;
mod reload;
mod service;
mod setup;
mod shell;
mod spine;
mod ssh;
mod stand_in;
mod start;
mod swap;
mod watching;
