//! What every plugin may call. Importing an interface grants nothing: see `plugin.toml`.

pub use super::bindings::caps::nexus::plugin::{clock, config, http, log, process, secrets, store, types};
