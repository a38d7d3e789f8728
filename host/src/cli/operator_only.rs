//! Who calls a command that acts for the operator: whatever descends from a Nexus is turned away, since that is the agent,
//! and leaves a line in the audit. One place for all such commands; the control socket asks the same question
//! ([`nexus_process::ancestry`]) for itself.

use super::terminal::print_error;
use nexus_logging::audit::{Audit, TARGET};
use nexus_process::ancestry;
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Before a command acts: what it does from now on is written into the audit of `data_dir`. `Some`: it may not, which has
/// been said.
pub(super) fn turned_away(data_dir: &Path, command: &str) -> Option<ExitCode> {
    // A second one in this process (a test's) goes without.
    let audit = Audit::of_command(data_dir).with_filter(filter_fn(|meta| meta.target() == TARGET));
    let _ = tracing_subscriber::registry().with(audit).try_init();
    let cause = match ancestry::of_this_process(data_dir) {
        Some(cause) => cause,
        // A namespace of processes hides from this one what the host sees.
        None => of_the_host(data_dir)?,
    };
    // Nothing is made where Nexus has never been.
    if data_dir.is_dir() {
        tracing::warn!(target: "audit", event = "refused", what = format!("nexus {command}"), cause, pid = std::process::id());
    }
    print_error(&format!(
        "error: `nexus {command}` is only for the operator, but this call comes from a process that Nexus started: \
         {cause}.\nTo fix: run it in a terminal that Nexus did not start."
    ));
    Some(ExitCode::FAILURE)
}

/// Tells whether the host that runs on `data_dir` turns this process away.
#[cfg(unix)]
fn of_the_host(data_dir: &Path) -> Option<String> {
    use super::control_client::{Refusal, request};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let asked =
        async { tokio::time::timeout(nexus_model::limits::SOCKET_SEND, request(data_dir, "/healthz", None)).await };
    match runtime.block_on(asked) {
        Ok(Err(Refusal::Forbidden(cause))) => Some(cause),
        _ => None,
    }
}

#[cfg(not(unix))]
fn of_the_host(_: &Path) -> Option<String> {
    None
}
