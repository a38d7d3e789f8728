//! What is outside of every room where the configuration's file is read again.

use super::foundation::Foundation;
use nexus_config::resolved::{Config, Plugin};
use nexus_registry::Again;
use nexus_reload::{Outside, Refused};
use std::path::PathBuf;
use std::sync::Arc;

/// `Rereading` is what only the command line knows. `Err`: a sentence for the operator.
pub struct Rereading {
    /// `file` is the one to look at, which need not be there; `None`: there is none to look at.
    pub file: Option<PathBuf>,
    /// `read` reads and checks it as at the start.
    pub read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// `again` is what this machine makes now of the configuration as it was at the start.
    pub again: Again,
    /// `filter` gives the log another filter.
    pub filter: SetFilter,
}

/// `SetFilter` gives the log of this process another filter.
pub type SetFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Where the configuration's file is read again from.
pub(super) struct Reread {
    pub(super) rereading: Rereading,
    pub(super) foundation: Arc<Foundation>,
}

impl Outside for Reread {
    fn read(&self) -> Result<Config, Refused> {
        (self.rereading.read)().map_err(Refused)
    }
    fn would_load(&self, plugin: &Plugin) -> Result<(), Refused> {
        let would = self.foundation.would_load(plugin);
        would.map_err(|why| Refused(why.to_string()))
    }
    fn log_filter(&self, filter: &str) -> Result<(), Refused> {
        (self.rereading.filter)(filter).map_err(Refused)
    }
}
