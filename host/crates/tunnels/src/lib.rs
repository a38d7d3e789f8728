//! Tunnels: each has a loopback listener of its own, a task that keeps it in the state the operator wants, and a
//! provider plugin that opens it.
//!
//! One actor a tunnel, driven by what is *wanted* and not by commands: a start while it stops, two stops, or an
//! account that appears later need no transitions of their own.

mod actor;
mod attempt_end;
mod dependencies;
mod error;
mod http_checker;
mod open_command;
mod origin_listener;
mod origin_secret;
mod public_check;
mod public_checker;
mod service;
mod status_board;
mod swap;
mod task_channels;
mod tunnel;
mod wanted_tunnels;

pub use attempt_end::no_tls;
pub use dependencies::{Dependencies, Provided, Spec};
pub use error::TunnelError;
pub use http_checker::HttpChecker;
pub use nexus_registry::Ticket;
pub use open_command::{Opening, Outcome, Refused};
pub use origin_listener::{Leaving, ListenerHandle, ListenerServer, TunnelListener};
pub use origin_secret::OriginSecret;
pub use public_checker::PublicChecker;
pub use service::TunnelService;
pub use swap::Swapped;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod swap_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
