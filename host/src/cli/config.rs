//! `nexus config …`

use super::common_options::CommonOptions;
use super::doctor::{no_file, unloadable};
use super::load_config::{EXIT_USAGE, load_config};
use super::permissions;
use super::terminal::{print_error, say};
use clap::Subcommand;
use nexus_config::resolved::Config;
use nexus_config::{with_file, with_place};
use nexus_model::plural::{self, count};
use nexus_model::trouble::sentence;
use nexus_model::units::exact_duration;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check a configuration file and show each problem with its position and fix. The exit code is 2 if there is one, and 0
    /// if a plugin only has missing permissions
    Check {
        /// The configuration file [default: the file that `nexus up` uses]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(command: &ConfigCommand, mut place: CommonOptions) -> ExitCode {
    let ConfigCommand::Check { file } = command;
    if let Some(file) = file
        && let Some(other) = place.config.replace(file.clone())
    {
        print_error(&format!(
            "error: two files were given, {} and {}. To fix: check one at a time",
            file.display(),
            other.display()
        ));
        return ExitCode::from(EXIT_USAGE);
    }
    let config = match load_config(&place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => {
            return e.show();
        }
    };
    let of_plugins = config.broken.values().filter_map(|broken| broken.report.as_ref());
    for report in of_plugins.chain(&config.chat.unusable) {
        print_error(&format!("{report}\n"));
    }
    let failing = failing(&config);
    let lacking = permissions::of_selected(&config);
    match &config.file {
        Some(file) if failing.is_empty() && lacking.is_empty() => say(&format!("{} is valid", file.display())),
        Some(file) if failing.is_empty() => say(&format!(
            "{} is valid, but plugins have missing permissions",
            file.display()
        )),
        Some(file) => say(&format!(
            "{} can be read, but these parts would not start: {}",
            file.display(),
            failing.join(", ")
        )),
        None => say(&format!("{}. These are the defaults:", no_file())),
    }
    say(&format!("  web     {}", config.web.listen));
    say(&format!(
        "  login   {}; {} an account for {}",
        config.auth.plugin,
        plural::of(
            config.auth.lockout_failures.into(),
            "wrong password locks",
            "wrong passwords lock"
        ),
        exact_duration(config.auth.lockout)
    ));
    let folders = config.chat.workspaces.all().map(|path| path.display().to_string());
    say(&format!(
        "  chat    {} in {}",
        config.chat.plugin,
        folders.collect::<Vec<_>>().join(", ")
    ));
    for tunnel in config.tunnels.values() {
        say(&format!(
            "  tunnel  {}: {}{}",
            tunnel.name,
            tunnel.plugin,
            if tunnel.autostart { ", opened at start" } else { "" }
        ));
    }
    if let Some(metrics) = &config.metrics {
        say(&format!("  metrics http://{}/metrics", metrics.listen));
    }
    if let Some(notify) = &config.notify {
        let by = match (&notify.command, &notify.webhook) {
            (Some(_), Some(_)) => "a command and a webhook",
            (Some(_), None) => "a command",
            (None, _) => "a webhook",
        };
        say(&format!(
            "  notify  by {by}, for {}",
            count(notify.events.len(), "event type")
        ));
    }
    for notice in &config.notices {
        print_error(&format!("warning: {notice}"));
    }
    for (plugin, program, path) in missing_programs(&config) {
        print_error(&format!(
            "warning: [plugin.{plugin}.grants.process.{program}] path = \"{}\": this program does not exist. To fix: \
             correct the path, or leave it out to search the PATH",
            path.display()
        ));
    }
    for lacks in lacking {
        let text = sentence(&lacks.sentence(), Some(&lacks.fix()));
        print_error(&format!("warning: {}", with_file(&text, config.file.as_deref())));
    }
    if failing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_USAGE)
    }
}

/// Says which parts would fail at the start, and why. Gives their names.
fn failing(config: &Config) -> Vec<String> {
    let (mut troubles, mut refused, mut reported) = (config.troubles.clone(), Vec::new(), Vec::new());
    match unloadable(config.clone()) {
        Ok(found) => {
            troubles.extend(found.troubles);
            refused = found.refused;
            reported = found.reported;
            for warning in found.warnings {
                print_error(&format!("warning: {}", with_file(&warning, config.file.as_deref())));
            }
        }
        Err(error) => {
            print_error(&format!(
                "warning: cannot check whether the plugins can be loaded: {error:#}"
            ));
        }
    }
    for (_, report) in &refused {
        print_error(&report.to_string());
    }
    let file = config.file.as_deref();
    for trouble in &troubles {
        let text = with_file(&format!("error: {trouble}"), file);
        print_error(&with_place(&text, file, Some(&config.data_dir)));
    }
    let mut parts: Vec<String> = troubles.into_iter().map(|trouble| trouble.subject).collect();
    parts.extend(reported);
    parts.dedup();
    let plugins = config.broken.keys().chain(refused.iter().map(|(plugin, _)| plugin));
    for plugin in plugins.map(|plugin| format!("plugin {plugin}")) {
        if !parts.iter().any(|part| part.ends_with(&plugin)) {
            parts.push(plugin);
        }
    }
    parts
}

/// `missing_programs` are granted paths where there is nothing. That is not an error: what is missing today may be
/// installed before the plugin runs it.
fn missing_programs(config: &Config) -> impl Iterator<Item = (&str, &str, &Path)> {
    config.plugins.iter().flat_map(|(plugin, own)| {
        let granted = own.grants.processes.iter();
        granted.filter_map(|(program, grant)| {
            let path = grant.path.as_deref()?;
            (!path.is_file()).then_some((plugin.as_str(), program.as_str(), path))
        })
    })
}
