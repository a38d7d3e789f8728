//! `nexus backup`, `nexus restore`.

use super::common_options::CommonOptions;
use super::load_config::load_config;
use super::operator_only;
use super::terminal::{print_error, say};
use clap::Args;
use nexus_config::resolved::Config;
use nexus_logging::logfile;
use nexus_model::time::Utc;
use nexus_store::backup::{self, Manifest};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write; it must not exist yet [default: nexus-TIME.tar.gz in the current directory]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `nexus backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Restore even if there is data; the old data is moved to before-restore-… in the data folder
    #[arg(long)]
    force: bool,
}

pub(super) fn write(args: BackupArgs, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let config = match load_config(place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    if let Some(code) = operator_only::turned_away(&config.data_dir, "backup") {
        return Ok(code);
    }
    let file = args.file.unwrap_or_else(|| {
        let now = Utc::now().for_file_names();
        PathBuf::from(format!("nexus-{now}.tar.gz"))
    });
    let log = config.log.file.as_ref().map(|log| log.path.clone());
    let written = backup::write(&config.data_dir, &file, &|path| {
        log.as_deref().is_some_and(|log| logfile::is_part_of(log, path))
    })?;
    tracing::info!(target: "audit", event = "backup", file = %file.display(), by = "command line");
    for path in &written.skipped {
        print_error(&format!(
            "skipped, because it is not a regular file: {}",
            path.display()
        ));
    }
    say(&format!(
        "wrote {}: {} bytes, containing {}",
        file.display(),
        written.bytes,
        files(&written.manifest)
    ));
    for line in not_in_it(&config) {
        print_error(&line);
    }
    Ok(ExitCode::SUCCESS)
}

/// `not_in_it` is what is needed besides, and lies elsewhere.
fn not_in_it(config: &Config) -> Vec<String> {
    let mut lines = vec!["Keep this file as safe as a password: it contains the accounts and the chats.".to_owned()];
    if let Some(file) = &config.file {
        lines.push(format!(
            "It does not contain the configuration {} or the secret files and plugins that it names.",
            file.display()
        ));
    }
    lines
}

pub(super) fn restore(args: &RestoreArgs, place: &CommonOptions) -> anyhow::Result<ExitCode> {
    let config = match load_config(place, None, &crate::builtin::components()) {
        Ok(config) => config,
        Err(e) => return Ok(e.show()),
    };
    if let Some(code) = operator_only::turned_away(&config.data_dir, "restore") {
        return Ok(code);
    }
    let restored = backup::restore(&args.file, &config.data_dir, args.force)?;
    tracing::info!(target: "audit", event = "restore", file = %args.file.display(), made = restored.manifest.created_at, by = "command line");
    say(&format!(
        "restored {} from the backup that nexus {} wrote at {}: {}",
        config.data_dir.display(),
        restored.manifest.nexus,
        restored.manifest.created_at,
        files(&restored.manifest)
    ));
    if let Some(before) = &restored.before {
        say(&format!("The previous data is in {}", shown(before)));
    }
    print_error("Everyone has to log in again: logins are not part of a backup.");
    if !config.data_dir.join("tools").exists() && config.chat.plugin == "chat-opencode" {
        print_error(&format!(
            "Installed programs are not part of it either. If you installed opencode with Nexus, run: {}",
            place.command("setup opencode")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn files(manifest: &Manifest) -> String {
    match manifest.files.len() {
        1 => "the database".to_owned(),
        2 => "the database and one more file".to_owned(),
        many => format!("the database and {} more files", many - 1),
    }
}

fn shown(path: &Path) -> String {
    format!("{}; delete it when you no longer need it", path.display())
}
