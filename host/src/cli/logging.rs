//! The log goes to stderr: stdout carries the lines that programs read.

use crate::config::resolved::Log;
use anyhow::Context as _;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts the log of this process.
///
/// # Errors
/// The filter is not one, or a log has been started before.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let mut filter = EnvFilter::try_new(&log.filter).context("log.filter")?;
    // Who came in is not silenced by the way, only by name.
    if !log.filter.contains("audit") {
        filter = filter.add_directive("audit=info".parse().context("log.filter")?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let started = if log.json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
    started.map_err(|e| anyhow::anyhow!("the log cannot be started: {e}"))
}
