//! The list of all capabilities. One more is its folder, and a line here.

use super::capability::Capability;
use super::{clock, config, http, log, process, secrets, store};

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
