//! The composition root: makes every room once and connects them. The only place that knows all of them. It decides
//! nothing: what does belongs to one of the rooms.

mod foundation;
mod loader;
mod opened_journal;
mod reload;

pub use foundation::{DataDirLock, Foundation};
pub use loader::Loader;
pub use reload::{ReloadHooks, SetFilter};

use crate::notify::watched_services;
use nexus_auth::AuthService;
use nexus_chat::{BackendStatus, ChatService};
use nexus_config::default_place;
use nexus_config::resolved::Config;
use nexus_logging::logfile::LogReader;
use nexus_model::limits;
use nexus_model::time::{Clock, SystemClock};
use nexus_model::tunnel::TunnelStatus;
use nexus_plugin_traits::{AuthProvider, StopProcesses};
use nexus_registry::{LoadProgress, PluginOverrides, PluginStatuses, Plugins, Registered, counted};
use nexus_reload::{ReloadService, ReloadTargets};
use nexus_store::activity_log::ActivityLog;
use nexus_tunnels::{HttpChecker, TunnelService};
use nexus_web::http::setup_link::setup_link;
use nexus_web::http::starting_page::StartupSwitch;
use nexus_web::{HostInfo, Ingress, Services, TunnelPages, WebState, serve_app};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// `App` is a running Nexus.
pub struct App {
    services: RunningServices,
    listeners: Listeners,
}

/// `Listeners` are the ways in.
struct Listeners {
    address: SocketAddr,
    /// `closing` ends the page's listener and all live sockets.
    closing: CancellationToken,
    page: JoinHandle<()>,
    control: Option<JoinHandle<()>>,
}

impl Listeners {
    async fn close(self) {
        self.closing.cancel();
        let _ = self.page.await;
        if let Some(control) = self.control {
            let _ = control.await;
        }
    }
}

/// `RunningServices` are what the listeners serve, and what has to end with them.
struct RunningServices {
    foundation: Arc<Foundation>,
    setup_link: Option<String>,
    tunnels: Arc<TunnelService>,
    chat: Arc<ChatService>,
    activity: Arc<ActivityLog>,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Opens the listeners, which say from then on that Nexus starts; loads the login plugin and starts the services. When
    /// it returns the page answers, and one can log in if that plugin can be loaded; the other plugins may still be loading, and
    /// what cannot be loaded has failed alone.
    ///
    /// # Errors
    /// The data folder is in use or cannot be written, the address is taken.
    pub async fn start(config: Config, rereading: ReloadHooks, front: StartupSwitch) -> anyhow::Result<Self> {
        let mut lock = DataDirLock::take(&config.data_dir)?;
        let listener = bind(config.web.listen).await?;
        let address = listener.local_addr()?;
        let closing = CancellationToken::new();
        let ingress = Ingress::Local {
            hosts: config.web.hosts.clone(),
            public_url: config.web.public_url.clone(),
        };
        let page = tokio::spawn(serve_app(listener, ingress, front.page(), closing.clone()));
        // Before it is said where it listens: who finds an address and no socket may say that somebody removed it.
        let control = control(&config.data_dir, &front, &closing);
        lock.listening(address)?;
        let listeners = Listeners {
            address,
            closing,
            page,
            control,
        };
        match Self::start_services(config, rereading, &front, lock, &listeners).await {
            Ok(services) => Ok(Self { services, listeners }),
            Err(error) => {
                listeners.close().await;
                Err(error)
            }
        }
    }

    /// Makes everything that the listeners serve.
    async fn start_services(
        config: Config,
        rereading: ReloadHooks,
        front: &StartupSwitch,
        lock: DataDirLock,
        listeners: &Listeners,
    ) -> anyhow::Result<RunningServices> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (again, now) = (Arc::clone(&rereading.again), Arc::clone(&clock));
        let open = move || Foundation::open(config, now, Some(lock), Some(again));
        let foundation = Arc::new(tokio::task::spawn_blocking(open).await??);
        let config = &foundation.config;
        let loads = Arc::new(LoadProgress::new(foundation.loader.runtime.compiling()));
        let doing = Arc::clone(&loads);
        front.doing(move || doing.text().unwrap_or_else(|| "loading the plugins".to_owned()));
        loads.expect(config);

        let activity = Arc::new(ActivityLog::open(foundation.store.clone(), Arc::clone(&clock)).await);
        let provider = login(&foundation).await?;
        loads.mark_loaded();
        let auth = AuthService::open(
            Arc::clone(&provider),
            foundation.store.clone(),
            Arc::clone(&clock),
            config.auth.clone(),
            Arc::clone(&activity),
        )
        .await?;
        let auth = Arc::new(auth);
        let setup_token = auth.setup_link_token().await?;

        let statuses = Arc::new(PluginStatuses::new(
            Arc::clone(&activity),
            Arc::clone(&foundation.processes),
            config.troubles.clone(),
        ));
        statuses.add(Registered {
            status: provider.changes(),
            measured: counted(provider.measured()),
            tunnel: None,
        });
        let plugins = Plugins {
            catalog: Arc::clone(&foundation.loader.catalog),
            statuses: Arc::clone(&statuses),
            overrides: Arc::new(PluginOverrides::new(foundation.store.clone(), config)),
            progress: loads,
            loader: Arc::new(foundation.loader.clone()),
        };
        let processes = Arc::clone(&foundation.processes);
        let stop_processes: StopProcesses = Arc::new(move |owner: String| {
            let processes = Arc::clone(&processes);
            Box::pin(async move { processes.stop_all(Some(&owner)).await })
        });
        let journal = nexus_chat::journal::Journal::open(foundation.store.clone(), Arc::clone(&clock)).await?;
        foundation.journal.open(journal.clone());
        let parts = nexus_chat::Dependencies {
            journal,
            plugins: plugins.clone(),
            stop_processes: Arc::clone(&stop_processes),
            activity: Arc::clone(&activity),
            clock: Arc::clone(&clock),
            config: config.chat.clone(),
            config_file: config.file.clone(),
            data_dir: config.data_dir.clone(),
            path: std::env::var_os("PATH"),
        };
        let chat = Arc::new(ChatService::from_config(parts).await);

        // The tunnels' listeners serve the page, and the page shows the tunnels: the ring is closed by this cell.
        let (web_made, web_cell) = tokio::sync::watch::channel(None);
        let parts = nexus_tunnels::Dependencies {
            listener_server: Arc::new(TunnelPages::new(web_cell)),
            has_account: auth.has_account(),
            store: foundation.store.clone(),
            plugins: plugins.clone(),
            barred: auth.bars_tunnels(),
            checker: Arc::new(HttpChecker::default()),
            activity: Arc::clone(&activity),
            stop_processes,
            clock: Arc::clone(&clock),
        };
        let tunnels = Arc::new(TunnelService::from_config(&config.tunnels, parts).await);

        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        if let Some(wanted) = &config.notify {
            let watched = watched_services::NoticeSources {
                tunnels: tunnels.statuses(),
                chat: chat.backend(),
                plugins: statuses.subscribe(),
                lockouts: auth.lockouts(),
            };
            match watched_services::start(wanted, watched, &foundation.processes, Arc::clone(&clock)) {
                Ok(started) => tasks.push(started),
                Err(trouble) => statuses.trouble(trouble),
            }
        }

        let file = rereading.file.clone();
        let outside = reload::AppReloadHost {
            rereading,
            runtime: Arc::clone(&foundation.loader.runtime),
        };
        let rooms = ReloadTargets {
            plugins: plugins.clone(),
            tunnels: Arc::clone(&tunnels),
            chat: Arc::clone(&chat),
        };
        let reloads = ReloadService::start(
            file,
            config,
            Arc::new(outside),
            rooms,
            Arc::clone(&activity),
            Arc::clone(&clock),
        )?;
        let config_file = config.file.clone().or_else(default_place);
        let services = Services {
            auth: Arc::clone(&auth),
            chat: Arc::clone(&chat),
            tunnels: Arc::clone(&tunnels),
            plugins,
            reload: Arc::new(reloads),
            activity: Arc::clone(&activity),
            log: Arc::new(LogReader::new(config.log.file.as_ref().map(|file| file.path.clone()))),
            host: Arc::new(HostInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                config_file: config_file.map_or_else(|| "nexus.toml".to_owned(), |file| file.display().to_string()),
                data_dir: config.data_dir.display().to_string(),
                workspace: config.chat.workspaces.first.display().to_string(),
                workspaces: config
                    .chat
                    .workspaces
                    .all()
                    .map(|path| path.display().to_string())
                    .collect(),
            }),
        };
        let web = WebState::new(services, Arc::clone(&clock));
        web_made.send_replace(Some(web.clone()));
        front.ready(web.clone());
        if let Some(metrics) = &config.metrics {
            let closing = listeners.closing.clone();
            tasks.push(tokio::spawn(nexus_web::metrics::listen(metrics.listen, web, closing)));
        }
        tasks.extend(auth.background());
        Ok(RunningServices {
            setup_link: setup_token.map(|token| setup_link(listeners.address, &token)),
            foundation,
            tunnels,
            chat,
            activity,
            tasks,
        })
    }

    /// `address` is where the page listens; the port is the real one where the configuration says 0.
    pub fn address(&self) -> SocketAddr {
        self.listeners.address
    }

    /// `setup_link` is for the terminal, and nowhere else; `None` once an account exists.
    pub fn setup_link(&self) -> Option<&str> {
        self.services.setup_link.as_deref()
    }

    /// `chat_status` is the chat backend as people see it; changes are seen at once.
    pub fn chat_status(&self) -> tokio::sync::watch::Receiver<BackendStatus> {
        self.services.chat.backend()
    }

    /// `tunnel_statuses` are the tunnels as people see them; changes are seen at once.
    pub fn tunnel_statuses(&self) -> tokio::sync::watch::Receiver<Vec<TunnelStatus>> {
        self.services.tunnels.statuses()
    }

    /// `data_dir` is the data folder, which this process holds.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.services.foundation.config.data_dir
    }

    /// Closes the tunnels, then the page, then every child process, each in its own order. It takes no longer than
    /// [`nexus_model::limits::SHUTDOWN`].
    pub async fn stop(self) {
        let Self { services, listeners } = self;
        let orderly = async {
            services.tunnels.shutdown().await;
            listeners.close().await;
            services.chat.end().await;
            services.foundation.processes.stop_all(None).await;
            services.activity.flush().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN, orderly).await.is_err() {
            tracing::warn!("not everything stopped in time; killing the rest");
        }
        services.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Opens the way in for `nexus status` and the others. Without it everything else works.
#[cfg(unix)]
fn control(data_dir: &std::path::Path, front: &StartupSwitch, closing: &CancellationToken) -> Option<JoinHandle<()>> {
    match nexus_web::http::control_socket::bind(data_dir) {
        Ok((listener, path)) => Some(tokio::spawn(nexus_web::http::control_socket::serve_control(
            listener,
            path,
            front.operator(),
            closing.clone(),
        ))),
        Err(error) => {
            tracing::warn!(%error, "cannot create the control socket: `nexus status` and `nexus tunnel` cannot reach \
                this host");
            None
        }
    }
}

#[cfg(not(unix))]
fn control(_: &std::path::Path, _: &StartupSwitch, _: &CancellationToken) -> Option<JoinHandle<()>> {
    None
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot listen on {address}: {error}. To fix: stop the program (or the other nexus) that uses the address, or \
             choose another one with --listen 127.0.0.1:0 (any free port) or `listen` in [web]"
        )
    })
}

/// The login plugin, or where it cannot be loaded one that lets nobody in.
async fn login(foundation: &Arc<Foundation>) -> anyhow::Result<Arc<dyn AuthProvider>> {
    let name = &foundation.config.auth.plugin;
    let (loader, plugin) = (foundation.loader.clone(), name.clone());
    let loaded = tokio::task::spawn_blocking(move || loader.auth(&plugin)).await?;
    let catalog = &foundation.loader.catalog;
    let loaded = loaded.map_err(|error| catalog.unloadable(name, "restart Nexus", error.cause()));
    Ok(nexus_auth::or_nobody(loaded, name, SystemClock.now()))
}
