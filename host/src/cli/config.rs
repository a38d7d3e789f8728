//! `nexus config …`

use super::{Components, EXIT_USAGE, Where, complain, load_config, say};
use crate::config::show_duration;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a file: every problem with its place, what was found, what was expected and how to mend it
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(super) fn run(command: &ConfigCommand) -> ExitCode {
    let ConfigCommand::Check { file } = command;
    let place = Where {
        config: Some(file.clone()),
        ..Where::default()
    };
    let config = match load_config(&place, None, &Components::shipped()) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    say(&format!("{} is fine", file.display()));
    say(&format!("  web     {}", config.web.listen));
    say(&format!(
        "  auth    {}, {} failures lock for {}",
        config.auth.plugin,
        config.auth.lockout_failures,
        show_duration(config.auth.lockout)
    ));
    say(&format!(
        "  chat    {} in {}",
        config.chat.plugin,
        config.chat.workspace.display()
    ));
    for tunnel in config.tunnels.values() {
        say(&format!(
            "  tunnel  {}: {}{}",
            tunnel.name,
            tunnel.plugin,
            if tunnel.autostart { ", opened at start" } else { "" }
        ));
    }
    ExitCode::SUCCESS
}
