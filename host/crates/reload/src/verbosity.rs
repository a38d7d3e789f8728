//! Whether a new filter of the log hides anything that the old one shows. Only plain directives are understood, `LEVEL` and
//! `TARGET=LEVEL`; of all others it is assumed.

use std::collections::BTreeMap;
use tracing::level_filters::LevelFilter;

struct Levels<'a> {
    others: LevelFilter,
    targets: BTreeMap<&'a str, LevelFilter>,
}

impl<'a> Levels<'a> {
    fn read(filter: &'a str) -> Option<Self> {
        let mut levels = Self {
            // As the filter's own reader has it where no level stands alone.
            others: LevelFilter::ERROR,
            targets: BTreeMap::new(),
        };
        for directive in filter
            .split(',')
            .map(str::trim)
            .filter(|directive| !directive.is_empty())
        {
            match directive.split_once('=') {
                None => levels.others = level(directive)?,
                Some((target, level_text)) => {
                    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                    if target.is_empty() || !target.chars().all(plain) {
                        return None;
                    }
                    levels.targets.insert(target, level(level_text)?);
                }
            }
        }
        Some(levels)
    }

    fn of(&self, target: &str) -> LevelFilter {
        let own = self.targets.iter().filter(|(prefix, _)| target.starts_with(**prefix));
        own.max_by_key(|(prefix, _)| prefix.len())
            .map_or(self.others, |(_, level)| *level)
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    let known = ["off", "error", "warn", "info", "debug", "trace"].contains(&text.to_ascii_lowercase().as_str());
    known.then(|| text.parse().ok()).flatten()
}

/// Tells whether all that `old` shows is shown by `new` too.
pub(super) fn shows_all_of(new: &str, old: &str) -> bool {
    // Who came in is written down unless a filter names it.
    if new.contains("audit") {
        return false;
    }
    let (Some(new), Some(old)) = (Levels::read(new), Levels::read(old)) else {
        return false;
    };
    let targets = new.targets.keys().chain(old.targets.keys());
    new.others >= old.others && targets.into_iter().all(|target| new.of(target) >= old.of(target))
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
            ("5", "info"),
        ] {
            assert!(!shows_all_of(new, old), "{new} after {old}");
        }
    }
}
