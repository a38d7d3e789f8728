//! The real services on what pretends to be outside: a login plugin, tunnels, the plugins' counters, a configuration file.
#![allow(dead_code, unreachable_pub)]

use super::fake_sessions::FakeSessions;
use super::fake_tunnel::FakeTunnel;
use super::records::{FakeRecord, status};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_auth::{AuthService, Client, NewLogin, Progress, Session};
use nexus_chat::journal::Journal;
use nexus_chat::{ChatService, NamedBackend, Phase};
use nexus_config::resolved::{Config, Plugin};
use nexus_logging::logfile::LogReader;
use nexus_model::plugin::{Availability, Failure, Fit, Kind, PluginState};
use nexus_model::time::{Clock, ManualClock, SystemClock};
use nexus_plugin_traits::auth::{Answer, Input};
use nexus_plugin_traits::{ChatBackend, NotLoaded, PluginLoader, StatusSender, TunnelProvider};
use nexus_process::Refusing;
use nexus_registry::{Catalog, LoadProgress, PluginOverrides, PluginStatuses, Plugins, Registered, counted};
use nexus_reload::{Refused, ReloadHost, ReloadService, ReloadTargets};
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use nexus_testkit::{FakeAuth, FakeChat, auth_config, config, read_config};
use nexus_tunnels::{
    Dependencies, HttpChecker, ListenerHandle, ListenerServer, NotServed, RegisteredProvider, Spec, TunnelListener,
    TunnelService,
};
use nexus_web::{HostInfo, Services};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The account, and its password.
pub const ACCOUNT: &str = "ada";
pub const PASSWORD: &str = "correct horse battery";

const FILE: &str = "[tunnel.main]\nplugin = \"tunnel-bore\"\nautostart = true\nallow_plaintext = true\npublic_check = \"off\"\n\
                    [tunnel.office]\nplugin = \"tunnel-bore\"\nautostart = true\nallow_plaintext = true\npublic_check = \"off\"\n\
                    [tunnel.spare]\nplugin = \"tunnel-bore\"\nallow_plaintext = true\npublic_check = \"off\"\n";

/// What is there.
#[derive(Clone, Copy, Default)]
pub struct Setting {
    /// An account exists.
    pub owner: bool,
    /// The backend's program is missing, and npm is there to install it.
    pub missing: bool,
    /// Between two scripted events; none: a prompt has an empty turn.
    pub pace: Option<Duration>,
}

pub struct World {
    pub auth: Arc<AuthService>,
    /// The clock of the logins; the services' own is the machine's.
    pub clock: ManualClock,
    /// What the login plugin was told.
    pub provider: FakeAuth,
    /// Of the set-up link, while there is no account.
    pub setup_token: Option<String>,
    pub chat: Arc<ChatService>,
    pub tunnels: Arc<TunnelService>,
    pub plugins: Plugins,
    pub reload: Arc<ReloadService>,
    pub activity: Arc<ActivityLog>,
    pub log: Arc<LogReader>,
    pub host: Arc<HostInfo>,
    dir: tempfile::TempDir,
}

impl World {
    pub async fn new(setting: Setting) -> (Self, Arc<FakeSessions>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let activity = Arc::new(ActivityLog::open(store.clone(), Arc::new(SystemClock)).await);
        let provider = FakeAuth::default();
        let auth = AuthService::open(
            Arc::new(provider.clone()),
            store.clone(),
            Arc::new(clock.clone()),
            auth_config(),
            Arc::clone(&activity),
        );
        let auth = Arc::new(auth.await.unwrap());
        let setup_token = auth.setup_link_token().await.unwrap();
        if setting.owner {
            let form = auth.enrollment(ACCOUNT).await.unwrap().unwrap();
            assert!(auth.add_account(ACCOUNT, &form, password(PASSWORD)).await.unwrap());
        }
        let configured = config(dir.path(), FILE);
        let plugins = plugins(&configured, &store, &activity);
        let (chat, fake_sessions) = chat(setting, &configured, &store, &plugins, &activity).await;
        let tunnels = Arc::new(tunnels(&configured, &store, &plugins, &activity, &auth).await);
        let reload = ReloadService::start(
            configured.file.clone(),
            &configured,
            Arc::new(Applied {
                dir: dir.path().to_owned(),
            }),
            ReloadTargets {
                plugins: plugins.clone(),
                tunnels: Arc::clone(&tunnels),
                chat: Arc::clone(&chat),
            },
            Arc::clone(&activity),
            Arc::new(SystemClock),
        );
        let log = dir.path().join("nexus.log");
        std::fs::write(&log, log_lines()).unwrap();
        let world = Self {
            auth,
            clock,
            provider,
            setup_token: setup_token.filter(|_| !setting.owner),
            chat,
            tunnels,
            plugins,
            reload: Arc::new(reload.unwrap()),
            activity,
            log: Arc::new(LogReader::new(Some(log))),
            host: Arc::new(HostInfo {
                version: "0.1.0".to_owned(),
                config_file: "/home/you/.config/nexus/nexus.toml".to_owned(),
                data_dir: "/home/you/.local/share/nexus".to_owned(),
                workspace: "/project".to_owned(),
                workspaces: vec!["/project".to_owned()],
            }),
            dir,
        };
        (world, fake_sessions)
    }

    pub fn services(&self) -> Services {
        Services {
            auth: Arc::clone(&self.auth),
            chat: Arc::clone(&self.chat),
            tunnels: Arc::clone(&self.tunnels),
            plugins: self.plugins.clone(),
            reload: Arc::clone(&self.reload),
            activity: Arc::clone(&self.activity),
            log: Arc::clone(&self.log),
            host: Arc::clone(&self.host),
        }
    }

    /// A login at a place, without a page.
    pub async fn login_at(&self, client: &Client) -> (NewLogin, Session) {
        let page = self.auth.begin_login(None, client).await.unwrap();
        let mut input = password(PASSWORD);
        input.0.insert("account".to_owned(), ACCOUNT.to_owned());
        let answer = Answer::Form(input);
        let Progress::Done(new) = self.auth.proceed(&page.state, answer, client, None).await.unwrap() else {
            panic!("the fake has one step")
        };
        let session = self.auth.session(&client.place, &client.holder, &new.token).await;
        (new, session.unwrap().unwrap())
    }

    /// A login of a browser on this machine; `holder`: whose program it is.
    pub async fn login(&self, holder: &str) -> (NewLogin, Session) {
        self.login_at(&Client {
            origin: "http://localhost:7860".to_owned(),
            browser: "a browser's cookie".to_owned(),
            peer: "127.0.0.1".to_owned(),
            agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36".to_owned(),
            place: "loopback".to_owned(),
            holder: holder.to_owned(),
            device: None,
        })
        .await
    }

    /// Writes into the configuration's file that another plugin serves the tunnel `main`, and waits until that is seen.
    pub async fn edit_configuration(&self) {
        let edited = FILE.replacen("tunnel-bore", "tunnel-cloudflared", 1);
        let file = self.dir.path().join("nexus.toml");
        std::fs::write(&file, format!("config_version = 1\n{edited}")).unwrap();
        let mut pending = self.reload.pending();
        let seen = tokio::time::timeout(Duration::from_secs(30), pending.wait_for(Option::is_some)).await;
        seen.unwrap().unwrap();
    }
}

fn password(password: &str) -> Input {
    Input([("password".to_owned(), password.to_owned())].into())
}

fn log_lines() -> String {
    let line = |level: &str, fields: serde_json::Value| {
        let line = serde_json::json!({
            "timestamp": "2026-01-02T03:04:05.678Z", "level": level, "fields": fields, "target": "nexus"
        });
        format!("{line}\n")
    };
    let said = serde_json::json!({ "message": "<b>written</b> by", "plugin": "<script>" });
    let crashed = serde_json::json!({ "message": "the plugin crashed: trap", "plugin": "<script>" });
    line("INFO", said) + &line("WARN", crashed)
}

fn plugins(configured: &Config, store: &Store, activity: &Arc<ActivityLog>) -> Plugins {
    let loader: Arc<dyn PluginLoader> = Arc::new(NoLoader);
    let statuses = PluginStatuses::new(
        Arc::clone(activity),
        Arc::new(Refusing::new("no process is started here")),
        Vec::new(),
    );
    let plugins = Plugins {
        catalog: Arc::new(Catalog::new(configured)),
        statuses: Arc::new(statuses),
        overrides: Arc::new(PluginOverrides::new(store.clone(), configured)),
        progress: Arc::new(LoadProgress::new(loader.compiling())),
        loader,
    };
    let login = status("auth-local", Kind::Auth, PluginState::Running);
    let record = Arc::new(FakeRecord::of(&login));
    plugins.statuses.add(Registered {
        // The sender stays with the receiver of whoever shows it.
        status: watch::Sender::new(login).subscribe(),
        measured: counted(Some(record)),
        tunnel: None,
    });
    plugins
}

/// The chat service, with its backend up.
async fn chat(
    setting: Setting,
    configured: &Config,
    store: &Store,
    plugins: &Plugins,
    activity: &Arc<ActivityLog>,
) -> (Arc<ChatService>, Arc<FakeSessions>) {
    let (opencode, streams) = FakeChat::new("opencode");
    let mut known = status("chat-opencode", Kind::Chat, PluginState::Running);
    known.restarts = 1;
    known.last_failure = Some(Failure {
        at: SystemClock.now(),
        cause: "trap: out of bounds memory access.".into(),
        fix: None,
        permanent: false,
    });
    *opencode.record.lock().unwrap() = Some(Arc::new(FakeRecord::of(&known)));
    opencode.status.send_replace(known);
    *opencode.availability.lock().unwrap() = if setting.missing {
        Availability::missing("install it with `npm install -g opencode-ai@1.18.33`, or let Nexus do it")
    } else {
        let note = "Asks before: commands, edits; allowed without asking: reading web pages".to_owned();
        Availability::Ready(Fit {
            version: "1.18.33".to_owned(),
            note: Some(note),
        })
    };
    let (echo, echo_streams) = FakeChat::new("echo");
    echo.status
        .send_replace(status("chat-echo", Kind::Chat, PluginState::Running));
    let named = |plugin: &str, backend: &Arc<FakeChat>| NamedBackend {
        plugin: plugin.to_owned(),
        backend: Arc::<FakeChat>::clone(backend),
    };
    let service = ChatService::spawn(
        named("chat-opencode", &opencode),
        setting.missing.then(|| named("chat-echo", &echo)),
        nexus_chat::Dependencies {
            journal: Journal::open(store.clone(), Arc::new(SystemClock)).await.unwrap(),
            plugins: plugins.clone(),
            stop_processes: Arc::new(|_| async {}.boxed()),
            activity: Arc::clone(activity),
            clock: Arc::new(SystemClock),
            config: configured.chat.clone(),
            config_file: None,
            data_dir: configured.data_dir.clone(),
            path: Some(slow_npm(&configured.data_dir).into_os_string()),
        },
    );
    let fake_sessions = if setting.missing {
        FakeSessions::of(echo, echo_streams, setting.pace)
    } else {
        FakeSessions::of(opencode, streams, setting.pace)
    };
    let mut backend = service.backend();
    let up = backend.wait_for(|backend| backend.phase == Phase::Up);
    tokio::time::timeout(Duration::from_secs(30), up)
        .await
        .unwrap()
        .unwrap();
    (Arc::new(service), fake_sessions)
}

/// A folder with an npm that installs nothing, slowly.
fn slow_npm(data_dir: &Path) -> PathBuf {
    let folder = data_dir.join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let npm = folder.join("npm");
    std::fs::write(&npm, "#!/bin/sh\n[ \"$1\" = config ] || exec sleep 10\n").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&npm, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

async fn tunnels(
    configured: &Config,
    store: &Store,
    plugins: &Plugins,
    activity: &Arc<ActivityLog>,
    auth: &Arc<AuthService>,
) -> TunnelService {
    let parts = Dependencies {
        listener_server: Arc::new(NoPage),
        has_account: auth.has_account(),
        store: store.clone(),
        stop_processes: Arc::new(|_| async {}.boxed()),
        plugins: plugins.clone(),
        barred: None,
        checker: Arc::new(HttpChecker::default()),
        activity: Arc::clone(activity),
        clock: Arc::new(SystemClock),
    };
    let specs = configured.tunnels.values().map(|tunnel| {
        let provider: Arc<dyn TunnelProvider> = Arc::new(match tunnel.name.as_str() {
            "office" => FakeTunnel::refused(),
            _ => FakeTunnel::open(),
        });
        Spec {
            config: tunnel.clone(),
            provided: RegisteredProvider::register(plugins, &tunnel.name, provider),
        }
    });
    TunnelService::start(specs.collect(), parts).await
}

struct NoLoader;

impl PluginLoader for NoLoader {
    fn load_chat<'a>(
        &'a self,
        plugin: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn ChatBackend>, NotLoaded>> {
        async move { Err(NotLoaded::Unavailable(format!("{plugin} is not here"))) }.boxed()
    }
    fn load_tunnel<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: StatusSender,
    ) -> BoxFuture<'a, Result<Arc<dyn TunnelProvider>, NotLoaded>> {
        async { Ok(Arc::new(FakeTunnel::open()) as Arc<dyn TunnelProvider>) }.boxed()
    }
    fn compiling(&self) -> watch::Receiver<Vec<String>> {
        watch::Sender::default().subscribe()
    }
}

/// Holds a tunnel's listener, and serves nothing on it.
struct NoPage;

impl ListenerServer for NoPage {
    fn serve<'a>(&'a self, _: &'a str, listener: TunnelListener) -> BoxFuture<'a, Result<ListenerHandle, NotServed>> {
        let (stop, stopped) = oneshot::channel::<()>();
        let held = tokio::spawn(async move {
            let _ = stopped.await;
            drop(listener);
        });
        async move { Ok(ListenerHandle::new(stop, async { drop(held.await) }.boxed())) }.boxed()
    }
}

/// Where the file is read from.
struct Applied {
    dir: PathBuf,
}

impl ReloadHost for Applied {
    fn read(&self) -> Result<Config, Refused> {
        read_config(&self.dir).map_err(|report| Refused(report.to_string()))
    }
    fn would_load(&self, _: &Plugin) -> Result<(), Refused> {
        Ok(())
    }
    fn log_filter(&self, _: &str) -> Result<(), Refused> {
        Ok(())
    }
}
