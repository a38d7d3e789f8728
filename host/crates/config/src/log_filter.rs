//! `log.filter`: which lines are written. Places of the log were modules of one crate up to 0.1 and are crates since; a
//! filter of then would silently match nothing, so it is read as what it meant, with a notice.

use crate::toml_reader::{InvalidValue, describe};
use toml::de::DeValue;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// `TARGETS` are the modules of 0.1 whose place has changed, and what has their lines now: the module that replaced them
/// where there is one, else its crate, whose target matches all of its modules. The longest name that fits is the one.
const TARGETS: &[(&str, &[&str])] = &[
    ("nexus::app::auth", &["nexus_auth"]),
    ("nexus::app::catalog", &["nexus_registry::catalog"]),
    ("nexus::app::chat", &["nexus_chat"]),
    ("nexus::app::chosen", &["nexus_registry::overrides"]),
    ("nexus::app::loads", &["nexus_registry"]),
    ("nexus::app::no_login", &["nexus_auth::no_login"]),
    ("nexus::app::notify", &["nexus::notify"]),
    ("nexus::app::status", &["nexus_registry::statuses"]),
    ("nexus::app::tunnels", &["nexus_tunnels"]),
    ("nexus::audit", &["nexus_logging::audit"]),
    ("nexus::backup", &["nexus_store::backup"]),
    ("nexus::backup::read", &["nexus_store::backup::read"]),
    ("nexus::capabilities", &["nexus_plugin_host::capabilities"]),
    ("nexus::capabilities::cpu", &["nexus_plugin_host::cpu_share"]),
    ("nexus::capabilities::log", &["nexus_plugin_host::capabilities::log"]),
    ("nexus::cli::caller", &["nexus::cli::operator_only"]),
    ("nexus::cli::notify", &["nexus::cli::systemd"]),
    ("nexus::cli::setup", &["nexus::cli::install"]),
    ("nexus::config", &["nexus_config"]),
    ("nexus::journal", &["nexus_chat::journal"]),
    ("nexus::journal::disk", &["nexus_chat::journal::tables"]),
    ("nexus::limits", &["nexus_model"]),
    ("nexus::logfile", &["nexus_logging::logfile"]),
    ("nexus::logfile::reader", &["nexus_logging::logfile::reader"]),
    ("nexus::model", &["nexus_model"]),
    ("nexus::outgoing", &["nexus_egress"]),
    ("nexus::outgoing::probe", &["nexus_egress::public_check"]),
    ("nexus::outgoing::webhook", &["nexus_egress::webhook"]),
    ("nexus::process", &["nexus_process"]),
    ("nexus::process::stop", &["nexus_process::stop"]),
    ("nexus::process::supervise", &["nexus_process::child_task"]),
    ("nexus::process::table", &["nexus_process::table"]),
    ("nexus::runtime", &["nexus_plugin_host"]),
    ("nexus::runtime::auth", &["nexus_plugin_host::worlds::auth"]),
    ("nexus::runtime::cache", &["nexus_plugin_host::engine::code_cache"]),
    ("nexus::runtime::clip", &["nexus_plugin_host::truncate"]),
    ("nexus::runtime::late", &["nexus_registry::lazy_plugin"]),
    (
        "nexus::runtime::supervisor",
        &["nexus_plugin_host::instance::supervisor"],
    ),
    (
        "nexus::services",
        &[
            "nexus_auth",
            "nexus_chat",
            "nexus_install",
            "nexus_reload",
            "nexus_tunnels",
            "nexus::notify",
            "nexus_store::activity_log",
        ],
    ),
    ("nexus::services::activity", &["nexus_store::activity_log"]),
    ("nexus::services::auth", &["nexus_auth"]),
    ("nexus::services::auth::access", &["nexus_auth::access"]),
    ("nexus::services::auth::keys", &["nexus_auth::installation_key"]),
    ("nexus::services::auth::login", &["nexus_auth::login"]),
    ("nexus::services::auth::operator", &["nexus_auth::operator"]),
    ("nexus::services::auth::sessions", &["nexus_auth::sessions"]),
    ("nexus::services::auth::setup", &["nexus_auth::joining"]),
    ("nexus::services::chat", &["nexus_chat"]),
    (
        "nexus::services::chat::prompt",
        &["nexus_chat::prompts", "nexus_chat::prompt_messages"],
    ),
    ("nexus::services::chat::pump", &["nexus_chat::event_pump"]),
    ("nexus::services::chat::queue", &["nexus_chat::queue"]),
    ("nexus::services::chat::shared", &["nexus_chat::shared"]),
    (
        "nexus::services::chat::switch",
        &["nexus_chat::backend_task", "nexus_chat::swap"],
    ),
    ("nexus::services::chat::writing", &["nexus_chat::journal_writes"]),
    ("nexus::services::notify", &["nexus::notify"]),
    ("nexus::services::reload", &["nexus_reload"]),
    ("nexus::services::reload::verbosity", &["nexus_reload::verbosity"]),
    ("nexus::services::setup", &["nexus_install"]),
    ("nexus::services::tunnel", &["nexus_tunnels"]),
    ("nexus::services::tunnel::actor", &["nexus_tunnels::actor"]),
    (
        "nexus::services::tunnel::actor::address",
        &["nexus_tunnels::actor::address"],
    ),
    ("nexus::services::tunnel::seat", &["nexus_tunnels::status_board"]),
    ("nexus::services::tunnel::swap", &["nexus_tunnels::swap"]),
    ("nexus::store", &["nexus_store"]),
    ("nexus::store::writer", &["nexus_store::writer"]),
    ("nexus::time", &["nexus_model"]),
    ("nexus::web", &["nexus_web"]),
    ("nexus::web::answers", &["nexus_web::permission_answers"]),
    ("nexus::web::api", &["nexus_web::api"]),
    ("nexus::web::control", &["nexus_web::http::control_socket"]),
    ("nexus::web::identity", &["nexus_web::http::identity"]),
    ("nexus::web::live", &["nexus_web::live"]),
    ("nexus::web::metrics", &["nexus_web::metrics"]),
    ("nexus::web::pages", &["nexus_web::pages"]),
    ("nexus::web::pages::login", &["nexus_web::pages::login"]),
    ("nexus::web::serve", &["nexus_web::http::server"]),
];

/// What a filter shows: levels, and `TARGET=LEVEL` for the parts of the log. Where it names no level for the rest, nothing of
/// the rest is shown.
///
/// # Errors
/// Which of its parts is neither, in words.
pub fn log_targets(filter: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in filter.split(',').map(str::trim) {
        match part.split_once('=') {
            Some((target, level)) if !target.is_empty() && !target.contains('[') => {
                targets = targets.with_target(target, of_name(level)?);
            }
            Some(_) => return Err(format!("`{part}` is not TARGET=LEVEL")),
            // A target without a level would silence everything else.
            None => targets = targets.with_default(of_name(part)?),
        }
    }
    Ok(targets)
}

fn of_name(level: &str) -> Result<LevelFilter, String> {
    let known = level.parse().ok().filter(|_| !level.is_empty());
    known.ok_or_else(|| format!("`{level}` is not a level"))
}

/// Reads a filter.
///
/// # Errors
/// What of it is no filter, and what to write.
pub(super) fn read(value: &DeValue<'_>) -> Result<String, InvalidValue> {
    let text = value.as_str().ok_or(InvalidValue::PLAIN)?;
    // What 0.1 took is read, and what is left of it is shown by a notice.
    match log_targets(&without_spans(text)) {
        Ok(_) => Ok(text.to_owned()),
        Err(cause) => Err(InvalidValue {
            found: Some(format!("{}: {cause}", describe(value))),
            fix: Some("the levels are error, warn, info, debug and trace; off for none".to_owned()),
        }),
    }
}

/// `without_spans` leaves out the parts for spans and fields, which 0.1 took. Nexus's log has no spans.
fn without_spans(filter: &str) -> String {
    // A part for a span may have commas between its brackets.
    let mut depth = 0_usize;
    let parts = filter.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let kept: Vec<&str> = parts.filter(|part| !part.contains('[')).collect();
    if filter.matches('[').count() != filter.matches(']').count() {
        // Where a part ends cannot be told.
        return filter.to_owned();
    }
    if kept.is_empty() {
        "error".to_owned()
    } else {
        kept.join(",")
    }
}

/// `change` says what is other in this version of what a filter of 0.1 is made of.
pub(super) fn change(filter: &str) -> &'static str {
    if filter.contains('[') {
        "the log has no spans and no filters for fields any more; this version still reads a filter with them, and leaves \
         them out"
    } else {
        "the parts of the log have been renamed; this version still reads the old names"
    }
}

/// `current` is the filter with the targets of this version.
pub(super) fn current(filter: &str) -> String {
    let filter = without_spans(filter);
    let parts = filter.split(',').map(|part| {
        let directive = part.trim_start();
        let blank = part.strip_suffix(directive).unwrap_or_default();
        let end = directive.find(['=', ' ']).unwrap_or(directive.len());
        let Some((target, rest)) = directive.split_at_checked(end) else {
            return part.to_owned();
        };
        let fits = |was: &str| {
            let inner = target.strip_prefix(was);
            inner.is_some_and(|inner| inner.is_empty() || inner.starts_with("::"))
        };
        let found = TARGETS
            .iter()
            .filter(|(was, _)| fits(was))
            .max_by_key(|(was, _)| was.len());
        let Some((_, now)) = found else {
            return part.to_owned();
        };
        let now: Vec<String> = now.iter().map(|now| format!("{now}{rest}")).collect();
        blank.to_owned() + &now.join(",")
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn targets_of_the_version_before_are_those_of_the_crates() {
        for (was, now) in [
            ("info", "info"),
            ("warn,nexus=debug", "warn,nexus=debug"),
            ("warn,nexus::web=debug", "warn,nexus_web=debug"),
            (
                "warn, nexus::services::chat::pump=trace,nexus::runtime[call]=debug,nexus::web=info",
                "warn, nexus_chat::event_pump=trace,nexus_web=info",
            ),
            (
                "nexus::runtime::supervisor=info,nexus::process::keeper=off",
                "nexus_plugin_host::instance::supervisor=info,nexus_process=off",
            ),
            ("nexus::web::identity=debug", "nexus_web::http::identity=debug"),
            (
                "nexus::services::tunnel::slot=debug,nexus::outgoing::probe=info",
                "nexus_tunnels=debug,nexus_egress::public_check=info",
            ),
            (
                "nexus::audit=info,nexus::app::chosen=info,nexus::app::loads=info",
                "nexus_logging::audit=info,nexus_registry::overrides=info,nexus_registry=info",
            ),
            (
                "nexus::services::chat::switch=info",
                "nexus_chat::backend_task=info,nexus_chat::swap=info",
            ),
            ("nexus::website=info", "nexus::website=info"),
            (
                "nexus::app=debug,nexus::cli::up=debug",
                "nexus::app=debug,nexus::cli::up=debug",
            ),
            ("nexus_web=debug", "nexus_web=debug"),
            ("info,[{a,b=\"x\"}]=trace,h2=off", "info,h2=off"),
            ("nexus[call]=debug", "error"),
            ("nexus[call=debug,h2=off", "nexus[call=debug,h2=off"),
        ] {
            assert_eq!(current(was), now);
        }
    }

    #[test]
    fn a_filter_has_levels_and_targets_with_levels() {
        use tracing_subscriber::filter::LevelFilter as L;
        let shown = |filter: &str, target: &str| {
            let targets = log_targets(filter).unwrap();
            let levels = [L::TRACE, L::DEBUG, L::INFO, L::WARN, L::ERROR];
            let enabled = |level: &&L| level.into_level().is_some_and(|l| targets.would_enable(target, &l));
            levels.iter().find(enabled).copied().unwrap_or(L::OFF)
        };
        assert_eq!(shown("info", "any"), L::INFO);
        assert_eq!(shown("Warn, nexus_web=debug", "nexus_web::live"), L::DEBUG);
        assert_eq!(shown("warn, nexus_web=debug", "hyper"), L::WARN);
        assert_eq!(shown("nexus_web=debug", "hyper"), L::OFF);
        assert_eq!(shown("off,nexus_web=off", "nexus_web"), L::OFF);
        for (filter, cause) in [
            ("", "`` is not a level"),
            ("info,", "`` is not a level"),
            ("loud", "`loud` is not a level"),
            ("nexus_web", "`nexus_web` is not a level"),
            ("info,nexus_web=", "`` is not a level"),
            ("info,nexus_web=loud", "`loud` is not a level"),
            ("info,a=b=debug", "`b=debug` is not a level"),
            ("info,=debug", "`=debug` is not TARGET=LEVEL"),
            ("info,nexus[call]=debug", "`nexus[call]=debug` is not TARGET=LEVEL"),
            ("info,nexus[call=debug,h2=off", "`nexus[call=debug` is not TARGET=LEVEL"),
        ] {
            assert_eq!(log_targets(filter).unwrap_err(), cause, "{filter}");
        }
    }

    /// Tells whether there is a module with the path `nexus_web::http`.
    fn is_module(path: &str) -> bool {
        let mut parts: Vec<&str> = path.split("::").collect();
        let of_crate = match parts.remove(0).strip_prefix("nexus_") {
            Some(name) => format!("../{}/src", name.replace('_', "-")),
            None => "../../src".to_owned(),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(of_crate);
        let Some(last) = parts.pop() else {
            return root.join("lib.rs").is_file();
        };
        let folder = parts.iter().fold(root, |folder, part| folder.join(part));
        folder.join(format!("{last}.rs")).is_file() || folder.join(last).join("mod.rs").is_file()
    }

    #[test]
    fn each_new_target_is_a_module_of_the_source_and_no_old_one_is() {
        for (was, now) in TARGETS {
            assert!(!is_module(was), "{was} is a module: a filter of it is right as it is");
            for now in *now {
                assert!(is_module(now), "{was} is read as {now}, which is no module");
            }
            let filter = current(&format!("{was}=debug"));
            assert_eq!(filter, current(&filter), "what a notice says to write is read as it is");
        }
    }
}
