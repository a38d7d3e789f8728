//! The task that looks at the file, and its handle.

use crate::active_plugins::ActivePlugins;
use crate::apply_plan::{ApplyPlan, Part, path};
use crate::change_texts::{CONTENT, applied, invalid, shown};
use crate::component_changes::{self, LoadErrors};
use crate::error::NotApplied;
use crate::file_events::FileEvents;
use crate::file_fingerprints::{Fingerprint, Seen, id};
use crate::new_permissions;
use crate::reload_host::ReloadHost;
use crate::reload_targets::ReloadTargets;
use crate::verbosity;
use nexus_config::changes::{Change, Key, Values};
use nexus_config::resolved::{Config, Plugin};
use nexus_model::activity::Severity;
use nexus_model::limits;
use nexus_model::plural;
use nexus_model::reload::{Pending, PendingState};
use nexus_model::time::{Clock, Millis};
use nexus_store::activity_log::ActivityLog;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

type ApplyCommand = (String, oneshot::Sender<Result<(), NotApplied>>);

/// `ReloadService` watches the file. Dropping it ends the watching.
pub struct ReloadService {
    pending: watch::Receiver<Option<Pending>>,
    commands: mpsc::Sender<ApplyCommand>,
    task: JoinHandle<()>,
}

impl Drop for ReloadService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `RESTLESS` is how often a file that does not come to rest is looked at, before it is read all the same.
const RESTLESS: u32 = 5;
/// `WHY` is how many characters of what is wrong with a file are shown.
const WHY: usize = 8_000;
/// `LOGGED` is how many keys are named in the log.
const LOGGED: usize = 20;

impl ReloadService {
    /// Starts watching `file`, which need not be there; with `None`, nothing is watched. `running` is the active
    /// configuration.
    ///
    /// # Errors
    /// The machine gives no randomness: what is shown of secrets could then be guessed.
    pub fn start(
        file: Option<PathBuf>,
        running: &Config,
        outside: Arc<dyn ReloadHost>,
        rooms: ReloadTargets,
        activity: Arc<ActivityLog>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, getrandom::Error> {
        let (sender, pending) = watch::channel(None);
        let (commands, received) = mpsc::channel(1);
        let mut watcher = Watcher {
            counts: Values::default(),
            salt: nexus_model::random::random_token()?,
            files: running.files.clone(),
            notices: running.notices.clone(),
            mixed: BTreeSet::new(),
            plugins: running.plugins.clone(),
            hidden: running.secret_variables.iter().cloned().collect(),
            existed: running.file.is_some(),
            file,
            outside,
            chat_name: running.chat.name.clone(),
            fixed: ReloadTargets::fixed(running),
            rooms,
            activity,
            clock,
            pending: sender,
            seen: None,
            unfit: None,
            events: None,
            latest: None,
            errors: BTreeMap::new(),
            looked_at: BTreeMap::new(),
        };
        watcher.counts = watcher.values(running);
        let task = tokio::spawn(watcher.run(received));
        Ok(Self {
            pending,
            commands,
            task,
        })
    }

    /// `pending` is what the file has that is not applied yet; changes are seen at once.
    pub fn pending(&self) -> watch::Receiver<Option<Pending>> {
        self.pending.clone()
    }

    /// Applies what waits for a confirmation, as it was shown under `id`. Returns when that is done; it is done whether or
    /// not anybody waits for it.
    ///
    /// # Errors
    /// The file says something else by now, or a part could not be applied: that part is as before.
    pub async fn apply(&self, id: &str) -> Result<(), NotApplied> {
        let gone = || NotApplied("Nexus is stopping.".to_owned());
        let (done, answer) = oneshot::channel();
        self.commands.send((id.to_owned(), done)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// `Latest` is what was read last.
struct Latest {
    id: String,
    seen_at: Millis,
    file: Values,
    config: Config,
    load_errors: LoadErrors,
}

struct Watcher {
    file: Option<PathBuf>,
    /// `files` are what else was read for it: components, secrets.
    files: BTreeSet<PathBuf>,
    /// `notices` are those of what was read last, or of the start: they were logged.
    notices: Vec<String>,
    outside: Arc<dyn ReloadHost>,
    rooms: ReloadTargets,
    /// `main` of `[chat.main]`.
    chat_name: String,
    /// See [`ActivePlugins::fixed`].
    fixed: BTreeSet<String>,
    activity: Arc<ActivityLog>,
    clock: Arc<dyn Clock>,
    pending: watch::Sender<Option<Pending>>,
    /// `counts` are the keys that are active.
    counts: Values,
    /// `mixed` are the keys of which only a part could be applied: they differ from the file whatever it says.
    mixed: BTreeSet<Key>,
    /// `plugins` are those that are active.
    plugins: BTreeMap<String, Plugin>,
    /// `hidden` are the variables of the environment that no child process gets: settled at the start.
    hidden: BTreeSet<String>,
    /// `salt` goes into the digest of a secret, so that it says nothing elsewhere.
    salt: String,
    /// `existed`: there was a file at the start, so its removal is a change.
    existed: bool,
    seen: Option<Seen>,
    /// `unfit` is when the file is read again although it rests, where what it names was not fit the last time: a folder that
    /// is made now changes no file that is looked at.
    unfit: Option<Instant>,
    /// `events` tell what happens to the files after the last look at them; `None`: nobody tells.
    events: Option<FileEvents>,
    latest: Option<Latest>,
    /// `errors` are what could not be applied.
    errors: BTreeMap<Part, String>,
    /// `looked_at` says by plugin and digest why a changed component would not load.
    looked_at: BTreeMap<(String, String), Option<String>>,
}

impl Watcher {
    async fn run(mut self, mut commands: mpsc::Receiver<ApplyCommand>) {
        self.look().await;
        loop {
            let due = Instant::now() + limits::CONFIG_CHECK;
            let rested = self.seen.as_ref().is_some_and(|seen| seen.since.is_none());
            let events = self.events.take_if(|_| rested);
            let watched = self.file.is_some();
            let wait = async {
                if !watched {
                    std::future::pending::<()>().await;
                }
                if let Some(events) = events {
                    let _ = timeout(limits::CONFIG_RECHECK, events.happened()).await;
                }
                // A folder in which much happens causes no more looks than one that nobody tells of.
                sleep_until(due).await;
            };
            tokio::select! {
                () = wait => self.look().await,
                command = commands.recv() => {
                    let Some((id, done)) = command else { return };
                    let answer = self.apply(&id).await;
                    let _ = done.send(answer);
                }
            }
        }
    }

    async fn fingerprints(&mut self) -> Option<Vec<Fingerprint>> {
        self.events = None;
        let files: Vec<PathBuf> = self.file.iter().chain(&self.files).cloned().collect();
        let looked = tokio::task::spawn_blocking(move || {
            // Before the look: what happens after it is told.
            let events = FileEvents::of(&files);
            (events, files.iter().map(|file| Fingerprint::of(file)).collect())
        });
        let (events, fingerprints) = timeout(limits::CONFIG_READ, looked).await.ok()?.ok()?;
        self.events = events;
        Some(fingerprints)
    }

    async fn look(&mut self) {
        if self.file.is_none() {
            return;
        }
        let Some(fingerprints) = self.fingerprints().await else {
            return;
        };
        let there = fingerprints.first().is_some_and(Fingerprint::is_there);
        match &mut self.seen {
            // It may have been written since the host read it.
            None => {
                if there {
                    self.read().await;
                } else {
                    self.seen = Some(Seen {
                        read: fingerprints,
                        since: None,
                        restless: 0,
                    });
                }
            }
            Some(seen) if seen.read == fingerprints => {
                (seen.since, seen.restless) = (None, 0);
                if self.unfit.is_some_and(|again| again <= Instant::now()) {
                    self.read().await;
                }
            }
            // Read only when it rests: an editor may be in the middle of it. But not for ever.
            Some(seen) if seen.since.as_ref() != Some(&fingerprints) && seen.restless < RESTLESS => {
                seen.since = Some(fingerprints);
                seen.restless += 1;
            }
            Some(_) => self.read().await,
        }
    }

    /// `values` are what is written, and what that names: components in files and secrets.
    fn values(&self, config: &Config) -> Values {
        let mut values = Values::read(&config.text);
        for plugin in config.plugins.values() {
            if let Some(digest) = &plugin.digest {
                values.add(&["plugin", &plugin.name, "(component)"], format!("sha256 {digest}"));
            }
            for (name, secret) in &plugin.grants.secrets {
                let digest = id([self.salt.as_str(), secret.reveal()]);
                values.add(&["plugin", &plugin.name, "secrets", name, CONTENT], digest);
            }
        }
        values
    }

    async fn read(&mut self) {
        // Before the reading: what is written meanwhile is seen by the next look.
        let fingerprints = self.fingerprints().await.unwrap_or_default();
        let there = fingerprints.first().is_some_and(Fingerprint::is_there);
        self.seen = Some(Seen {
            read: fingerprints,
            since: None,
            restless: 0,
        });
        let outside = Arc::clone(&self.outside);
        let read = if there || !self.existed {
            let read = tokio::task::spawn_blocking(move || outside.read().map_err(|cause| cause.to_string()));
            let read = timeout(limits::CONFIG_READ, read).await;
            let read = read.map_or_else(
                |_| Err("the file could not be read in time".to_owned()),
                |read| read.unwrap_or_else(|error| Err(error.to_string())),
            );
            let offered = read.map(|config| self.rooms.offered(config));
            let fit = match &offered {
                Ok(fit) => fit.is_ok(),
                // Nothing is known of what it names.
                Err(_) => self.unfit.is_none(),
            };
            self.unfit = (!fit).then(|| Instant::now() + limits::CONFIG_RECHECK / 2);
            offered.and_then(|offered| offered)
        } else {
            self.unfit = None;
            Err("the file was deleted; its settings stay active until the next start".to_owned())
        };
        let seen_at = self.clock.now();
        let before = self.pending.borrow().as_ref().map(|pending| pending.id.clone());
        match read {
            Ok(config) => {
                self.rooms.plugins.overrides.file_says(&config);
                let file = self.values(&config);
                // Only what is new is looked at from the next look on.
                let files = config.files.clone();
                let latest = Latest {
                    id: id([format!("{file:?}").as_str(), &config.text]),
                    seen_at,
                    file,
                    load_errors: self.load_errors(&config).await,
                    config,
                };
                let same = self.latest.as_ref().is_some_and(|known| known.id == latest.id);
                if !same {
                    self.errors.clear();
                }
                for notice in latest
                    .config
                    .notices
                    .iter()
                    .filter(|notice| !self.notices.contains(*notice))
                {
                    tracing::warn!("{notice}");
                }
                self.notices.clone_from(&latest.config.notices);
                if files != self.files {
                    self.files = files;
                    let fingerprints = self.fingerprints().await.unwrap_or_default();
                    if let Some(seen) = &mut self.seen {
                        seen.read = fingerprints;
                    }
                }
                self.filter(&latest);
                self.latest = Some(latest);
                self.publish(false);
                if self.pending.borrow().as_ref().map(|pending| &pending.id) != before.as_ref() {
                    self.tell();
                }
            }
            Err(cause) => {
                self.latest = None;
                self.errors.clear();
                let cause: String = cause.chars().take(WHY).collect();
                let id = id([cause.as_str()]);
                if before.as_ref() != Some(&id) {
                    tracing::warn!(
                        "the configuration changed but is invalid, so none of its changes take effect: {}",
                        invalid(&cause, self.file.as_deref())
                    );
                    self.note(
                        Severity::Error,
                        "the file changed but is invalid, so none of its changes take effect",
                    );
                }
                if before.as_ref() != Some(&id) {
                    let what = PendingState::Invalid { cause };
                    self.pending.send_replace(Some(Pending { id, seen_at, what }));
                }
            }
        }
    }

    /// Applies a filter of the log that hides nothing new: that is harmless.
    fn filter(&mut self, latest: &Latest) {
        let changes = self.counts.changes(&latest.file);
        let old = self.counts.get(&["log", "filter"]).and_then(|old| old.as_str());
        let (new, old) = (&latest.config.log.filter, old.unwrap_or("info").to_owned());
        let change = changes.iter().find(|change| path(change) == ["log", "filter"]);
        let Some(change) = change.filter(|_| verbosity::shows_all_of(new, &old)) else {
            return;
        };
        tracing::info!("changing the log filter");
        match self.outside.log_filter(new) {
            Ok(()) => {
                self.counts.take(change);
                self.note(Severity::Ok, "the log filter has changed");
            }
            Err(cause) => {
                self.errors.insert(Part::Filter, cause.to_string());
            }
        }
    }

    fn changes(&self, latest: &Latest) -> Vec<Change> {
        let mut changes = self.counts.changes(&latest.file);
        for key in &self.mixed {
            if !changes.iter().any(|change| change.key == *key) {
                let parts: Vec<&str> = key.iter().map(String::as_str).collect();
                changes.push(Change {
                    key: key.clone(),
                    was: Some(toml::Value::String("applied in part".to_owned())),
                    now: latest.file.get(&parts).cloned(),
                });
            }
        }
        changes
    }

    /// Looks at each changed component once.
    async fn load_errors(&mut self, config: &Config) -> LoadErrors {
        let changed = component_changes::changed(&self.plugins, &config.plugins);
        let changed: Vec<Plugin> = changed.map(|(_, plugin)| plugin.clone()).collect();
        let key = |plugin: &Plugin| (plugin.name.clone(), plugin.digest.clone().unwrap_or_default());
        self.looked_at
            .retain(|known, _| changed.iter().any(|plugin| key(plugin) == *known));
        for plugin in &changed {
            if self.looked_at.contains_key(&key(plugin)) {
                continue;
            }
            let (outside, one) = (Arc::clone(&self.outside), plugin.clone());
            let looked =
                tokio::task::spawn_blocking(move || outside.would_load(&one).err().map(|cause| cause.to_string()));
            // One that takes too long to compile is found out when it is applied; what serves then goes on.
            if let Ok(Ok(cause)) = timeout(limits::CONFIG_READ, looked).await {
                self.looked_at.insert(key(plugin), cause);
            }
        }
        let looked_at = self.looked_at.iter();
        looked_at
            .filter_map(|((name, _), cause)| Some((name.clone(), cause.clone()?)))
            .collect()
    }

    fn serving(&self) -> ActivePlugins {
        self.rooms.serving(&self.chat_name, &self.fixed)
    }

    fn plan(&self, latest: &Latest) -> ApplyPlan {
        let serving = self.serving();
        ApplyPlan::new(
            self.changes(latest),
            &self.counts,
            &latest.config,
            &serving,
            &self.hidden,
            &latest.load_errors,
        )
    }

    fn publish(&self, applying: bool) {
        let pending = self.latest.as_ref().and_then(|latest| {
            let plan = self.plan(latest);
            let failed = |parts: &BTreeSet<Part>| parts.iter().find_map(|part| self.errors.get(part).cloned());
            let confirm = plan.confirm.iter();
            let confirm: Vec<_> = confirm
                .map(|(change, parts)| shown(change, &latest.file, failed(parts)))
                .collect();
            let load_error = |change: &Change| match path(change).as_slice() {
                ["plugin", name, "(component)"] => latest
                    .load_errors
                    .get(*name)
                    .map(|cause| format!("the component cannot be loaded: {cause}")),
                _ => None,
            };
            let restart: Vec<_> = plan
                .restart
                .iter()
                .map(|change| shown(change, &latest.file, load_error(change)))
                .collect();
            let candidate = self.candidate(latest, &plan);
            (!confirm.is_empty() || !restart.is_empty()).then(|| Pending {
                id: latest.id.clone(),
                seen_at: latest.seen_at,
                what: PendingState::Changed {
                    effects: plan.effects(&self.serving(), &latest.config),
                    new_permissions: new_permissions::new_permissions(&self.plugins, &candidate, |plugin| {
                        let broken = self.rooms.plugins.catalog.broken(&plugin.name);
                        broken.is_some_and(|broken| new_permissions::same(plugin, broken, &self.changes(latest)))
                    }),
                    components: component_changes::components(
                        &self.plugins,
                        &latest.config.plugins,
                        &latest.load_errors,
                    ),
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
            Some(PendingState::Changed { confirm, restart, .. }) => {
                let counted = |n: usize, one: &str, more: &str| (n > 0).then(|| plural::of(n as u64, one, more));
                let parts = [
                    counted(confirm.len(), "change waits", "changes wait")
                        .map(|what| format!("{what} for Apply on the status page")),
                    counted(restart.len(), "change takes", "changes take")
                        .map(|what| format!("{what} effect at the next start")),
                ];
                parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
            }
            // It was otherwise a moment ago.
            _ => {
                tracing::info!("the configuration is the same as the active one again");
                return self.note(Severity::Ok, "the file is the same as the active configuration again");
            }
        };
        let changes = self.latest.iter().flat_map(|latest| {
            let changes = self.changes(latest).into_iter();
            changes.map(|change| shown(&change, &latest.file, None))
        });
        for change in changes.take(LOGGED) {
            tracing::info!("the configuration changed: {}", change.note.unwrap_or(change.key));
        }
        tracing::info!("the configuration changed: {said}");
        self.note(Severity::Warning, &format!("the file changed: {said}"));
    }

    async fn apply(&mut self, id: &str) -> Result<(), NotApplied> {
        // What was shown must still be what the files say.
        self.read().await;
        let Some(latest) = self.latest.take_if(|latest| latest.id == id) else {
            return Err(NotApplied(
                "The configuration has changed again. Review the changes, then choose Apply on the status page."
                    .to_owned(),
            ));
        };
        self.errors.clear();
        let plan = self.plan(&latest);
        self.latest = Some(latest);
        self.publish(true);
        if let Some(latest) = self.latest.take() {
            self.carry_out(&latest, &plan).await;
            self.latest = Some(latest);
        }
        self.publish(false);
        match self.errors.values().next() {
            Some(cause) => Err(NotApplied(cause.clone())),
            None => Ok(()),
        }
    }

    /// `candidate` are the plugins once all that can be is applied.
    fn candidate(&self, latest: &Latest, plan: &ApplyPlan) -> BTreeMap<String, Plugin> {
        let stays = |name: &String| plan.at_next_start.contains(name);
        let new = latest.config.plugins.iter().filter(|(name, _)| !stays(name));
        let old = self.plugins.iter().filter(|(name, _)| stays(name));
        let all = new.chain(old);
        all.map(|(name, plugin)| (name.clone(), plugin.clone())).collect()
    }

    async fn carry_out(&mut self, latest: &Latest, plan: &ApplyPlan) {
        let candidate = self.candidate(latest, plan);
        let before = std::mem::replace(&mut self.plugins, candidate);
        self.rooms.plugins.catalog.replace(self.plugins.clone());
        let all: BTreeSet<&Part> = plan.confirm.iter().flat_map(|(_, parts)| parts).collect();
        for part in all {
            let done = match part {
                Part::Tunnel(name) => match plan.tunnel(name, &latest.config) {
                    Some(tunnel) => self.rooms.tunnel(tunnel).await,
                    None => self.rooms.remove_tunnel(name).await,
                },
                Part::Chat => self.rooms.chat(&plan.chat).await,
                Part::Filter => {
                    let done = self.outside.log_filter(&latest.config.log.filter);
                    done.map_err(|cause| NotApplied(cause.to_string()))
                }
            };
            if let Err(NotApplied(cause)) = done {
                tracing::warn!(%part, "a configuration change was not applied: {cause}");
                self.errors.insert(part.clone(), cause);
            }
        }
        let mut taken = 0;
        let (mut refused, mut used) = (BTreeSet::new(), BTreeSet::new());
        for (change, parts) in &plan.confirm {
            let failed = parts.iter().any(|part| self.errors.contains_key(part));
            let done = parts.iter().any(|part| !self.errors.contains_key(part));
            if !failed {
                self.counts.take(change);
                self.mixed.remove(&change.key);
                taken += 1;
            } else if done {
                self.mixed.insert(change.key.clone());
            }
            if let ["plugin", plugin, ..] = path(change).as_slice() {
                if failed {
                    refused.insert((*plugin).to_owned());
                }
                if done {
                    used.insert((*plugin).to_owned());
                }
            }
        }
        // What serves nowhere with its new settings has the old ones again, whoever loads it next.
        for name in refused.difference(&used) {
            match before.get(name) {
                Some(plugin) => self.plugins.insert(name.clone(), plugin.clone()),
                None => self.plugins.remove(name),
            };
        }
        self.rooms.plugins.catalog.replace(self.plugins.clone());
        if plan.confirm.is_empty() {
            return;
        }
        let (result, failed) = applied(taken, plan.confirm.len());
        if failed {
            tracing::warn!("{result} (see the status page)");
        } else {
            tracing::info!("{result}");
        }
        self.note(if failed { Severity::Error } else { Severity::Ok }, &result);
    }

    fn note(&self, severity: Severity, text: &str) {
        self.activity.note("configuration", severity, text);
    }
}
