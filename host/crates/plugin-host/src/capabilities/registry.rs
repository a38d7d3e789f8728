//! The list of all capabilities: a line for each.

use super::capability::Capability;
use super::gate::Gate;
use super::{clock, config, http, log, process, secrets, store, transcript};

pub(crate) fn all<T: Send + 'static>() -> Vec<Capability<T>> {
    vec![
        config::capability(),
        log::capability(),
        clock::capability(),
        process::capability(),
        http::capability(),
        store::capability(),
        secrets::capability(),
        transcript::capability(),
    ]
}

/// `limits` are those of the capabilities, in words.
pub(crate) fn limits(gate: &Gate) -> Vec<String> {
    all::<()>()
        .into_iter()
        .filter_map(|capability| (capability.limit)(gate))
        .collect()
}

/// `permissions` are all that a plugin is granted, in words, with what this machine has for them: it looks on the disk where
/// the granted programs are.
pub(crate) fn permissions(gate: &Gate) -> Vec<String> {
    let all = all::<()>();
    let granted = gate.grants().permissions().into_iter();
    let located = granted.map(|permission| {
        let own = all.iter().find(|own| own.interface == permission.capability);
        match own {
            Some(own) => (own.located)(gate, permission),
            None => permission,
        }
    });
    located.map(|permission| permission.to_string()).collect()
}

/// `interfaces` are the names of their interfaces.
pub(crate) fn interfaces() -> impl Iterator<Item = &'static str> {
    all::<()>().into_iter().map(|capability| capability.interface)
}
