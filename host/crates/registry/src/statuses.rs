//! The state of each plugin that serves somewhere, as one list, with what is worth a line of the activity.

use nexus_model::activity::Severity;
use nexus_model::plugin::{Details, Kind, PluginState, PluginStatus, Process};
use nexus_model::time::millis;
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::{PluginRecord, Supervised};
use nexus_process::{Info, Processes, Usage};
use nexus_store::activity_log::ActivityLog;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// `RegistrationId` tells instances of one plugin from each other. None is given twice in the life of the host.
pub type RegistrationId = u64;

/// `PluginStatuses` lists the plugins that serve, with their states and what they use, and what else does not work.
pub struct PluginStatuses {
    list: watch::Sender<Vec<PluginStatus>>,
    /// `sources` are in the order in which they are shown.
    sources: Mutex<Vec<Source>>,
    registrations: AtomicU64,
    activity: Arc<ActivityLog>,
    processes: Arc<dyn Processes>,
    /// `troubles` are what does not work, besides plugins and tunnels.
    troubles: Mutex<Vec<Trouble>>,
}

struct Source {
    registration: RegistrationId,
    plugin: Registered,
    task: AbortHandle,
}

/// `Registered` is a plugin that serves somewhere.
#[derive(Clone)]
pub struct Registered {
    /// `status` is its state; changes are seen at once.
    pub status: watch::Receiver<PluginStatus>,
    /// `measured` gives what was counted of it, see [`counted`].
    pub measured: Count,
    /// `tunnel` is the tunnel that it serves, where it serves one.
    pub tunnel: Option<String>,
}

/// `Count` gives what was counted of a plugin, once it is loaded.
pub(crate) type Count = Arc<dyn Fn() -> Option<Arc<dyn PluginRecord>> + Send + Sync>;

/// `counted` is for a plugin whose record, if there is one, is known already.
pub fn counted(measured: Option<Arc<dyn PluginRecord>>) -> Count {
    Arc::new(move || measured.clone())
}

impl Registered {
    /// Registers a chat or tunnel plugin; for the tunnel it serves, see [`Self::tunnel`].
    pub fn of<P: Supervised + ?Sized>(plugin: &Arc<P>) -> Self {
        // It is shown for as long as it is there, and not the other way round.
        let there = Arc::downgrade(plugin);
        Self {
            status: plugin.status(),
            measured: Arc::new(move || there.upgrade()?.measured()),
            tunnel: None,
        }
    }
}

impl PluginStatuses {
    /// `troubles`: what does not work at the start, besides plugins and tunnels.
    /// Makes the list, empty. `activity` gets a line for each crash and each failure, `processes` is asked for what the
    /// plugins' processes use, and `troubles` are what does not work at the start, besides plugins and tunnels.
    pub fn new(activity: Arc<ActivityLog>, processes: Arc<dyn Processes>, troubles: Vec<Trouble>) -> Self {
        Self {
            list: watch::Sender::default(),
            sources: Mutex::default(),
            registrations: AtomicU64::new(0),
            activity,
            processes,
            troubles: Mutex::new(troubles),
        }
    }

    /// `subscribe` has the state of each plugin that serves; changes are seen at once.
    pub fn subscribe(&self) -> watch::Receiver<Vec<PluginStatus>> {
        self.list.subscribe()
    }

    /// `details` tells what each of [`Self::subscribe`] is and may do, and what was counted of it, in the same order.
    /// It looks at the disk and at all processes of the machine, which takes milliseconds: not for each event, and not
    /// on a thread that others wait for.
    pub fn details(&self) -> Vec<Details> {
        // Not under the lock: the disk may be slow.
        let plugins: Vec<Registered> = listed(&self.sources()).map(|source| source.plugin.clone()).collect();
        let processes = self.processes.usage();
        plugins.iter().filter_map(|plugin| plugin.details(&processes)).collect()
    }

    /// `troubles` are what does not work, besides plugins and tunnels, which say it themselves.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.troubles_now().clone()
    }

    /// Notes that a part does not work, while the rest does.
    pub fn trouble(&self, trouble: Trouble) {
        self.activity
            .note(&trouble.subject, Severity::Error, &format!("failed: {}", trouble.cause));
        self.troubles_now().push(trouble);
        self.publish(&self.sources());
    }

    /// Notes that a part works again.
    pub fn no_trouble(&self, part: &str) {
        self.troubles_now().retain(|trouble| trouble.subject != part);
        self.publish(&self.sources());
    }

    fn troubles_now(&self) -> MutexGuard<'_, Vec<Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a plugin that serves from now on. One that serves two tunnels has an instance for each, and stands here
    /// twice.
    pub fn add(self: &Arc<Self>, plugin: Registered) -> RegistrationId {
        let mut changes = plugin.status.clone();
        let statuses = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            let mut before = changes.borrow_and_update().state.clone();
            while changes.changed().await.is_ok() {
                let Some(statuses) = statuses.upgrade() else { return };
                let now = changes.borrow_and_update().clone();
                if now.state != before
                    && let Some((severity, text)) = event(&now.state)
                {
                    statuses.activity.note(&format!("plugin {}", now.name), severity, &text);
                }
                before = now.state;
                statuses.publish(&statuses.sources());
            }
        });
        let registration = self.registrations.fetch_add(1, Ordering::Relaxed);
        let mut sources = self.sources();
        sources.push(Source {
            registration,
            plugin,
            task: task.abort_handle(),
        });
        self.publish(&sources);
        registration
    }

    /// Removes the plugin that was added with this id: it serves no more.
    pub fn remove(&self, registration: RegistrationId) {
        let mut sources = self.sources();
        sources.retain(|source| {
            let stays = source.registration != registration;
            if !stays {
                source.task.abort();
            }
            stays
        });
        self.publish(&sources);
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, sources: &[Source]) {
        let list = listed(sources).map(|source| PluginStatus {
            tunnel: source.plugin.tunnel.clone(),
            ..source.plugin.status.borrow().clone()
        });
        self.list.send_replace(list.collect());
    }
}

/// `listed` has each chat plugin once, however often it was given the chat: as the backend, the fallback, or as what it
/// was before a swap. Shown is the one that does something, or else the newest.
fn listed(sources: &[Source]) -> impl Iterator<Item = &Source> {
    let rests = |source: &Source| source.plugin.status.borrow().state == PluginState::Stopped;
    let name = |source: &Source| {
        let status = source.plugin.status.borrow();
        (status.kind == Kind::Chat).then(|| status.name.clone())
    };
    sources.iter().enumerate().filter_map(move |(at, source)| {
        let Some(own) = name(source) else { return Some(source) };
        let same = |other: &&Source| name(other).as_ref() == Some(&own);
        let first = sources.iter().position(|other| same(&other)) == Some(at);
        let shown = || sources.iter().rfind(|other| same(other) && !rests(other));
        let newest = || sources.iter().rfind(same);
        if first { shown().or_else(newest) } else { None }
    })
}

/// `event` is what is worth a line.
fn event(state: &PluginState) -> Option<(Severity, String)> {
    match state {
        PluginState::Restarting { cause, .. } => {
            Some((Severity::Warning, format!("crashed and is being restarted: {cause}")))
        }
        PluginState::Failed { cause } => Some((Severity::Error, format!("failed and is not restarted: {cause}"))),
        PluginState::Stopped | PluginState::Starting | PluginState::Running => None,
    }
}

impl Registered {
    /// `details` is `None` where what runs the plugin has no statistics.
    fn details(&self, processes: &[(Info, Option<Usage>)]) -> Option<Details> {
        let measured = (self.measured)()?;
        let own = processes.iter().filter(|(info, _)| info.key.plugin == measured.owner());
        let own = own.map(|(info, usage)| Process {
            name: info.key.name.clone(),
            pid: info.pid,
            started_at: info.started_at,
            cpu_ms: usage.map(|usage| millis(usage.cpu)),
            resident_bytes: usage.map(|usage| usage.resident),
            restarts: info.restarts,
        });
        let status = self.status.borrow();
        Some(Details {
            name: status.name.clone(),
            kind: status.kind,
            tunnel: self.tunnel.clone(),
            facts: measured.facts(),
            statistics: measured.statistics(),
            processes: own.collect(),
        })
    }
}
