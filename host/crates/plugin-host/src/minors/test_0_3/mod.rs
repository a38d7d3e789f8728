//! A made-up minor of the contract, which shows what a folder of this room holds: its WIT, its bindings, and the conversions
//! between its types and those of the newest minor. Older minors lie here as this one does.

mod bindings;
mod capabilities;
mod guests;
mod tests;

use super::NEWEST;
use crate::capabilities::Granted;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::{Minor, Minors};
use bindings::caps as wit;
use nexus_plugin_api::manifest::Kind;
use semver::Version;
use std::sync::OnceLock;
use wasmtime::component::Linker;

pub(super) static MADE_UP: Minor = Minor {
    version: Version::new(0, 3, 0),
    contract: include_bytes!("contract.wasm"),
    types: OnceLock::new(),
    interfaces: || vec!["types", "log", "store", "http"],
    optional: |kind| match kind {
        Kind::Tunnel => &["quota"],
        Kind::Auth | Kind::Chat => &[],
    },
    link,
    tunnel: guests::tunnel,
    // Its WIT has tunnels alone, and its contract no export of another kind.
    chat: |_, _| Err(wasmtime::format_err!("this minor has no chat")),
    auth: |_, _| Err(wasmtime::format_err!("this minor has no auth")),
};

/// `BOTH` are what a host speaks that has both.
pub(super) const BOTH: Minors = Minors(&[&MADE_UP, &NEWEST]);

fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wit::log::add_to_linker::<_, Granted>(linker, |state| &mut state.caps)?;
    wit::store::add_to_linker::<_, Granted>(linker, |state| &mut state.caps)?;
    wit::http::add_to_linker::<_, Granted>(linker, |state| &mut state.caps)
}
