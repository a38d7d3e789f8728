//! The composition root: makes every room once and connects them. The only place that knows all of them. It decides
//! nothing: what does belongs to one of the rooms.

mod foundation;
mod reload;

pub use foundation::{Again, DataDirLock, Foundation};
pub use reload::{Rereading, SetFilter};

use crate::notify::watched_services;
use nexus_auth::{AuthService, NoLogin};
use nexus_chat::{BackendStatus, ChatService, NamedBackend};
use nexus_config::default_place;
use nexus_config::resolved::{Config, Tunnel};
use nexus_logging::logfile::LogReader;
use nexus_model::limits;
use nexus_model::plugin::Kind;
use nexus_model::time::{Clock, SystemClock};
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelStatus;
use nexus_plugin_traits::{AuthProvider, StopProcesses};
use nexus_registry::{
    LoadProgress, PluginOverrides, PluginStatuses, Plugins, Registered, chat_place, counted, tunnel_place,
};
use nexus_reload::ReloadService;
use nexus_store::activity_log::ActivityLog;
use nexus_tunnels::{HttpChecker, Provided, Spec, TunnelService};
use nexus_web::http::starting_page::Front;
use nexus_web::{HostInfo, Ingress, Services, TunnelPages, WebState, serve_app};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running Nexus.
pub struct App {
    behind: Behind,
    listeners: Listeners,
}

/// The ways in.
struct Listeners {
    address: SocketAddr,
    /// Ends the page's listener and all live sockets.
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

/// What is behind them.
struct Behind {
    foundation: Arc<Foundation>,
    setup_link: Option<String>,
    tunnels: Arc<TunnelService>,
    chat: Arc<ChatService>,
    activity: Arc<ActivityLog>,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Opens the listeners, which say from then on that Nexus starts; loads the login plugin and starts the services. When
    /// it returns the page answers, and one can log in if that plugin is fit; the other plugins may still be loading, and
    /// what cannot be loaded has failed alone.
    ///
    /// # Errors
    /// The data directory is in use or cannot be written, the address is taken.
    pub async fn start(config: Config, rereading: Rereading, front: Front) -> anyhow::Result<Self> {
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
        match Self::behind(config, rereading, &front, lock, &listeners).await {
            Ok(behind) => Ok(Self { behind, listeners }),
            Err(error) => {
                listeners.close().await;
                Err(error)
            }
        }
    }

    /// Everything behind the listeners.
    async fn behind(
        config: Config,
        rereading: Rereading,
        front: &Front,
        lock: DataDirLock,
        listeners: &Listeners,
    ) -> anyhow::Result<Behind> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (again, now) = (Arc::clone(&rereading.again), Arc::clone(&clock));
        let open = move || Foundation::open(config, now, Some(lock), Some(again));
        let foundation = Arc::new(tokio::task::spawn_blocking(open).await??);
        let config = &foundation.config;
        let loads = Arc::new(LoadProgress::new(foundation.compiling()));
        let doing = Arc::clone(&loads);
        front.doing(move || doing.text().unwrap_or_else(|| "loading the plugins".to_owned()));
        loads.expect(2 + config.tunnels.len() + usize::from(config.chat.fallback.is_some()));

        let activity = Arc::new(ActivityLog::open(foundation.store.clone(), Arc::clone(&clock)).await);
        let (provider, no_login) = login(&foundation).await?;
        loads.one_more();
        let auth = AuthService::open(
            Arc::clone(&provider),
            foundation.store.clone(),
            Arc::clone(&clock),
            config.auth.clone(),
            Arc::<ActivityLog>::clone(&activity),
        )
        .await?;
        let auth = Arc::new(auth);
        let setup_token = if no_login.is_some() {
            None
        } else {
            auth.setup_link_token().await?
        };

        let overrides = Arc::new(PluginOverrides::new(foundation.store.clone(), config));
        let place = chat_place(&config.chat.name);
        let chat_plugin = overrides.plugin(&place, Kind::Chat, &foundation.catalog).await;
        let statuses = Arc::new(PluginStatuses::new(
            Arc::<ActivityLog>::clone(&activity),
            Arc::clone(&foundation.processes),
            config.troubles.clone(),
        ));
        statuses.add(Registered {
            status: provider.changes(),
            measured: counted(provider.measured()),
            tunnel: None,
        });
        let plugins = Plugins {
            catalog: Arc::clone(&foundation.catalog),
            statuses: Arc::clone(&statuses),
            overrides,
            progress: Arc::clone(&loads),
            loader: Arc::new(foundation::Loader(Arc::clone(&foundation))),
        };
        let primary = chat_backend(&foundation, &loads, &chat_plugin);
        let fallback = config.chat.fallback.as_deref().filter(|name| *name != chat_plugin);
        loads.expect(2 + config.tunnels.len() + usize::from(fallback.is_some()));
        let fallback = fallback.map(|name| chat_backend(&foundation, &loads, name));
        let processes = Arc::clone(&foundation.processes);
        let stop_processes: StopProcesses = Arc::new(move |owner: String| {
            let processes = Arc::clone(&processes);
            Box::pin(async move { processes.stop_all(Some(&owner)).await })
        });
        let parts = nexus_chat::Dependencies {
            journal: nexus_chat::journal::Journal::open(foundation.store.clone(), Arc::clone(&clock)).await?,
            plugins: plugins.clone(),
            stop_processes: Arc::clone(&stop_processes),
            activity: Arc::<ActivityLog>::clone(&activity),
            clock: Arc::clone(&clock),
            config: config.chat.clone(),
            config_file: config.file.clone(),
            data_dir: config.data_dir.clone(),
            path: std::env::var_os("PATH"),
        };
        let chat = Arc::new(ChatService::spawn(primary, fallback, parts));
        let barred = no_login.map(|trouble| format!("no tunnel is opened because nobody can log in: the {trouble}"));
        let specs = tunnel_specs(&foundation, &plugins, barred.as_deref()).await;

        // The tunnels' listeners serve the page, and the page shows the tunnels: the ring is closed by this cell.
        let (web_made, web_cell) = tokio::sync::watch::channel(None);
        let parts = nexus_tunnels::Dependencies {
            listener_server: Arc::new(TunnelPages::new(web_cell)),
            has_account: auth.has_account(),
            store: foundation.store.clone(),
            plugins: plugins.clone(),
            barred,
            checker: Arc::new(HttpChecker::default()),
            activity: Arc::<ActivityLog>::clone(&activity),
            stop_processes,
            clock: Arc::clone(&clock),
        };
        let tunnels = Arc::new(TunnelService::start(specs, parts).await);

        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        if let Some(wanted) = &config.notify {
            let watched = watched_services::Watched {
                tunnels: tunnels.statuses(),
                chat: chat.backend(),
                plugins: statuses.subscribe(),
                lockouts: auth.lockouts(),
            };
            match watched_services::start(wanted, watched, &foundation.processes, Arc::clone(&clock)) {
                Ok(started) => tasks.push(started),
                Err(error) => statuses.trouble(Trouble::new(
                    "notify",
                    format!("{error:#}"),
                    "correct [notify], then restart Nexus",
                )),
            }
        }

        let file = rereading.file.clone();
        let running = reload::Running {
            rereading,
            foundation: Arc::clone(&foundation),
            plugins: plugins.clone(),
            tunnels: Arc::clone(&tunnels),
            chat: Arc::clone(&chat),
        };
        let reloads = ReloadService::start(
            file,
            config,
            Arc::new(running),
            Arc::<ActivityLog>::clone(&activity),
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
                workspace: config.chat.workspace.display().to_string(),
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
        Ok(Behind {
            setup_link: setup_token.map(|token| format!("http://{}/setup#{token}", local_name(listeners.address))),
            foundation,
            tunnels,
            chat,
            activity,
            tasks,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.listeners.address
    }

    /// For the terminal, and nowhere else; none once an account exists.
    pub fn setup_link(&self) -> Option<&str> {
        self.behind.setup_link.as_deref()
    }

    /// The chat backend as people see it; changes are seen at once.
    pub fn chat_status(&self) -> tokio::sync::watch::Receiver<BackendStatus> {
        self.behind.chat.backend()
    }

    /// The tunnels as people see them; changes are seen at once.
    pub fn tunnel_statuses(&self) -> tokio::sync::watch::Receiver<Vec<TunnelStatus>> {
        self.behind.tunnels.statuses()
    }

    pub fn data_dir(&self) -> &std::path::Path {
        &self.behind.foundation.config.data_dir
    }

    /// Closes the tunnels, then the page, then every child process, each in its own order. Bounded.
    pub async fn stop(self) {
        let Self { behind, listeners } = self;
        let orderly = async {
            behind.tunnels.shutdown().await;
            listeners.close().await;
            behind.chat.end();
            behind.foundation.processes.stop_all(None).await;
            behind.activity.flush().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN, orderly).await.is_err() {
            tracing::warn!("not everything stopped in time; killing the rest");
        }
        behind.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The way in for `nexus status` and the others. Without it everything else works.
#[cfg(unix)]
fn control(data_dir: &std::path::Path, front: &Front, closing: &CancellationToken) -> Option<JoinHandle<()>> {
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
fn control(_: &std::path::Path, _: &Front, _: &CancellationToken) -> Option<JoinHandle<()>> {
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

/// The login plugin; where it cannot be loaded one that lets nobody in, and why that is.
async fn login(foundation: &Arc<Foundation>) -> anyhow::Result<(Arc<dyn AuthProvider>, Option<Trouble>)> {
    let loading = Arc::clone(foundation);
    let loaded = tokio::task::spawn_blocking(move || loading.auth()).await?;
    let error = match loaded {
        Ok(provider) => return Ok((provider, None)),
        Err(error) => error,
    };
    let name = &foundation.config.auth.plugin;
    let trouble = foundation.unloadable(name, "restart Nexus", &error);
    tracing::error!(plugin = name, "nobody can log in: {trouble}");
    let nobody = NoLogin::new(name, &trouble, SystemClock.now());
    Ok((Arc::new(nobody), Some(trouble)))
}

fn chat_backend(foundation: &Arc<Foundation>, loads: &Arc<LoadProgress>, plugin: &str) -> NamedBackend {
    let backend = foundation.late_chat(plugin);
    backend.prepare(loads.begin());
    NamedBackend {
        plugin: plugin.to_owned(),
        backend,
    }
}

/// The tunnels of the configuration, each with the plugin that serves it, which is loaded by and by. `barred`: why none may
/// open, where that is so.
async fn tunnel_specs(foundation: &Arc<Foundation>, plugins: &Plugins, barred: Option<&str>) -> Vec<Spec> {
    let mut specs = Vec::new();
    for tunnel in foundation.config.tunnels.values() {
        let place = tunnel_place(&tunnel.name);
        let plugin = plugins.overrides.plugin(&place, Kind::Tunnel, &plugins.catalog).await;
        let config = Tunnel {
            plugin,
            ..tunnel.clone()
        };
        let why = barred.map(str::to_owned);
        let provider = foundation.late_tunnel(&config, move || why.clone());
        provider.prepare(plugins.progress.begin());
        let provided = Provided::register(plugins, &config.name, provider);
        specs.push(Spec { config, provided });
    }
    specs
}

/// How a browser on this machine reaches an address, which may be `0.0.0.0`.
fn local_name(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    }
}
