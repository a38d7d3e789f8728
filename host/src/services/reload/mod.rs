//! The configuration's file while Nexus runs: what changes in it is put into force at once where it is harmless, is shown
//! and waits for a confirmation where it can be put into force, and is said to wait for the next start otherwise.
//!
//! A confirmation, because the agent on this machine can write files too: an edit alone must not open a tunnel or grant a
//! plugin anything. It names the text that was shown, and that text counts, whatever the file says by then.
//!
//! Looked at by its time and size, not by inotify: the file may be replaced, be a link, or lie on a network's disk, and a
//! second does not matter.

mod parts;
#[cfg(test)]
mod tests;

use crate::config::changes::{Change, Values, show};
use crate::config::resolved::{Config, Plugin, Tunnel};
use crate::model::activity::{Activity, Tone};
use crate::model::reload::{self, Pending, What};
use crate::time::{Clock, Millis};
use crate::timeouts;
use futures::future::BoxFuture;
use parts::{Part, Parted};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Who serves now, whatever the file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    /// By tunnel.
    pub tunnels: BTreeMap<String, String>,
    /// The chat backend that is wanted.
    pub chat: String,
    /// `main` of `[chat.main]`.
    pub chat_name: String,
    /// Loaded at the start of the host and never again: the login's, which guards the page where its change would be
    /// confirmed, and the chat's fallback.
    pub fixed: BTreeSet<String>,
}

/// What the rest of the host does for it. `Err`: a sentence for the operator.
pub trait Host: Send + Sync + 'static {
    /// Reads and checks the file. Blocks.
    fn read(&self) -> Result<Config, String>;
    /// The file says this from now on, whether or not it counts.
    fn file_says(&self, config: &Config);
    fn serving(&self) -> Serving;
    fn log_filter(&self, filter: &str) -> Result<(), String>;
    /// What is loaded from now on.
    fn plugins(&self, plugins: BTreeMap<String, Plugin>);
    /// Opens a tunnel anew as it is described; one that is not there is made.
    fn tunnel(&self, tunnel: Tunnel) -> BoxFuture<'_, Result<(), String>>;
    fn remove_tunnel<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// Lets a plugin, loaded anew, be the chat backend.
    fn chat(&self, plugin: String) -> BoxFuture<'_, Result<(), String>>;
}

/// Why nothing, or not all, was put into force. A sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApplied(pub String);

type Order = (String, oneshot::Sender<Result<(), NotApplied>>);

/// The running service. Dropping it ends it.
pub struct ReloadService {
    pending: watch::Receiver<Option<Pending>>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Drop for ReloadService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where the file lies, and when it was last written: `(time, bytes)`, none where it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl ReloadService {
    /// `file`: the one to look at, which need not be there; none: nothing is looked at. `running`: what counts.
    pub fn start(
        file: Option<PathBuf>,
        running: &Config,
        host: Arc<dyn Host>,
        activity: Arc<dyn Activity>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (sender, pending) = watch::channel(None);
        let (orders, ordered) = mpsc::channel(1);
        let watcher = Watcher {
            counts: Values::read(&running.text),
            plugins: running.plugins.clone(),
            hidden: running.secret_variables.iter().cloned().collect(),
            existed: running.file.is_some(),
            file,
            host,
            activity,
            clock,
            pending: sender,
            seen: None,
            latest: None,
            errors: BTreeMap::new(),
        };
        let task = tokio::spawn(watcher.run(ordered));
        Self { pending, orders, task }
    }

    /// What the file says and does not count yet; changes are seen at once.
    pub fn pending(&self) -> watch::Receiver<Option<Pending>> {
        self.pending.clone()
    }

    /// Puts into force what waits for a confirmation, as it was shown under `id`. Returns when that is done.
    ///
    /// # Errors
    /// The file says something else by now, or a part could not be put into force: that part is as before.
    pub async fn apply(&self, id: &str) -> Result<(), NotApplied> {
        let gone = || NotApplied("Nexus is stopping.".to_owned());
        let (done, answer) = oneshot::channel();
        self.orders.send((id.to_owned(), done)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// What was read last.
struct Latest {
    id: String,
    seen_at: Millis,
    file: Values,
    config: Config,
}

struct Watcher {
    file: Option<PathBuf>,
    host: Arc<dyn Host>,
    activity: Arc<dyn Activity>,
    clock: Arc<dyn Clock>,
    pending: watch::Sender<Option<Pending>>,
    /// The keys that are in force.
    counts: Values,
    /// The plugins that are in force.
    plugins: BTreeMap<String, Plugin>,
    /// Variables of the environment that no child process gets: settled at the start.
    hidden: BTreeSet<String>,
    /// There was a file at the start: that it goes is no change to no configuration.
    existed: bool,
    /// The stamp of what was read, and one that was seen once since.
    seen: Option<(Stamp, Option<Stamp>)>,
    latest: Option<Latest>,
    /// What could not be put into force.
    errors: BTreeMap<Part, String>,
}

impl Watcher {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut look = tokio::time::interval(timeouts::CONFIG_LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look().await,
                order = orders.recv() => {
                    let Some((id, done)) = order else { return };
                    let answer = self.apply(&id).await;
                    let _ = done.send(answer);
                }
            }
        }
    }

    async fn look(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let stamp = tokio::task::spawn_blocking(move || {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        });
        let Ok(stamp) = stamp.await else { return };
        match &mut self.seen {
            // It may have been written since the host read it.
            None => {
                self.seen = Some((stamp, None));
                if stamp.is_some() {
                    self.read(true).await;
                }
            }
            Some((read, again)) if *read == stamp => *again = None,
            // Read only when it rests: an editor may be in the middle of it.
            Some((_, again)) if *again != Some(stamp) => *again = Some(stamp),
            Some(_) => {
                self.seen = Some((stamp, None));
                self.read(stamp.is_some()).await;
            }
        }
    }

    async fn read(&mut self, there: bool) {
        let host = Arc::clone(&self.host);
        let read = if there || !self.existed {
            let read = tokio::task::spawn_blocking(move || host.read()).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
        } else {
            Err("the file is gone; what it said counts until the next start".to_owned())
        };
        let seen_at = self.clock.now();
        self.errors.clear();
        match read {
            Ok(config) => {
                self.host.file_says(&config);
                let latest = Latest {
                    id: id(&config.text),
                    seen_at,
                    file: Values::read(&config.text),
                    config,
                };
                self.filter(&latest);
                self.latest = Some(latest);
                self.publish(false);
                self.tell();
            }
            Err(why) => {
                self.latest = None;
                tracing::warn!("the configuration changed and cannot be used; nothing of it counts:\n{why}");
                self.note(Tone::Bad, "changed and cannot be used; nothing of it counts");
                self.pending.send_replace(Some(Pending {
                    id: id(&why),
                    seen_at,
                    what: What::Invalid { why },
                }));
            }
        }
    }

    /// The filter of the log is harmless: who came in is written down whatever it says.
    fn filter(&mut self, latest: &Latest) {
        let changes = self.counts.changes(&latest.file);
        for change in changes.iter().filter(|change| parts::is_filter(change)) {
            let filter = &latest.config.log.filter;
            match self.host.log_filter(filter) {
                Ok(()) => {
                    self.counts.take(change);
                    self.note(Tone::Good, &format!("the filter of the log is `{filter}` now"));
                }
                Err(why) => {
                    self.errors.insert(Part::Filter, why);
                }
            }
        }
    }

    fn parted(&self, latest: &Latest) -> Parted {
        Parted::new(
            &self.counts,
            &latest.file,
            &latest.config,
            &self.host.serving(),
            &self.hidden,
        )
    }

    fn publish(&self, applying: bool) {
        let pending = self.latest.as_ref().and_then(|latest| {
            let parted = self.parted(latest);
            let shown = |change: &Change, error: Option<String>| reload::Change {
                key: change.name(),
                was: change.was.as_ref().map(show),
                now: change.now.as_ref().map(show),
                error,
            };
            let failed = |parts: &BTreeSet<Part>| parts.iter().find_map(|part| self.errors.get(part).cloned());
            let confirm = parted.confirm.iter();
            let confirm: Vec<_> = confirm.map(|(change, parts)| shown(change, failed(parts))).collect();
            let restart: Vec<_> = parted.restart.iter().map(|change| shown(change, None)).collect();
            (!confirm.is_empty() || !restart.is_empty()).then(|| Pending {
                id: latest.id.clone(),
                seen_at: latest.seen_at,
                what: What::Changed {
                    confirm,
                    restart,
                    applying,
                },
            })
        });
        self.pending.send_if_modified(|shown| {
            let changed = *shown != pending;
            *shown = pending;
            changed
        });
    }

    fn tell(&self) {
        let said = match self.pending.borrow().as_ref().map(|pending| &pending.what) {
            Some(What::Changed { confirm, restart, .. }) => {
                let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
                let parts = [
                    count(confirm.len(), "to be confirmed on the status page"),
                    count(restart.len(), "for the next start"),
                ];
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
            }
            _ => return,
        };
        tracing::info!("the configuration changed: {said}");
        self.note(Tone::Busy, &format!("changed: {said}"));
    }

    async fn apply(&mut self, id: &str) -> Result<(), NotApplied> {
        let Some(latest) = self.latest.take_if(|latest| latest.id == id) else {
            return Err(NotApplied(
                "The configuration's file says something else by now: look at it and confirm that.".to_owned(),
            ));
        };
        self.errors.clear();
        let parted = self.parted(&latest);
        self.latest = Some(latest);
        self.publish(true);
        if let Some(latest) = self.latest.take() {
            self.put_into_force(&latest, &parted).await;
            self.latest = Some(latest);
        }
        self.publish(false);
        match self.errors.values().next() {
            Some(why) => Err(NotApplied(why.clone())),
            None => Ok(()),
        }
    }

    async fn put_into_force(&mut self, latest: &Latest, parted: &Parted) {
        for (name, plugin) in &latest.config.plugins {
            if !parted.held.contains(name) {
                self.plugins.insert(name.clone(), plugin.clone());
            }
        }
        self.plugins
            .retain(|name, _| latest.config.plugins.contains_key(name) || parted.held.contains(name));
        self.host.plugins(self.plugins.clone());
        let all: BTreeSet<&Part> = parted.confirm.iter().flat_map(|(_, parts)| parts).collect();
        for part in all {
            let done = match part {
                Part::Tunnel(name) => match parted.tunnel(name, &latest.config) {
                    Some(tunnel) => self.host.tunnel(tunnel).await,
                    None => self.host.remove_tunnel(name).await,
                },
                Part::Chat => self.host.chat(parted.chat.clone()).await,
                // Tried when it was read.
                Part::Filter => self.host.log_filter(&latest.config.log.filter),
            };
            if let Err(why) = done {
                tracing::warn!(%part, why, "a change of the configuration is not in force");
                self.errors.insert(part.clone(), why);
            }
        }
        let mut taken = 0;
        for (change, parts) in &parted.confirm {
            if !parts.iter().any(|part| self.errors.contains_key(part)) {
                self.counts.take(change);
                taken += 1;
            }
        }
        tracing::info!(
            taken,
            failed = self.errors.len(),
            "changes of the configuration were confirmed"
        );
        if taken > 0 {
            let plural = if taken == 1 { "change is" } else { "changes are" };
            self.note(Tone::Good, &format!("{taken} confirmed {plural} in force"));
        }
    }

    fn note(&self, tone: Tone, text: &str) {
        self.activity.note("configuration", tone, text);
    }
}

fn id(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
