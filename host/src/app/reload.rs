//! What only the program has where the configuration's file is read again: how it was read at the start, what compiles components,
//! and the filter of the log.

use nexus_config::resolved::{Config, Plugin};
use nexus_plugin_host::Runtime;
use nexus_registry::RereadConfig;
use nexus_reload::{Refused, ReloadHost};
use std::path::PathBuf;
use std::sync::Arc;

/// `ReloadHooks` is what only the command line knows. `Err`: a sentence for the operator.
pub struct ReloadHooks {
    /// `file` is the one to look at, which need not be there; `None`: there is none to look at.
    pub file: Option<PathBuf>,
    /// `read` reads and checks it as at the start.
    pub read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// `again` is what this machine makes now of the configuration as it was at the start.
    pub again: RereadConfig,
    /// `filter` gives the log another filter.
    pub filter: SetFilter,
}

/// `SetFilter` gives the log of this process another filter.
pub type SetFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// `AppReloadHost` is what the program has for `reload`.
pub(super) struct AppReloadHost {
    pub(super) rereading: ReloadHooks,
    pub(super) runtime: Arc<Runtime>,
}

impl ReloadHost for AppReloadHost {
    fn read(&self) -> Result<Config, Refused> {
        (self.rereading.read)().map_err(Refused)
    }
    fn would_load(&self, plugin: &Plugin) -> Result<(), Refused> {
        let would = self.runtime.would_load(plugin);
        would.map_err(|cause| Refused(cause.to_string()))
    }
    fn log_filter(&self, filter: &str) -> Result<(), Refused> {
        (self.rereading.filter)(filter).map_err(Refused)
    }
}
