//! What lies below the services: the data folder with its lock and database, the process table, the outgoing
//! client, and the runtime with the plugins of the configuration. Also all that `nexus user` needs.

use super::loader::Loader;
use super::opened_journal::OpenedJournal;
use anyhow::Context as _;
use nexus_config::resolved::Config;
use nexus_model::random::random_token;
use nexus_model::time::Clock;
use nexus_plugin_host::{HostServices, Runtime, RuntimeOptions};
use nexus_process::{Processes, Refusing, TableOptions};
use nexus_registry::{Catalog, RereadConfig};
use nexus_store::Store;
use nexus_store::lock::Lock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `DataDirLock` is the data folder, for this process alone.
pub struct DataDirLock(Lock);

impl DataDirLock {
    /// Takes the lock of the data folder.
    ///
    /// # Errors
    /// Another Nexus runs on it.
    pub fn take(data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(Lock::acquire(data_dir)?))
    }

    /// Says where the page listens, for the message that a second nexus gets.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn listening(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        Ok(self.0.listening(&format!("http://{address}"))?)
    }
}

/// `Foundation` is what the services stand on. There is one for each process.
pub struct Foundation {
    /// `config` is as it was at the start.
    pub config: Config,
    /// `loader` loads the plugins of the configuration.
    pub loader: Loader,
    /// `store` is the database in the data folder.
    pub store: Store,
    /// `processes` is the table of child processes.
    pub processes: Arc<dyn Processes>,
    /// `journal` is where the plugins find the journal, once it is open.
    pub journal: Arc<OpenedJournal>,
    _lock: Option<DataDirLock>,
}

impl Foundation {
    /// Opens the database and makes the rest. Without `lock` there are no child processes: another host may own them.
    ///
    /// # Errors
    /// The database cannot be opened, or the machine cannot run plugins.
    pub fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        lock: Option<DataDirLock>,
        again: Option<RereadConfig>,
    ) -> anyhow::Result<Self> {
        let store = Store::open(&config.data_dir)?;
        let processes: Arc<dyn Processes> = if lock.is_some() {
            processes(&config, &config.data_dir)?
        } else {
            Arc::new(Refusing::new("Only `nexus up` starts processes, not this command."))
        };
        let cache_in = config.data_dir.clone();
        Self::on(store, processes, config, clock, cache_in, lock, again)
    }

    /// Makes one for a look at the plugins beside a host that runs: programs can be asked for their version, but with a
    /// folder and a store of their own below `scratch`, so that nothing of the host is touched but its cache.
    ///
    /// # Errors
    /// `scratch` cannot be written, or the machine cannot run plugins.
    pub fn beside(config: Config, clock: Arc<dyn Clock>, scratch: &Path) -> anyhow::Result<Self> {
        let store = Store::open(scratch)?;
        let processes = processes(&config, scratch)?;
        // Looking must not make a data folder where there is none.
        let cache_in = if config.data_dir.exists() {
            config.data_dir.clone()
        } else {
            scratch.to_owned()
        };
        Self::on(store, processes, config, clock, cache_in, None, None)
    }

    fn on(
        store: Store,
        processes: Arc<dyn Processes>,
        config: Config,
        clock: Arc<dyn Clock>,
        cache_in: PathBuf,
        lock: Option<DataDirLock>,
        again: Option<RereadConfig>,
    ) -> anyhow::Result<Self> {
        let journal = Arc::new(OpenedJournal::default());
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data_dir.clone(),
            cache_in,
            services: HostServices {
                clock,
                processes: Arc::clone(&processes),
                outgoing: Arc::new(nexus_egress::Client::new()),
                kv: store.clone().into(),
                transcripts: Arc::<OpenedJournal>::clone(&journal),
            },
        })?;
        Ok(Self {
            loader: Loader {
                runtime,
                catalog: Arc::new(Catalog::new(&config).with_reread(again)),
                workspaces: config.chat.workspaces.clone(),
            },
            config,
            store,
            processes,
            journal,
            _lock: lock,
        })
    }
}

/// `processes` is the table of child processes, whose files are kept in `data_dir`.
fn processes(config: &Config, data_dir: &Path) -> anyhow::Result<Arc<dyn Processes>> {
    Ok(nexus_process::open(TableOptions {
        data_dir: data_dir.to_owned(),
        instance_id: random_token()?,
        shim_exe: std::env::current_exe().context("cannot find this program's own file")?,
        hidden_env: config.secret_variables.clone(),
    })?)
}
