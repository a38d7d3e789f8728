//! The composition root: makes every room once and connects them. The only place that knows all of them; no policy
//! lives here, only adapters from the services to what the web wants ([`crate::web::port`]).

mod auth;
mod catalog;
mod chat;
mod chosen;
mod foundation;
mod notify;
mod reload;
mod status;
mod tunnels;

pub use foundation::{Foundation, Held};
pub use reload::{Rereading, SetFilter};

use crate::config::resolved::Config;
use crate::limits;
use crate::model::plugin::Kind;
use crate::services::activity::ActivityLog;
use crate::services::auth::AuthService;
use crate::services::chat::{Backend, ChatService, ChatStatus};
use crate::services::reload::ReloadService;
use crate::services::tunnel::{self, TunnelService};
use crate::services::{self, StopProcesses};
use crate::time::{Clock, SystemClock};
use crate::web::port::Services;
use crate::web::{Ingress, WebState, serve};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often this host looks whether an account was made by `nexus user add`, while there is none.
const ACCOUNT_LOOK: std::time::Duration = std::time::Duration::from_secs(2);
/// How often expired logins are swept out.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(3600);

/// A running Nexus.
pub struct App {
    foundation: Arc<Foundation>,
    address: SocketAddr,
    setup_link: Option<String>,
    tunnels: Arc<TunnelService>,
    chat: Arc<ChatService>,
    activity: Arc<ActivityLog>,
    /// Ends the page's listener and all live sockets.
    closing: CancellationToken,
    page: JoinHandle<()>,
    control: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl App {
    /// Binds the page's address, loads the plugins and starts the services. When it returns the page answers; the
    /// backend may still be starting.
    ///
    /// # Errors
    /// The data directory is in use, the address is taken, a plugin cannot be loaded.
    pub async fn start(config: Config, rereading: Rereading) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut held = Held::take(&config.data_dir)?;
        let listener = bind(config.web.listen).await?;
        let address = listener.local_addr()?;
        held.listening(address)?;
        let figures = match &config.metrics {
            Some(metrics) => Some(bind_metrics(metrics.listen).await?),
            None => None,
        };
        let foundation = Arc::new(Foundation::open(config, Arc::clone(&clock), Some(held))?);
        let config = &foundation.config;

        let provider = foundation.auth()?;
        let auth = AuthService::open(
            Arc::clone(&provider),
            foundation.store.clone(),
            Arc::clone(&clock),
            config.auth.clone(),
        )
        .await?;
        let auth = Arc::new(auth);
        let setup_token = auth.setup_link_token().await?;

        let chosen = Arc::new(chosen::Chosen::new(foundation.store.clone(), config));
        let place = chat::place_of(&config.chat.name);
        let chat_plugin = chosen.plugin(&place, Kind::Chat, &foundation.plugins).await;
        let primary = foundation.chat(&chat_plugin)?;
        let fallback = match config.chat.fallback.as_deref().filter(|name| *name != chat_plugin) {
            Some(name) => Some(Backend {
                plugin: name.to_owned(),
                backend: foundation.chat(name)?,
            }),
            None => None,
        };
        let activity = Arc::new(ActivityLog::open(foundation.store.clone(), Arc::clone(&clock)).await);
        let statuses = status::Statuses::new(config, Arc::clone(&activity), Arc::clone(&foundation.processes));
        let login = status::Registered {
            status: provider.changes(),
            measured: provider.measured(),
            tunnel: None,
        };
        statuses.add(login);
        let chat_shown = statuses.add(status::Registered::of(&*primary));
        if let Some(fallback) = &fallback {
            statuses.add(status::Registered::of(&*fallback.backend));
        }
        let wanted = tunnels::Wanted::new(
            foundation.store.clone(),
            Arc::clone(&chosen),
            config.tunnels.keys().cloned().collect(),
        );
        let loading = Arc::new(tunnels::Loading {
            foundation: Arc::clone(&foundation),
            statuses: Arc::clone(&statuses),
        });
        let mut specs = Vec::new();
        for tunnel in config.tunnels.values() {
            let place = tunnels::place_of(&tunnel.name);
            let plugin = chosen.plugin(&place, Kind::Tunnel, &foundation.plugins).await;
            let config = tunnels::resolved_with(tunnel, plugin);
            let provided = loading.now(&config)?;
            specs.push(tunnel::Spec { config, provided });
        }

        let journal = crate::journal::Journal::open(foundation.store.clone(), Arc::clone(&clock)).await?;
        let backend = Backend {
            plugin: chat_plugin,
            backend: primary,
        };
        let processes = Arc::clone(&foundation.processes);
        let stop_processes: StopProcesses = Arc::new(move |owner: String| {
            let processes = Arc::clone(&processes);
            Box::pin(async move { processes.stop_all(Some(&owner)).await })
        });
        let parts = services::chat::Parts {
            journal: Arc::new(journal.clone()),
            stop_processes: Arc::clone(&stop_processes),
            activity: Arc::<ActivityLog>::clone(&activity),
            clock: Arc::clone(&clock),
        };
        let chat = Arc::new(ChatService::start(backend, fallback, parts));

        let (has_account, account_seen) = watch::channel(setup_token.is_none());
        let has_account = Arc::new(has_account);
        // The tunnels' listeners serve the page, and the page shows the tunnels: the ring is closed by this cell.
        let web_cell = Arc::new(OnceLock::new());
        let parts = tunnel::Parts {
            ingress: Arc::new(tunnels::PageIngress::new(Arc::clone(&web_cell))),
            has_account: account_seen,
            wanted: Arc::new(wanted),
            providers: loading,
            prober: Arc::new(tunnels::Looking::default()),
            activity: Arc::<ActivityLog>::clone(&activity),
            stop_processes,
            clock: Arc::clone(&clock),
        };
        let tunnels = Arc::new(TunnelService::start(specs, parts).await?);

        let notices = match &config.notify {
            Some(wanted) => {
                let watched = notify::Watched {
                    tunnels: tunnels.statuses(),
                    chat: chat.status(),
                    plugins: crate::web::port::StatusApi::plugins(&*statuses),
                    lockouts: auth.lockouts(),
                };
                let started = notify::start(wanted, watched, &foundation.processes, Arc::clone(&clock))?;
                Some(started)
            }
            None => None,
        };

        let chats = Arc::new(chat::ChatAdapter::start(
            Arc::clone(&chat),
            journal,
            Arc::clone(&foundation),
            Arc::clone(&statuses),
            Arc::clone(&chosen),
            chat_shown,
        ));
        let file = rereading.file.clone();
        let running = reload::Running {
            rereading,
            foundation: Arc::clone(&foundation),
            chosen,
            tunnels: Arc::clone(&tunnels),
            chat: Arc::clone(&chat),
            chats: Arc::clone(&chats),
        };
        let reloads = ReloadService::start(
            file,
            config,
            Arc::new(running),
            Arc::<ActivityLog>::clone(&activity),
            Arc::clone(&clock),
        )?;
        let services = Services {
            auth: Arc::new(auth::AuthAdapter::new(
                Arc::clone(&auth),
                config.auth.clone(),
                Arc::clone(&has_account),
                Arc::<ActivityLog>::clone(&activity),
            )),
            chat: chats,
            tunnels: Arc::new(tunnels::TunnelAdapter {
                service: Arc::clone(&tunnels),
                foundation: Arc::clone(&foundation),
            }),
            status: statuses,
            config: Arc::new(reload::ConfigAdapter(Arc::new(reloads))),
        };
        let web = WebState::new(services, Arc::clone(&clock));
        let _ = web_cell.set(web.clone());
        let closing = CancellationToken::new();
        let ingress = Ingress::Local {
            hosts: config.web.hosts.clone(),
            public_url: config.web.public_url.clone(),
        };
        let control = control(&config.data_dir, &web, &closing);
        let mut tasks: Vec<JoinHandle<()>> = notices.into_iter().collect();
        if let Some(figures) = figures {
            tracing::info!("metrics on http://{}/metrics", figures.local_addr()?);
            tasks.push(tokio::spawn(crate::web::metrics::serve(
                figures,
                web.clone(),
                closing.clone(),
            )));
        }
        let page = tokio::spawn(serve(listener, ingress, web, closing.clone()));
        tasks.extend([
            tokio::spawn(look_for_account(Arc::clone(&auth), has_account)),
            tokio::spawn(sweep(auth)),
        ]);
        Ok(Self {
            setup_link: setup_token.map(|token| format!("http://{}/setup#{token}", local_name(address))),
            foundation,
            address,
            tunnels,
            chat,
            activity,
            closing,
            page,
            control,
            tasks,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For the terminal, and nowhere else; none once an account exists.
    pub fn setup_link(&self) -> Option<&str> {
        self.setup_link.as_deref()
    }

    /// The chat backend as people see it; changes are seen at once.
    pub fn chat_status(&self) -> watch::Receiver<ChatStatus> {
        self.chat.status()
    }

    /// The tunnels as people see them; changes are seen at once.
    pub fn tunnel_statuses(&self) -> watch::Receiver<Vec<crate::model::tunnel::Status>> {
        self.tunnels.statuses()
    }

    pub fn data_dir(&self) -> &std::path::Path {
        &self.foundation.config.data_dir
    }

    /// Closes the tunnels, then the page, then every child process, each in its own order. Bounded.
    pub async fn stop(self) {
        let orderly = async {
            self.tunnels.shutdown().await;
            self.closing.cancel();
            let _ = self.page.await;
            if let Some(control) = self.control {
                let _ = control.await;
            }
            self.chat.end();
            self.foundation.processes.stop_all(None).await;
            self.activity.flush().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN, orderly).await.is_err() {
            tracing::warn!("not everything stopped in time; what is left is killed");
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The way in for `nexus status` and the others. Without it everything else works.
#[cfg(unix)]
fn control(data_dir: &std::path::Path, web: &WebState, closing: &CancellationToken) -> Option<JoinHandle<()>> {
    match crate::web::control::bind(data_dir) {
        Ok((listener, path)) => Some(tokio::spawn(crate::web::control::serve_control(
            listener,
            path,
            web.clone(),
            closing.clone(),
        ))),
        Err(error) => {
            tracing::warn!(%error, "there is no control socket: `nexus status` and `nexus tunnel` cannot ask this host");
            None
        }
    }
}

#[cfg(not(unix))]
fn control(_: &std::path::Path, _: &WebState, _: &CancellationToken) -> Option<JoinHandle<()>> {
    None
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: is another program (or another nexus) there? Choose another address with \
             --listen 127.0.0.1:0 (any free port) or `listen` in [web]"
        )
    })
}

async fn bind_metrics(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address} for the metrics: is another program there? Choose another address with `listen` in \
             [metrics], or leave it out for none"
        )
    })
}

/// How a browser on this machine reaches an address, which may be `0.0.0.0`.
fn local_name(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    }
}

/// `nexus user add` makes accounts in another process; tunnels wait for the first one.
async fn look_for_account(auth: Arc<AuthService>, has_account: Arc<watch::Sender<bool>>) {
    while !*has_account.borrow() {
        if matches!(auth.setup_open().await, Ok(false)) {
            has_account.send_replace(true);
            return;
        }
        tokio::time::sleep(ACCOUNT_LOOK).await;
    }
}

async fn sweep(auth: Arc<AuthService>) {
    loop {
        if let Err(error) = auth.sweep().await {
            tracing::warn!(%error, "expired logins are not removed");
        }
        tokio::time::sleep(SWEEP).await;
    }
}
