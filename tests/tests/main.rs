//! Whole-system tests: the real binary with real parts. One program, for each more would link the same again, and what waits
//! is best run beside what works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access_control;
mod api;
mod app;
mod backends;
mod backup;
mod bore;
mod browser;
mod chat_acp;
mod chat_openai;
mod cloudflared;
mod containment;
mod contract;
mod core_interface;
mod docs_examples;
mod doctor;
mod edge;
mod end_to_end;
mod event_trace;
mod failure_isolation;
mod first_use;
mod floods;
mod guard;
mod idle;
mod kept_components;
mod languages;
mod login;
mod login_kinds;
mod metrics_and_notify;
mod opencode_world;
mod optional_interfaces;
mod packaging;
mod permission_requests;
mod process_crashes;
mod project_folders;
mod reload;
mod service;
mod setup;
mod shell;
mod ssh;
mod stand_in;
mod start;
mod swap;
mod turns;
