//! Who is told, and of what: the ways of `[notify]`, and the services that are watched for it.

use crate::notify::{Notifier, Way, look};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_auth::Lockout;
use nexus_chat::BackendStatus;
use nexus_config::resolved::Notify;
use nexus_egress::Webhook;
use nexus_model::limits;
use nexus_model::notice::{Notice, NoticeKind};
use nexus_model::time::Clock;
use nexus_model::{plugin, tunnel};
use nexus_process::{EnvironmentBase, OutputMode, Processes, References, Spec};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// Whose processes they are in the table; no plugin has a dot in its name.
const OWNER: &str = "nexus.notify";

/// The operator's program. It runs as every child does: under a shim, so that nothing of it is left behind.
struct Command {
    words: Vec<String>,
    processes: Arc<dyn Processes>,
}

/// A command has no references to secrets.
struct NoSecrets;

impl References for NoSecrets {
    fn secret(&self, name: &str) -> Result<String, String> {
        Err(format!("there is no secret `{name}`"))
    }
    fn generated(&self, name: &str) -> Result<String, String> {
        Err(format!("there is no secret `{name}`"))
    }
}

impl Command {
    /// What the operator wrote stands as it is: a brace begins no reference.
    fn spec(&self, event: &str) -> Option<Spec> {
        let (program, arguments) = self.words.split_first()?;
        Some(Spec {
            binary: PathBuf::from(program),
            args: arguments.iter().map(|text| text.replace('{', "{{")).collect(),
            base: EnvironmentBase::Clean,
            env: vec![("NEXUS_EVENT".to_owned(), event.to_owned())],
            ports: Vec::new(),
            files: Vec::new(),
            cwd: None,
            stdin: true,
            stdout: OutputMode::Log,
            stderr: OutputMode::Log,
            stop: Vec::new(),
            unless: None,
        })
    }
}

impl Way for Command {
    fn name(&self) -> String {
        format!("the command {}", self.words.first().map_or("", String::as_str))
    }
    fn again(&self) -> u32 {
        0
    }
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let spec = self.spec(notice.event.word()).ok_or("it names no program")?;
            let mut json = serde_json::to_vec(notice).map_err(|e| e.to_string())?;
            json.push(b'\n');
            let refs: Arc<dyn References> = Arc::new(NoSecrets);
            let run = self.processes.feed(OWNER, spec, refs, limits::NOTIFY_TRY, json);
            let output = run.await.map_err(|e| e.to_string())?;
            for (stream, text) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
                if !text.trim().is_empty() {
                    tracing::debug!(stream, "{} wrote: {}", self.name(), text.trim());
                }
            }
            match (output.exit.code, output.exit.signal) {
                (Some(0), _) => Ok(()),
                (Some(code), _) => Err(format!("it exited with code {code}")),
                (None, signal) => Err(format!("it was killed by signal {}", signal.unwrap_or_default())),
            }
        }
        .boxed()
    }
}

impl Way for Webhook {
    fn name(&self) -> String {
        format!("the webhook at {}", self.host)
    }
    fn again(&self) -> u32 {
        3
    }
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        async move { self.post(serde_json::to_vec(notice).map_err(|e| e.to_string())?).await }.boxed()
    }
}

/// What is watched.
pub(super) struct Watched {
    pub(super) tunnels: watch::Receiver<Vec<tunnel::Status>>,
    pub(super) chat: watch::Receiver<BackendStatus>,
    pub(super) plugins: watch::Receiver<Vec<plugin::Status>>,
    pub(super) lockouts: broadcast::Receiver<Lockout>,
}

/// Until the host ends.
///
/// # Errors
/// The webhook's address is none.
pub(super) fn start(
    notify: &Notify,
    watched: Watched,
    processes: &Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<JoinHandle<()>> {
    let mut ways: Vec<Arc<dyn Way>> = Vec::new();
    if let Some(words) = &notify.command {
        ways.push(Arc::new(Command {
            words: words.clone(),
            processes: Arc::clone(processes),
        }));
    }
    if let Some(address) = &notify.webhook {
        ways.push(Arc::new(Webhook::new(address).map_err(anyhow::Error::msg)?));
    }
    let notifier = Notifier::start(notify.events.clone(), ways);
    Ok(tokio::spawn(watch_all(watched, notifier, clock)))
}

async fn watch_all(mut watched: Watched, notifier: Notifier, clock: Arc<dyn Clock>) {
    let (mut tunnels, mut backend, mut plugins) = (
        look::Tunnels::default(),
        look::Backend::default(),
        look::Plugins::default(),
    );
    loop {
        let now = clock.now();
        let mut notices = tunnels.see(&watched.tunnels.borrow_and_update(), now);
        {
            let chat = watched.chat.borrow_and_update();
            notices.extend(backend.see(&chat.title, &chat.phase, now));
        }
        notices.extend(plugins.see(&watched.plugins.borrow_and_update(), now));
        notices.into_iter().for_each(|notice| notifier.tell(notice));
        let due = tunnels.due();
        tokio::select! {
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            } => {}
            changed = watched.tunnels.changed() => if changed.is_err() { return },
            changed = watched.chat.changed() => if changed.is_err() { return },
            changed = watched.plugins.changed() => if changed.is_err() { return },
            lockout = watched.lockouts.recv() => match lockout {
                Ok(lockout) => notifier.tell(locked(&lockout, clock.now())),
                // One that was missed is like the one that follows.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

/// Not the account that was typed: people type passwords there.
fn locked(lockout: &Lockout, now: u64) -> Notice {
    let minutes = lockout.until.saturating_sub(now).div_ceil(60_000);
    Notice {
        event: NoticeKind::LoginLocked,
        subject: "login".to_owned(),
        text: format!(
            "Too many wrong passwords: an account is locked for {minutes} min. The last attempt came from {} ({}).",
            lockout.peer, lockout.place
        ),
        url: None,
        at: now,
    }
}
