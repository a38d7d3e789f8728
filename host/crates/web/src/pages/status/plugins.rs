//! The plugins: whether each runs, what it may do, and what it did.

use crate::pages::until;
use nexus_model::plugin::{Details, Failure, Kind, PluginState, PluginStatistics, PluginStatus, Source};
use nexus_model::plural;
use nexus_model::time::Millis;
use nexus_model::trouble::sentence;
use nexus_model::units::{about_size, about_time};

/// `severity`: `ok`, `warning`, `error` or `inactive`; never the only sign, the word is beside it.
pub(super) struct PluginRow {
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) version: String,
    pub(super) severity: &'static str,
    pub(super) state: &'static str,
    pub(super) detail: Option<String>,
    pub(super) failure: Option<Failure>,
    pub(super) restarts: u32,
    pub(super) more: Option<More>,
}

/// `More` is what stands behind "Details".
pub(super) struct More {
    pub(super) description: String,
    pub(super) origin: String,
    pub(super) digest: String,
    pub(super) grants: Vec<String>,
    pub(super) missing_permissions: Vec<String>,
    pub(super) limits: Vec<String>,
    pub(super) did: String,
    pub(super) at: Millis,
    pub(super) processes: Vec<String>,
}

/// `Machine` is what the processes of the backend use, in words.
pub(super) struct Machine {
    pub(super) text: String,
    pub(super) at: Millis,
}

impl Machine {
    pub(super) fn new(details: &Details, now: Millis) -> Option<Self> {
        let processes = &details.processes;
        let first = processes.iter().map(|process| process.started_at).min()?;
        let mut words = vec![format!("up for {}", about_time(now.saturating_sub(first)))];
        let sum =
            |each: fn(&nexus_model::plugin::Process) -> Option<u64>| processes.iter().map(each).sum::<Option<u64>>();
        words.extend(sum(|process| process.cpu_ms).map(|ms| format!("{} of CPU", about_time(ms))));
        words.extend(sum(|process| process.resident_bytes).map(|bytes| format!("{} of memory", about_size(bytes))));
        Some(Self {
            text: words.join(" · "),
            at: now,
        })
    }
}

/// `details` are in the same order; those of a plugin that is not loaded are left out.
/// `missing_program` is the plugin whose program is not installed.
pub(super) fn rows(
    plugins: &[PluginStatus],
    details: &[Details],
    missing_program: Option<&str>,
    now: Millis,
) -> Vec<PluginRow> {
    let mut details = details.iter().peekable();
    let rows = plugins.iter().enumerate().map(|(id, status)| {
        let more = details.next_if(|details| details.name == status.name);
        row(id, status, more, missing_program == Some(status.name.as_str()), now)
    });
    rows.collect()
}

fn row(id: usize, status: &PluginStatus, details: Option<&Details>, program_missing: bool, now: Millis) -> PluginRow {
    let (severity, state, detail) = match &status.state {
        PluginState::Stopped => ("inactive", "Stopped", None),
        PluginState::Starting => ("warning", "Starting", None),
        PluginState::Running if program_missing => ("warning", "Program missing", None),
        PluginState::Running => ("ok", "Running", None),
        PluginState::Restarting { cause, at } => (
            "warning",
            "Restarting",
            Some(format!("The plugin crashed and restarts {}: {cause}", until(*at, now))),
        ),
        PluginState::Failed { cause } => ("error", "Failed", Some(cause.clone())),
    };
    let role = match (status.kind, details.and_then(|details| details.tunnel.as_deref())) {
        (Kind::Auth, _) => "Login".to_owned(),
        (Kind::Chat, _) => "Chat".to_owned(),
        (Kind::Tunnel, Some(tunnel)) => format!("Tunnel {tunnel}"),
        (Kind::Tunnel, None) => "Tunnel".to_owned(),
    };
    // The last failure says it, with the fix.
    let failure = status.last_failure.as_ref();
    let detail = detail.filter(|detail| failure.is_none_or(|failure| failure.cause != *detail));
    PluginRow {
        id,
        name: status.name.clone(),
        role,
        version: status.version.clone(),
        severity,
        state,
        detail,
        failure: status.last_failure.clone().map(|failure| Failure {
            cause: sentence(&failure.cause, None),
            ..failure
        }),
        restarts: status.restarts,
        more: details.map(|details| more(details, now)),
    }
}

fn more(details: &Details, now: Millis) -> More {
    let facts = &details.facts;
    More {
        description: facts.description.clone(),
        origin: match &facts.source {
            Source::Builtin => "built in".to_owned(),
            Source::File(path) => format!("from {path}"),
        },
        digest: facts.digest.clone(),
        grants: facts.grants.clone(),
        missing_permissions: facts.missing_permissions.clone(),
        limits: facts.limits.clone(),
        did: did(&details.statistics),
        at: details.statistics.at,
        processes: details
            .processes
            .iter()
            .map(|process| {
                let mut words = vec![format!("{} (process {})", process.name, process.pid)];
                words.push(format!("up for {}", about_time(now.saturating_sub(process.started_at))));
                words.extend(process.cpu_ms.map(|ms| format!("{} of CPU", about_time(ms))));
                words.extend(
                    process
                        .resident_bytes
                        .map(|bytes| format!("{} of memory", about_size(bytes))),
                );
                match process.restarts {
                    0 => {}
                    1 => words.push("restarted once".to_owned()),
                    many => words.push(format!("restarted {many} times")),
                }
                words.join(" · ")
            })
            .collect(),
    }
}

fn did(statistics: &PluginStatistics) -> String {
    let mut words = vec![
        plural::of(statistics.calls, "call", "calls"),
        format!("{} failed", statistics.errors),
    ];
    // Of one that never grew its memory nothing is known.
    if statistics.memory_peak_bytes > 0 {
        words.push(format!("peak memory {}", about_size(statistics.memory_peak_bytes)));
    }
    words.push(format!("{} of CPU", about_time(statistics.cpu_ms)));
    let noted = [
        (statistics.crashes, "crash", "crashes"),
        (statistics.denied, "denied call", "denied calls"),
        (statistics.log_dropped, "log line dropped", "log lines dropped"),
    ];
    words.extend(
        noted
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, more)| plural::of(*count, one, more)),
    );
    if statistics.cpu_paused_ms > 0 {
        words.push(format!("throttled for {}", about_time(statistics.cpu_paused_ms)));
    }
    words.join(" · ")
}
