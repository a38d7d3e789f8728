//! `nexus completions`, `nexus man`: the command line described for shells and for `man`, out of its own definition.

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) const HOW_TO_USE_COMPLETIONS: &str = "\
bash:        nexus completions bash > ~/.local/share/bash-completion/completions/nexus
zsh:         nexus completions zsh > DIR/_nexus, where DIR is in $fpath
fish:        nexus completions fish > ~/.config/fish/completions/nexus.fish
elvish:      nexus completions elvish >> ~/.config/elvish/rc.elv
powershell:  nexus completions powershell >> $PROFILE";

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder for nexus.1, nexus-up.1, …; without it, nexus.1 is printed to stdout
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "nexus", &mut text);
    write(&text)
}

pub(super) fn man(args: &ManArgs, command: Command) -> anyhow::Result<ExitCode> {
    // A terminal's width is no measure for a page, and `nexus help` has no page of its own.
    let command = command.disable_help_subcommand(true);
    let Some(dir) = &args.dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command).render(&mut text)?;
        return write(&text);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .with_context(|| format!("cannot write the manual pages into {}", dir.display()))?;
    super::terminal::say(&format!(
        "the manual pages are in {0}. To read them: man {0}/nexus.1",
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A closed pipe is an end and no error.
fn write(text: &[u8]) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
