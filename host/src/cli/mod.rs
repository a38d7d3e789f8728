//! The command line: one file per subcommand. Exit codes: 0 ok, 1 failure, 2 usage or configuration.

mod backup;
mod common_options;
mod completions;
mod config;
mod control_client;
mod doctor;
mod install;
mod load_config;
mod logging;
mod logs;
mod operator_only;
mod permissions;
pub mod plugin;
mod running_host;
mod signals;
mod systemd;
mod terminal;
mod trace;
mod up;
pub mod user;

pub use common_options::CommonOptions;
pub use load_config::{EXIT_USAGE, LoadError, load_config};
pub use signals::{Stop, Stops};

use crate::app::{Foundation, ReloadHooks};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use nexus_auth::AuthService;
use nexus_config::resolved::Config;
use nexus_config::{HostEnvironment, Overrides, default_place};
use nexus_model::time::{Clock, SystemClock};
use nexus_registry::RereadConfig;
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use terminal::{print_error, print_failure, print_raw, say};

/// For a task that hangs on a dead disk, and for a terminal that takes nothing: neither keeps the process.
const LAST_WAIT: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug, Parser)]
#[command(
    name = "nexus",
    version,
    about = "Puts an AI coding agent on the web safely: chat backends, tunnels and logins are sandboxed WASM plugins",
    after_help = "Without a subcommand, `nexus up` runs. Exit codes: 0 success, 1 failure, 2 usage or configuration \
        error.",
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    place: CommonOptions,
    #[command(flatten)]
    up: UpArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Nexus: the web page, the plugins and the tunnels (the default)
    Up(UpArgs),
    /// Show the status of the backend, the tunnels and the plugins
    Status(running_host::Shown),
    /// List, start, stop and swap the tunnels of the running Nexus
    #[command(subcommand)]
    Tunnel(running_host::TunnelCommand),
    /// Start, stop, restart and swap the chat backend of the running Nexus
    #[command(subcommand)]
    Chat(running_host::ChatCommand),
    /// Check a configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// List, show, check and build plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Manage the accounts of Nexus
    #[command(subcommand)]
    User(user::UserCommand),
    /// Install a program that Nexus uses
    #[command(subcommand)]
    Setup(install::SetupCommand),
    /// Show where the time of chat events goes on their way from the backend to the browser
    Trace(trace::TraceArgs),
    /// Show the log file
    Logs(logs::LogsArgs),
    /// Back up accounts, chats and plugin data into one file (not the configuration or secret files); Nexus may be running
    Backup(backup::BackupArgs),
    /// Restore a backup; Nexus must not be running
    Restore(backup::RestoreArgs),
    /// Diagnose problems on this machine and show how to fix them
    Doctor(doctor::DoctorArgs),
    /// Print the completion script of a shell
    #[command(after_help = completions::HOW_TO_USE_COMPLETIONS)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the manual pages of all commands into a folder
    Man(completions::ManArgs),
    /// Print the version
    Version,
}

#[derive(Debug, Clone, Default, Args)]
struct UpArgs {
    /// The address of the web page; port 0 selects any free port [default: 127.0.0.1:7860]
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    listen: Option<SocketAddr>,
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an address with a port, such as 127.0.0.1:7860 or [::1]:7860; port 0 selects any free port".to_owned()
    })
}

/// The program. `args` begin with its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    nexus_process::hide_from_other_programs();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // A closed pipe behind `nexus --help | head` is no error worth a word.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    let Cli { place, up, command } = cli;
    let given = place.clone();
    if up.listen.is_some() && !matches!(command, None | Some(Command::Up(_))) {
        print_error("error: --listen only works with `nexus up`; the other commands do not open a web page");
        return ExitCode::from(EXIT_USAGE);
    }
    let result = match command.unwrap_or(Command::Up(UpArgs::default())) {
        Command::Up(args) => run_up(&place, args.listen.or(up.listen)),
        Command::Status(shown) => running_host::status(&shown, &place),
        Command::Tunnel(command) => running_host::tunnel(command, &place),
        Command::Chat(command) => running_host::chat(&command, &place),
        Command::Config(command) => Ok(config::run(&command, place)),
        Command::Plugin(command) => plugin::run(command, &place),
        Command::User(command) => run_user(command, &place),
        Command::Setup(command) => install::run(&command, &place),
        Command::Trace(args) => trace::run(&args, &place),
        Command::Logs(args) => logs::run(&args, &place),
        Command::Backup(args) => backup::write(args, &place),
        Command::Restore(args) => backup::restore(&args, &place),
        Command::Doctor(args) => doctor::run(&args, &place),
        Command::Completions(args) => completions::completions(&args, Cli::command()),
        Command::Man(args) => completions::man(&args, Cli::command()),
        Command::Version => {
            say(Cli::command().render_version().trim_end());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|e| {
        print_failure(&given.with_place(&format!("{e:#}")));
        ExitCode::FAILURE
    })
}

fn run_up(place: &CommonOptions, listen: Option<SocketAddr>) -> anyhow::Result<ExitCode> {
    nexus_plugin_host::keep_few_arenas();
    let config = match load_config(place, listen, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    config.file.as_deref().map_or(Ok(()), up::refuse_a_file_of_others)?;
    nexus_store::lock::refuse_a_second(&config.data_dir)?;
    let (filter, logs) = logging::start(&config.log, &config.data_dir)?;
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    let named = place.clone();
    let rereading = ReloadHooks {
        file: config
            .file
            .clone()
            .or_else(|| place.config.clone())
            .or_else(default_place),
        read: Box::new(move || {
            let read = load_config(&named, listen, &crate::builtin::components());
            read.map_err(|error| error.to_string())
        }),
        again: again(&config, place, listen),
        filter: Box::new(move |text| filter.set(text)),
    };
    // One worker: with two, an event on its way from a backend to a browser would wake the other one at each step, and wait for
    // it. Everything that blocks goes to the blocking pool, and so does a guest that computes.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let code = runtime.block_on(up::up(config, rereading, &logs.terminal));
    runtime.shutdown_timeout(LAST_WAIT);
    logs.finish(LAST_WAIT);
    code
}

/// Reads the configuration again for a plugin that could not be loaded when it was read first.
fn again(config: &Config, place: &CommonOptions, listen: Option<SocketAddr>) -> RereadConfig {
    let (config, data_dir) = (config.clone(), place.data_dir.clone());
    Arc::new(move || {
        let plugins = crate::builtin::components();
        let machine = HostEnvironment::this(&plugins).map_err(|error| LoadError::HostEnvironment(error).to_string())?;
        let overrides = Overrides {
            data_dir: data_dir.clone(),
            listen,
        };
        nexus_config::again(&config, &overrides, &machine).map_err(|report| report.to_string())
    })
}

/// Runs beside a running host or without one: both read the same database at each check.
fn run_user(command: user::UserCommand, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let config = match load_config(place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    if let Some(name) = command.acts()
        && let Some(code) = operator_only::turned_away(&config.data_dir, &format!("user {name}"))
    {
        return Ok(code);
    }
    // Before anything is compiled or made.
    user::can_ask(&command, &config.auth.plugin, &std::io::stdin())?;
    // Looking must not make an empty place that looks like lost accounts.
    if !matches!(command, user::UserCommand::Add { .. }) && !Store::exists(&config.data_dir) {
        anyhow::bail!(
            "there are no accounts in {}: Nexus has never run with this data folder. To fix: give the right folder \
             with --data-dir DIR",
            config.data_dir.display()
        );
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let foundation = Foundation::open(config, Arc::clone(&clock), None, None)?;
        let auth = foundation.config.auth.clone();
        let service = AuthService::open(
            foundation.loader.auth(&auth.plugin)?,
            foundation.store.clone(),
            Arc::clone(&clock),
            auth,
            Arc::new(ActivityLog::unkept(clock)),
        )
        .await?;
        let mut source = user::source(&command);
        let mut answer = Vec::new();
        let done = user::run(command, &service, source.as_mut(), &mut answer).await;
        if !answer.is_empty() {
            print_raw(place.with_place(&String::from_utf8_lossy(&answer)).trim_end());
        }
        done.map(|()| ExitCode::SUCCESS)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn up_is_the_default_with_and_without_flags() {
        let listen = |args: &[&str]| match Cli::try_parse_from(args).unwrap() {
            Cli {
                command: Some(Command::Up(up)),
                ..
            }
            | Cli { command: None, up, .. } => up.listen.map(|l| l.port()),
            other => panic!("{other:?}"),
        };
        assert_eq!(listen(&["nexus"]), None);
        assert_eq!(listen(&["nexus", "--listen", "127.0.0.1:0"]), Some(0));
        assert_eq!(listen(&["nexus", "up", "--listen", "[::1]:80"]), Some(80));
    }

    #[test]
    fn the_folder_options_may_stand_anywhere() {
        for args in [
            ["nexus", "--data-dir", "D", "user", "list"],
            ["nexus", "user", "--data-dir", "D", "list"],
            ["nexus", "user", "list", "--data-dir", "D"],
        ] {
            let cli = Cli::try_parse_from(args).unwrap();
            assert_eq!(cli.place.data_dir, Some("D".into()), "{args:?}");
        }
    }

    #[test]
    fn usage_is_exit_code_2_and_help_is_0() {
        for (args, code) in [
            (vec!["nexus", "--nonsense"], 2),
            (vec!["nexus", "--listen", "here"], 2),
            (vec!["nexus", "--help"], 0),
        ] {
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), code);
        }
    }
}
