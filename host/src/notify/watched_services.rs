//! The services that are watched for what is worth a message.

use super::{Notifier, channels, conditions};
use nexus_auth::{Lockout, place_in_words};
use nexus_chat::BackendStatus;
use nexus_config::resolved::Notify;
use nexus_model::notice::{Notice, NoticeKind};
use nexus_model::plugin::PluginStatus;
use nexus_model::plural;
use nexus_model::time::Clock;
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelStatus;
use nexus_process::Processes;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// What is watched.
pub(crate) struct NoticeSources {
    pub(crate) tunnels: watch::Receiver<Vec<TunnelStatus>>,
    pub(crate) chat: watch::Receiver<BackendStatus>,
    pub(crate) plugins: watch::Receiver<Vec<PluginStatus>>,
    pub(crate) lockouts: broadcast::Receiver<Lockout>,
}

/// Until the host ends.
///
/// # Errors
/// The webhook's address is none: as the status page shows it.
pub(crate) fn start(
    notify: &Notify,
    watched: NoticeSources,
    processes: &Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
) -> Result<JoinHandle<()>, Trouble> {
    let channels = channels::of(notify, processes)
        .map_err(|error| Trouble::new("notify", format!("{error:#}"), "correct [notify], then restart Nexus"))?;
    let notifier = Notifier::start(notify.events.clone(), channels);
    Ok(tokio::spawn(watch_all(watched, notifier, clock)))
}

async fn watch_all(mut watched: NoticeSources, notifier: Notifier, clock: Arc<dyn Clock>) {
    let (mut tunnels, mut backend, mut plugins) = (
        conditions::Tunnels::default(),
        conditions::Backend::default(),
        conditions::Plugins::default(),
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
    let minutes = plural::of(lockout.until.saturating_sub(now).div_ceil(60_000), "minute", "minutes");
    Notice {
        event: NoticeKind::LoginLocked,
        subject: "login".to_owned(),
        text: format!(
            "Too many wrong passwords: an account is locked for {minutes}. The last attempt came from {} ({}).",
            lockout.peer,
            place_in_words(&lockout.place)
        ),
        url: None,
        at: now,
    }
}
