//! The list of all capabilities. One more is its folder, and a line here.

use super::capability::Capability;
use super::gate::Gate;
use super::{clock, config, http, log, process, secrets, store};
use nexus_config::Permission;

pub(crate) fn all<T: Send + 'static>() -> Vec<Capability<T>> {
    vec![
        config::capability(),
        log::capability(),
        clock::capability(),
        process::capability(),
        http::capability(),
        store::capability(),
        secrets::capability(),
    ]
}

/// `interfaces` are the names of their interfaces.
pub(crate) fn interfaces() -> impl Iterator<Item = &'static str> {
    all::<()>().into_iter().map(|capability| capability.interface)
}

/// `missing` is what the manifest asks for and the operator does not grant, in the order of the list.
pub(crate) fn missing(gate: &Gate) -> Vec<Permission> {
    let all = all::<()>().into_iter();
    all.flat_map(|capability| (capability.missing)(gate)).collect()
}
