//! What the tasks of the service and its callers have in common: the journal, the status, and which backend is connected.

use crate::backend_status::{BackendStatus, Install, Phase};
use crate::dependencies::Dependencies;
use crate::error::ChatError;
use crate::journal::{Journal, Listed};
use crate::named_backend::NamedBackend;
use crate::pending_prompts::PendingPrompts;
use crate::queue::Queue;
use nexus_config::{with_file, with_place};
use nexus_model::activity::Severity;
use nexus_model::chat::{SessionId, SessionInfo};
use nexus_model::limits;
use nexus_model::plugin::PluginState;
use nexus_model::time::Clock;
use nexus_model::trouble::sentence;
use nexus_plugin_traits::ChatBackend;
use nexus_store::Health;
use nexus_store::activity_log::ActivityLog;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Lets one attempt to send a prompt through at a time.
type PromptLock = tokio::sync::Mutex<()>;

/// `Active` is the backend that is connected.
#[derive(Clone)]
pub(crate) struct Active {
    pub(crate) plugin: String,
    pub(crate) backend: Arc<dyn ChatBackend>,
    /// `open`: its connection is open, so calls make sense.
    pub(crate) open: bool,
    /// `wake` takes what somebody looks at, to be brought up to date.
    pub(crate) wake: mpsc::UnboundedSender<Wake>,
}

pub(crate) enum Wake {
    /// `Session` has a sender that is dropped when the session was read.
    Session(SessionId, oneshot::Sender<()>),
    /// `Changed` is the same for a session that the backend has just changed, however short ago it was read.
    Changed(SessionId, oneshot::Sender<()>),
    List,
}

/// `Renamed` are titles that people chose a short while ago.
type Renamed = HashMap<SessionId, (String, Instant)>;

pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: watch::Sender<BackendStatus>,
    pub(crate) active: watch::Sender<Option<Active>>,
    /// `primary` is the backend that is wanted; another one once it was swapped.
    primary: Mutex<NamedBackend>,
    /// `paused`: the backend is about to change, so prompts wait.
    pub(crate) paused: watch::Sender<bool>,
    activity: Arc<ActivityLog>,
    /// `look` says: look for the backend's program now.
    pub(crate) look: tokio::sync::Notify,
    /// `pending_prompts` are prompts (session, client id) that the journal shows and the backend has not shown yet. It
    /// is locked while such a message is written, so that one that was just replaced is not written again.
    pub(crate) pending_prompts: tokio::sync::Mutex<PendingPrompts>,
    pub(crate) queue: Queue,
    renamed: Mutex<Renamed>,
    /// `created` are sessions, by the request that asked for them.
    pub(crate) created: tokio::sync::Mutex<VecDeque<(String, SessionInfo)>>,
    prompt_locks: Mutex<HashMap<(SessionId, String), Weak<PromptLock>>>,
    /// `compiling` are the names of the plugins that are being compiled.
    compiling: watch::Receiver<Vec<String>>,
    config_file: Option<PathBuf>,
    data_dir: PathBuf,
    /// `install` says whether the backend's program can be installed, and how that goes.
    install: Mutex<Install>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(primary: NamedBackend, parts: Dependencies, install: Install) -> Self {
        let status = BackendStatus {
            plugin: primary.plugin.clone(),
            title: primary.backend.title(),
            version: None,
            rules: None,
            example: primary.backend.is_example(),
            features: primary.backend.features(),
            phase: Phase::checking_for(&primary.backend.title()),
            pending_action: None,
            missing: None,
            storage_error: None,
        };
        let shared = Self {
            primary: Mutex::new(primary),
            paused: watch::Sender::new(false),
            activity: parts.activity,
            journal: parts.journal,
            clock: parts.clock,
            status: watch::Sender::new(status),
            active: watch::Sender::new(None),
            look: tokio::sync::Notify::new(),
            pending_prompts: tokio::sync::Mutex::default(),
            queue: Queue::default(),
            renamed: Mutex::default(),
            created: tokio::sync::Mutex::default(),
            prompt_locks: Mutex::default(),
            compiling: parts.plugins.loader.compiling(),
            config_file: parts.config_file,
            data_dir: parts.data_dir,
            install: Mutex::new(install),
        };
        shared.look_around();
        shared
    }

    /// Shows in the status what others do: the database that cannot be written, the plugin that is being compiled. It
    /// runs until the host ends.
    pub(crate) async fn watch_surroundings(&self) {
        let (mut health, mut compiling) = (self.journal.health(), self.compiling.clone());
        loop {
            tokio::select! {
                changed = health.changed() => if changed.is_err() { return },
                changed = compiling.changed() => if changed.is_err() { return },
            }
            self.look_around();
        }
    }

    fn look_around(&self) {
        let storage_error = match &*self.journal.health().borrow() {
            Health::Writable => None,
            Health::ReadOnly { cause } => Some(sentence(cause, None)),
        };
        self.status.send_if_modified(|status| {
            let compiling = Phase::compiling(&status.plugin);
            let phase = match &status.phase {
                // Nothing else happens to a plugin before it is compiled.
                phase if *phase == compiling => Phase::checking_for(&status.title),
                phase => phase.clone(),
            };
            let phase = self.described(&status.plugin, phase);
            let changed = status.phase != phase || status.storage_error != storage_error;
            (status.phase, status.storage_error) = (phase, storage_error);
            changed
        });
    }

    /// `described` is a phase with what is known besides: that the plugin is being compiled, and the file that a hint
    /// is about.
    fn described(&self, plugin: &str, phase: Phase) -> Phase {
        match phase {
            Phase::Starting { .. } if self.compiling.borrow().iter().any(|name| name == plugin) => {
                Phase::compiling(plugin)
            }
            Phase::Failed { cause, fix } => Phase::Failed {
                cause: sentence(&cause, None),
                fix: fix.map(|fix| self.complete(&fix)),
            },
            phase => phase,
        }
    }

    /// `complete` is the text, with the configuration's file where it has lines to paste, and with commands that reach this
    /// Nexus.
    pub(crate) fn complete(&self, text: &str) -> String {
        let file = self.config_file.as_deref();
        with_place(&with_file(text, file), file, Some(&self.data_dir))
    }

    /// `prompt_lock` lets the same prompt, sent twice at once, be asked for one after the other.
    pub(crate) fn prompt_lock(&self, session: &str, client_id: &str) -> Arc<PromptLock> {
        let mut locks = locked(&self.prompt_locks);
        locks.retain(|_, lock| lock.strong_count() > 0);
        let key = (session.to_owned(), client_id.to_owned());
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }

    /// Notes that a person named the session.
    pub(crate) fn named(&self, session: &str, title: &str) {
        let mut renamed = locked(&self.renamed);
        renamed.retain(|_, (_, at)| at.elapsed() < limits::RENAME_KEPT);
        renamed.insert(session.to_owned(), (title.to_owned(), Instant::now()));
    }

    /// `chosen_title` is the title that a person chose, where the backend comes with another one that was made
    /// meanwhile.
    pub(crate) fn chosen_title(&self, info: &SessionInfo) -> Option<String> {
        let renamed = locked(&self.renamed);
        let (title, at) = renamed.get(&info.id)?;
        (at.elapsed() < limits::RENAME_KEPT && *title != info.title).then(|| title.clone())
    }

    pub(crate) fn primary(&self) -> NamedBackend {
        locked(&self.primary).clone()
    }

    /// `shown` is the one that is connected: the primary, or its fallback.
    pub(crate) fn shown(&self) -> NamedBackend {
        let active = self.active.borrow().clone();
        active.map_or_else(
            || self.primary(),
            |active| NamedBackend {
                plugin: active.plugin,
                backend: active.backend,
            },
        )
    }

    pub(crate) fn set_primary(&self, next: NamedBackend) {
        *locked(&self.primary) = next;
    }

    pub(crate) fn install(&self) -> Install {
        locked(&self.install).clone()
    }

    pub(crate) fn set_install(&self, install: Install) {
        locked(&self.install).clone_from(&install);
        self.status.send_if_modified(|status| {
            let Some(missing) = &mut status.missing else {
                return false;
            };
            let changed = missing.install != install;
            missing.install = install;
            changed
        });
    }

    /// Looks for the backend's program now, as after an installation; starts a plugin again that reached its restart limit.
    pub(crate) fn look_again(&self) {
        let primary = self.primary().backend;
        if matches!(primary.status().borrow().state, PluginState::Failed { .. }) {
            primary.start();
        }
        self.look.notify_one();
    }

    /// What happens to the backend that is shown: the primary, or its fallback.
    pub(crate) fn note(&self, severity: Severity, text: &str) {
        let plugin = self.status.borrow().plugin.clone();
        self.note_of(&plugin, severity, text);
    }

    /// What happens to a backend.
    pub(crate) fn note_of(&self, plugin: &str, severity: Severity, text: &str) {
        tracing::info!(plugin, "{text}");
        self.activity.note("chat", severity, text);
    }

    pub(crate) fn listed(&self, session: &str) -> Option<Listed> {
        self.journal.find(session)
    }

    /// Checks that a session which a plugin gives as a new one of its own is not another plugin's.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn check_owner(&self, plugin: &str, session: &str) -> Result<(), ChatError> {
        match self.listed(session) {
            Some(listed) if listed.backend != plugin => Err(ChatError::Refused(format!(
                "The chat plugin {plugin} gave a chat of the plugin {} for a new one of its own. This is a bug of the plugin.",
                listed.backend
            ))),
            _ => Ok(()),
        }
    }

    /// `descendants` are the sub-agents of a session, and theirs.
    pub(crate) fn descendants(&self, session: &str) -> Vec<SessionId> {
        let mut found: Vec<SessionId> = vec![session.to_owned()];
        let mut at = 0;
        while let Some(parent) = found.get(at) {
            for child in self.journal.children(parent) {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
            at += 1;
        }
        found.split_off(1)
    }

    /// Shows a backend that is about to be connected.
    pub(crate) fn show(&self, named: &NamedBackend) {
        self.status.send_modify(|status| {
            status.plugin.clone_from(&named.plugin);
            status.title = named.backend.title();
            status.example = named.backend.is_example();
            status.features = named.backend.features();
            status.version = None;
            status.rules = None;
            status.phase = self.described(&named.plugin, Phase::checking_for(&status.title));
        });
    }

    pub(crate) fn phase(&self, phase: Phase) {
        let mut happened = None;
        self.status.send_if_modified(|status| {
            let phase = self.described(&status.plugin, phase);
            let changed = status.phase != phase;
            let same = std::mem::discriminant(&status.phase) == std::mem::discriminant(&phase);
            happened = Some((status.title.clone(), phase.clone())).filter(|_| changed && !same);
            status.phase = phase;
            changed
        });
        match happened {
            Some((title, Phase::Reconnecting { cause })) => {
                self.note(Severity::Warning, &format!("{title} is unavailable: {cause}"))
            }
            Some((title, Phase::Up)) => self.note(Severity::Ok, &format!("{title} is ready")),
            Some((title, Phase::Failed { cause, fix })) => {
                let text = format!("{title} is not running: {cause}");
                let plugin = self.status.borrow().plugin.clone();
                tracing::warn!(plugin, "{}", sentence(&text, fix.as_deref()));
                self.activity.note("chat", Severity::Error, &text);
            }
            _ => {}
        }
    }

    /// `target` is the open backend of a session, and the session as that backend knows it.
    pub(crate) fn target(&self, session: &str) -> Result<(Arc<dyn ChatBackend>, SessionInfo), ChatError> {
        let Some(listed) = self.listed(session) else {
            return Err(ChatError::NotFound("This chat does not exist.".to_owned()));
        };
        Ok((self.backend(Some(&listed.backend))?.1, listed.info))
    }

    /// `backend` is the open backend and its plugin; `owner` is the plugin it has to be.
    pub(crate) fn backend(&self, owner: Option<&str>) -> Result<(String, Arc<dyn ChatBackend>), ChatError> {
        let active = self.active.borrow().clone();
        match (active, owner) {
            (Some(active), Some(owner)) if active.plugin != owner => Err(ChatError::Refused(format!(
                "This chat belongs to {owner}, but {} is active. It can be read but not continued.",
                active.plugin
            ))),
            (Some(active), _) if active.open => Ok((active.plugin, active.backend)),
            _ => Err(ChatError::Unavailable(self.why_not())),
        }
    }

    fn why_not(&self) -> String {
        let status = self.status.borrow();
        let title = &status.title;
        match &status.phase {
            Phase::Starting { progress } => format!("{title} is not ready yet: {progress}"),
            Phase::Up => format!("{title} is not ready yet."),
            Phase::Stopped => format!("{title} is stopped. You can start it on the status page."),
            Phase::Reconnecting { cause } => format!("{title} is unavailable and reconnecting: {cause}"),
            Phase::Failed { cause, fix } => sentence(&format!("{title} is not running: {cause}"), fix.as_deref()),
        }
    }
}
