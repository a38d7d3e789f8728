//! The configuration's file while Nexus runs: what changes in it is applied at once where it is harmless, is shown
//! and waits for a confirmation where it can be applied, and is said to wait for the next start otherwise.
//!
//! A confirmation, because the agent on this machine can write files too: an edit alone must not open a tunnel or grant a
//! plugin anything. It names what was shown, components and secrets among it; where the files say something else by then,
//! nothing happens.
//!
//! The files are compared by their fingerprints. inotify says when to look at them and nothing else: a file may be replaced,
//! be a link, or lie on a network's disk.
//!
//! The tests show it at work with the services that it tells.

#![warn(missing_docs)]

mod active_plugins;
mod apply_plan;
mod change_texts;
mod component_changes;
mod error;
mod file_events;
mod file_fingerprints;
mod new_permissions;
mod reload_host;
mod reload_targets;
mod service;
#[cfg(test)]
mod tests;
mod verbosity;

pub use error::NotApplied;
pub use reload_host::{Refused, ReloadHost};
pub use reload_targets::ReloadTargets;
pub use service::ReloadService;
