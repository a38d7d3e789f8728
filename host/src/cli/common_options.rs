//! The options that every subcommand has.

use clap::Args;
use std::path::PathBuf;

/// Which configuration, and where the data lies. They may stand anywhere, since most commands look at both.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonOptions {
    /// The configuration file. By default nexus/nexus.toml in the user's configuration folder is used if it exists, else
    /// the built-in defaults (`nexus plugin` reads only a file that is given). A file in the current directory is never
    /// used, because the agent can write there
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The folder for accounts, chats and installed programs [default: nexus in the user's data folder]
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
