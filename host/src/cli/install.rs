//! `nexus setup …`

use super::common_options::CommonOptions;
use super::load_config::load_config;
use super::operator_only;
use super::terminal::{print_error, say};
use clap::Subcommand;
use nexus_install::Progress;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum SetupCommand {
    /// Install the version of opencode that Nexus was tested with into the data folder (needs npm)
    Opencode,
}

pub(super) fn run(command: &SetupCommand, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let SetupCommand::Opencode = command;
    let config = match load_config(place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    if let Some(code) = operator_only::turned_away(&config.data_dir, "setup opencode") {
        return Ok(code);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let path = runtime.block_on(async {
        if let Some(there) = nexus_install::installed(&config.data_dir).await {
            return Ok(there);
        }
        let mut stops = super::Stops::catch()?;
        let search = std::env::var_os("PATH");
        let mut show = |progress: Progress| match progress {
            Progress::Step(text) => say(&text),
            Progress::Output(line) => print_error(&format!("  {line}")),
        };
        tokio::select! {
            done = nexus_install::install_opencode(&config.data_dir, search.as_deref(), &mut show) => done.map_err(anyhow::Error::from),
            stop = stops.next() => Err(anyhow::anyhow!("interrupted by {stop}; nothing was changed")),
        }
    })?;
    tracing::info!(target: "audit", event = "setup", what = "opencode", path = %path.display(), by = "command line");
    say(&format!(
        "opencode {} is installed: {}",
        nexus_install::OPENCODE_VERSION,
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}
