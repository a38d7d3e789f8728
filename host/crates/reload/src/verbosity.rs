//! Whether a new filter of the log hides anything that the old one shows.

use nexus_config::log_targets;
use std::iter::once;
use tracing::Level;

/// Tells whether all that `old` shows is shown by `new` too.
pub(super) fn shows_all_of(new: &str, old: &str) -> bool {
    // Who came in is written down unless a filter names it.
    if new.contains("audit") {
        return false;
    }
    let (Ok(new), Ok(old)) = (log_targets(new), log_targets(old)) else {
        return false;
    };
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let mut targets = new.iter().chain(old.iter()).map(|(target, _)| target).chain(once(""));
    targets.all(|target| {
        let kept = |level| !old.would_enable(target, level) || new.would_enable(target, level);
        levels.iter().all(kept)
    })
}

#[cfg(test)]
mod tests {
    use super::shows_all_of;

    #[test]
    fn only_a_filter_that_hides_nothing_new_is_harmless() {
        for (new, old) in [
            ("debug", "info"),
            ("info", "info"),
            ("info,nexus=debug", "info"),
            ("TRACE", "warn,h2=off"),
            ("info,h2=error", "info,h2=off"),
            ("5", "info"),
        ] {
            assert!(shows_all_of(new, old), "{new} after {old}");
        }
        for (new, old) in [
            ("off", "info"),
            ("warn", "info"),
            ("info,nexus=warn", "info"),
            ("debug,audit=off", "info"),
            ("debug,audit=trace", "info"),
            ("info", "info,nexus_web=debug"),
            ("debug,nexus_web=info", "info,nexus=debug"),
            ("info,[span]=trace", "info"),
            ("", "info"),
            ("debug,nexus[x=\"y\"]=off", "info"),
            ("info,[{x}]=off", "info"),
            ("no level=", "info"),
        ] {
            assert!(!shows_all_of(new, old), "{new} after {old}");
        }
    }
}
