//! The options that every subcommand has.

use clap::Args;
use std::path::PathBuf;

/// Which configuration, and where the data lies. They may stand anywhere, since most commands look at both.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonOptions {
    /// The configuration file [default: ~/.config/nexus/nexus.toml if it exists, else the built-in defaults]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The folder for accounts, chats and installed programs [default: ~/.local/share/nexus]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
}

impl CommonOptions {
    /// `command` is `nexus WORDS` with these options.
    pub(super) fn command(&self, words: &str) -> String {
        nexus_config::command(words, self.config.as_deref(), self.data_dir.as_deref())
    }

    /// `with_place` is a text whose commands have these options.
    pub(super) fn with_place(&self, text: &str) -> String {
        nexus_config::with_place(text, self.config.as_deref(), self.data_dir.as_deref())
    }
}
