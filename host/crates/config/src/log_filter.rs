//! `log.filter`: which lines are written. Places of the log were modules of one crate up to 0.1 and are crates since; a
//! filter of then would silently match nothing, so it is read as what it meant, with a notice.

use crate::toml_reader::{Unfit, describe};
use toml::de::DeValue;

/// `TARGETS` says what a target of 0.1 began with, and what it begins with now; the longer ones first.
const TARGETS: &[(&str, &str)] = &[
    ("nexus::services::auth", "nexus_auth"),
    ("nexus::services::chat", "nexus_chat"),
    ("nexus::services::reload", "nexus_reload"),
    ("nexus::services::setup", "nexus_install"),
    ("nexus::services::tunnel", "nexus_tunnels"),
    ("nexus::services::notify", "nexus::notify"),
    ("nexus::backup", "nexus_store::backup"),
    ("nexus::capabilities", "nexus_plugin_host::capabilities"),
    ("nexus::config", "nexus_config"),
    ("nexus::journal", "nexus_chat::journal"),
    ("nexus::logfile", "nexus_logging::logfile"),
    ("nexus::outgoing", "nexus_egress"),
    ("nexus::process", "nexus_process"),
    ("nexus::runtime", "nexus_plugin_host"),
    ("nexus::services", "nexus"),
    ("nexus::store", "nexus_store"),
    ("nexus::web", "nexus_web"),
];

/// Reads a filter.
///
/// # Errors
/// What of it is no filter, and what to write.
pub(super) fn read(value: &DeValue<'_>) -> Result<String, Unfit> {
    let text = value.as_str().ok_or(Unfit::PLAIN)?;
    if let Err(why) = tracing_subscriber::EnvFilter::try_new(text) {
        return Err(Unfit {
            found: Some(format!("{}: {why}", describe(value))),
            fix: None,
        });
    }
    match no_level(text) {
        None => Ok(text.to_owned()),
        Some(word) => Err(Unfit {
            found: Some(format!("{}: `{word}` is not a level", describe(value))),
            fix: Some("the levels are error, warn, info, debug and trace; off for none".to_owned()),
        }),
    }
}

/// `no_level` is a part of a filter that is a place without a level: it would be taken, and silence everything else.
fn no_level(filter: &str) -> Option<&str> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    filter
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains(['=', '[']) && !LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level)))
}

/// `current` is the filter with the targets of this version.
pub(super) fn current(filter: &str) -> String {
    let parts = filter.split(',').map(|part| {
        let target = part.trim_start();
        let blank = part.strip_suffix(target).unwrap_or_default();
        let found = TARGETS.iter().find_map(|(was, now)| {
            let rest = target.strip_prefix(was)?;
            let ends = rest.is_empty() || rest.starts_with(['=', '[', ' ', ':']);
            ends.then(|| format!("{blank}{now}{rest}"))
        });
        found.unwrap_or_else(|| part.to_owned())
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_the_version_before_are_those_of_the_crates() {
        for (was, now) in [
            ("info", "info"),
            ("warn,nexus=debug", "warn,nexus=debug"),
            ("warn,nexus::web=debug", "warn,nexus_web=debug"),
            (
                "warn, nexus::services::chat::pump=trace,nexus::runtime[call]=debug",
                "warn, nexus_chat::pump=trace,nexus_plugin_host[call]=debug",
            ),
            ("nexus::website=info", "nexus::website=info"),
            ("nexus_web=debug", "nexus_web=debug"),
        ] {
            assert_eq!(current(was), now);
        }
    }
}
