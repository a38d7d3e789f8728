//! Words of the contract to words of the host, and back, that all kinds of plugin share. No decision is made here, but that
//! nothing is kept that is longer than its place needs, or could act on whoever is shown it ([`truncate`]).

use crate::bindings::caps::types;
use crate::capabilities::Mask;
use crate::truncate;
use nexus_model::plugin::{Availability, Fit, Unfit};
use nexus_plugin_traits::{FailureKind, RunFailure};

/// `sentence` is what the operator reads, without the plugin's secrets.
pub(super) fn sentence(text: String, mask: &Mask) -> String {
    truncate::sentence(mask.hide_in(text))
}

/// `words` are those of an optional sentence; one without a word is none.
fn words(text: Option<String>, mask: &Mask) -> Option<String> {
    text.map(|text| sentence(text, mask))
        .filter(|text| !text.trim().is_empty())
}

pub(crate) fn availability(a: types::Availability, mask: &Mask) -> Availability {
    let unfit = |unfit: types::Unfit| Unfit {
        cause: sentence(unfit.cause, mask),
        fix: words(unfit.fix, mask),
    };
    match a {
        types::Availability::Ready(fit) => Availability::Ready(Fit {
            version: truncate::title(mask.hide_in(fit.version)),
            note: words(fit.note, mask),
        }),
        types::Availability::Missing(missing) => Availability::Missing(unfit(missing)),
        types::Availability::Unsuitable(unsuitable) => Availability::Unsuitable(unfit(unsuitable)),
    }
}

pub(crate) fn failure(f: types::Failure, mask: &Mask) -> RunFailure {
    let kind = match f.kind {
        types::FailureKind::Retry => FailureKind::Retry,
        types::FailureKind::RetryLater => FailureKind::RetryLater,
        types::FailureKind::Permanent => FailureKind::Permanent,
    };
    RunFailure {
        kind,
        cause: truncate::reason(mask.hide_in(f.message)),
        fix: words(f.hint, mask),
    }
}

/// `titled` is what a plugin calls itself; one that says nothing is called by its name.
pub(crate) fn titled(title: String, name: &str) -> String {
    let title = truncate::title(title);
    if title.trim().is_empty() {
        name.to_owned()
    } else {
        title
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
