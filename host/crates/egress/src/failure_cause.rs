//! Why a request failed, in the words that help.

use std::error::Error;

/// `chain` is the innermost reason of an error, which is the one that helps; reqwest's own line repeats the whole URL.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut last = String::new();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        last = inner.to_string();
        cause = inner.source();
    }
    if last.is_empty() {
        "unknown reason".to_owned()
    } else {
        last
    }
}
