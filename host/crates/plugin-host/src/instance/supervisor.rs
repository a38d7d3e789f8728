//! The supervisor: keeps one instance of a plugin running.
//!
//! # Problem
//!
//! An instance ends by itself (a trap, a limit, an exit), by its operator (stop, swap, reload), or because the host finds it
//! unusable (too many calls without an answer). Each of these may come while another is being carried out, and an old
//! instance may still hold what the new one wants: a port, a name in the process table. A plugin that crashes at each start
//! must not take the CPU, and a plugin that spins cannot be asked to stop.
//!
//! # Mechanism
//!
//! - One task holds all of the state and takes commands in order, so that no two starts or stops can cross. The task is made
//!   at the first start and ends when the [`Supervisor`] is dropped.
//! - The instance is another task ([`super::actor`]). It is ended by aborting that task, which works on a plugin that spins
//!   too: its code yields at each tick of the engine. The next one starts only when the old task is gone.
//! - After a crash it waits, each time twice as long ([`RestartBudget`]). When the budget is used up the state is `Failed`,
//!   until somebody asks for a start, which comes with a full budget.
//! - A plugin that says in its first answer that it cannot use its settings is not restarted: they are the same at each
//!   start.
//! - `status` is what a reader sees, `current` what a caller calls; both are watches, so that nobody polls. The cause of an
//!   end is published in the instance's own watch after the status has it: whoever learns of the end sees the new status.
//! - [`Supervisor::restart`] names the instance that was found too slow. If another one runs by then, nothing happens.
//!
//! # Limits
//!
//! A call that was under way when the instance ended has an unknown outcome ([`CallError::Crashed`]); it is not repeated
//! here, for only its caller knows whether it may be. Memory of the instance is lost with it: what has to last belongs in
//! the plugin's store, or in a process, which the host owns. An instance that is not up within [`limits::PLUGIN_START`]
//! counts as a crash.
//!
//! # Cost
//!
//! Two tasks and two watches for each plugin; nothing runs while nothing happens. From a trap to the next answer it is 0.3 ms,
//! and 202 ms with the first pause (docs/performance.md).
//!
//! # Rejected
//!
//! - The state behind a mutex, changed by whoever starts or stops: every pair of start, stop and crash would be a race to
//!   be thought through.
//! - To stop a plugin by asking it first: only the host's processes have something to tidy up, and they outlive the
//!   instance.
//! - Restarts for ever, as systemd can be told: a plugin that fails for good would fill the log, and its operator would
//!   learn of it only there.

use super::actor::{self, Ended, Handle, Start};
use super::exports::Exports;
use super::refused_settings as refused;
use super::restart_budget::RestartBudget;
use super::template::InstanceTemplate;
use crate::capabilities::Context;
use crate::engine::instance_state::InstanceState;
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::plugin::{Failure, PluginState, PluginStatus, Refusal};
use nexus_model::time::millis;
use nexus_model::trouble::{Trouble, sentence};
use nexus_plugin_traits::{CallError, PluginRecord};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wasmtime::component::Accessor;

/// `Command` is what the task is told; it carries them out in order.
enum Command<E: Exports> {
    Start,
    Stop(oneshot::Sender<()>),
    /// `Restart`: the host found this instance unusable, for this cause.
    Restart(Handle<E>, String),
}

/// `Supervisor` keeps one instance of a plugin running; see the module. Dropping it ends the instance.
pub(crate) struct Supervisor<E: Exports> {
    template: InstanceTemplate,
    /// `status` is what a reader sees.
    status: watch::Sender<PluginStatus>,
    /// `current` is the instance that a caller calls, while one runs.
    current: watch::Sender<Option<Handle<E>>>,
    /// `starts` counts the starts that were asked for.
    starts: watch::Sender<u64>,
    /// `commands` leads to the task, which is made at the first start.
    commands: OnceLock<mpsc::UnboundedSender<Command<E>>>,
    refused: RefusedSettings,
}

/// `RefusedSettings` is what of its settings the plugin said at its last start that it cannot use.
type RefusedSettings = Arc<Mutex<Vec<Refusal>>>;

impl<E: Exports> Supervisor<E> {
    /// Makes one under which nothing runs before [`Self::start`]. It is shown in `status` from now on.
    pub(crate) fn new(template: InstanceTemplate, status: watch::Sender<PluginStatus>) -> Self {
        Self {
            template,
            status,
            current: watch::Sender::new(None),
            starts: watch::Sender::new(0),
            commands: OnceLock::new(),
            refused: RefusedSettings::default(),
        }
    }

    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `broken` says why it is not used, where its settings are the reason.
    pub(crate) fn broken(&self) -> Option<Trouble> {
        let refused = self.refused();
        (!refused.is_empty()).then(|| refused::trouble(self.name(), &refused))
    }

    pub(crate) fn name(&self) -> &str {
        self.template.context.gate.plugin()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.template.context
    }

    pub(crate) fn record(&self) -> Arc<dyn PluginRecord> {
        Arc::clone(&self.template.record)
    }

    /// `late` is the error of a call that had no answer in time.
    pub(crate) fn late(&self, cause: String) -> CallError {
        self.template.context.counters.error();
        CallError::Timeout(cause)
    }

    pub(crate) fn status(&self) -> watch::Receiver<PluginStatus> {
        self.status.subscribe()
    }

    /// `starts` changes whenever somebody asks for a start.
    pub(crate) fn starts(&self) -> watch::Receiver<u64> {
        self.starts.subscribe()
    }

    /// Starts it with a full budget; nothing but a count happens if it runs. Must be called within tokio.
    pub(crate) fn start(&self) {
        let commands = self.commands.get_or_init(|| {
            let (tx, commands) = mpsc::unbounded_channel();
            let task = Task {
                template: self.template.clone(),
                status: self.status.clone(),
                current: self.current.clone(),
                commands,
                refused: Arc::clone(&self.refused),
                instances: JoinSet::new(),
            };
            tokio::spawn(task.run());
            tx
        });
        self.status.send_if_modified(|s| {
            let waiting = !matches!(s.state, PluginState::Starting | PluginState::Running);
            if waiting {
                s.state = PluginState::Starting;
            }
            waiting
        });
        // The task lives as long as this sender.
        let _ = commands.send(Command::Start);
        self.starts.send_modify(|n| *n += 1);
    }

    pub(crate) fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let Some(commands) = self.commands.get() else { return };
            let (done, stopped) = oneshot::channel();
            if commands.send(Command::Stop(done)).is_ok() {
                let _ = stopped.await;
            }
        })
    }

    /// Ends the instance as if it had crashed, if it is still this one: whoever finds it too slow has waited for it, and
    /// another one may run by now.
    pub(crate) fn restart(&self, slow: &Handle<E>, cause: &str) {
        if let Some(commands) = self.commands.get() {
            let _ = commands.send(Command::Restart(slow.clone(), cause.to_owned()));
        }
    }

    /// `current` is the running instance, if one runs now.
    pub(crate) fn current(&self) -> Option<Handle<E>> {
        self.current.borrow().clone()
    }

    /// Waits for an instance that is starting; returns the running one.
    ///
    /// # Errors
    /// None runs or will soon.
    pub(crate) async fn running(&self) -> Result<Handle<E>, CallError> {
        if let Some(handle) = self.current() {
            return Ok(handle);
        }
        let mut current = self.current.subscribe();
        let mut status = self.status.subscribe();
        let wait = async {
            let up = async {
                current
                    .wait_for(Option::is_some)
                    .await
                    .ok()
                    .and_then(|handle| handle.clone())
            };
            let down = async {
                // Either way there is nothing to wait for.
                let _ = status
                    .wait_for(|s| !matches!(s.state, PluginState::Starting | PluginState::Running))
                    .await;
            };
            tokio::select! {
                biased;
                handle = up => handle,
                () = down => None,
            }
        };
        match tokio::time::timeout(limits::PLUGIN_START, wait).await {
            Ok(Some(handle)) => Ok(handle),
            _ => Err(CallError::Unavailable(self.why_not())),
        }
    }

    /// Waits for the next running instance, however long it takes.
    pub(crate) async fn next_running(&self) -> Handle<E> {
        let mut current = self.current.subscribe();
        let up = current
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|handle| handle.clone());
        match up {
            Some(handle) => handle,
            // The sender is in `self`: this cannot end while somebody waits.
            None => std::future::pending().await,
        }
    }

    fn why_not(&self) -> String {
        let name = self.name();
        match &self.status.borrow().state {
            PluginState::Stopped => format!("the plugin {name} is stopped"),
            PluginState::Starting | PluginState::Running => format!("the plugin {name} is still starting"),
            PluginState::Restarting { cause, .. } => {
                format!("the plugin {name} crashed and is being restarted: {cause}")
            }
            PluginState::Failed { cause } if !self.refused().is_empty() => {
                format!("the plugin {name} cannot use its settings: {cause}")
            }
            PluginState::Failed { cause } => {
                format!("the plugin {name} crashed and reached its restart limit; start it manually: {cause}")
            }
        }
    }

    /// Makes one call, with the plugin's limit of time.
    ///
    /// # Errors
    /// The plugin's own, or why there was no answer.
    pub(crate) async fn call<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<InstanceState>, &'a E) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static,
    {
        let limit = self.template.context.gate.limits().call;
        let handle = self.running().await?;
        match tokio::time::timeout(limit, handle.call(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                let cause = format!(
                    "the plugin {} did not answer within {} ms, its limit.",
                    self.name(),
                    limit.as_millis()
                );
                let cause = sentence(&cause, Some(&self.template.context.gate.more_time()));
                tracing::warn!(plugin = self.name(), "{cause}");
                if handle.hangs() {
                    self.restart(
                        &handle,
                        &format!("too many calls were not answered within {} ms", limit.as_millis()),
                    );
                }
                Err(self.late(cause))
            }
        }
    }
}

struct Task<E: Exports> {
    template: InstanceTemplate,
    status: watch::Sender<PluginStatus>,
    current: watch::Sender<Option<Handle<E>>>,
    commands: mpsc::UnboundedReceiver<Command<E>>,
    refused: RefusedSettings,
    /// `instances` has at most one. It is aborted when dropped.
    instances: JoinSet<String>,
}

/// `SpanEnd` says why a span of running or waiting came to its end.
enum SpanEnd {
    Crashed(String),
    /// `Refused`: it cannot use its settings, which are the same at each start.
    Refused(Vec<Refusal>),
    Stop(oneshot::Sender<()>),
    /// `Gone`: nobody holds the supervisor any more.
    Gone,
}

impl<E: Exports> Task<E> {
    async fn run(mut self) {
        loop {
            match self.commands.recv().await {
                None => return,
                Some(Command::Restart(..)) => {}
                Some(Command::Stop(done)) => self.stopped(done),
                Some(Command::Start) => match self.keep_running().await {
                    Some(done) => self.stopped(done),
                    None if self.commands.is_closed() => return,
                    None => {}
                },
            }
        }
    }

    fn set(&self, state: PluginState) {
        self.status.send_modify(|s| s.state = state);
    }

    fn stopped(&self, done: oneshot::Sender<()>) {
        self.set(PluginState::Stopped);
        let _ = done.send(());
    }

    /// Keeps an instance running until it is stopped (whom to tell) or has used up its budget.
    async fn keep_running(&mut self) -> Option<oneshot::Sender<()>> {
        let mut budget = RestartBudget::default();
        loop {
            self.refuse(Vec::new());
            self.set(PluginState::Starting);
            let (ended, watched) = watch::channel(None);
            let next = self.one_instance(watched).await;
            self.current.send_replace(None);
            // Until this returns, the old instance may still hold what the new one wants.
            self.instances.shutdown().await;
            let cause = match next {
                SpanEnd::Crashed(cause) => cause,
                SpanEnd::Refused(refused) => {
                    let cause = self.note_refusal(refused);
                    ended.send_replace(Some(Ended::Crashed {
                        cause,
                        restart_limit_reached: true,
                    }));
                    return None;
                }
                SpanEnd::Stop(done) => {
                    ended.send_replace(Some(Ended::Stopped));
                    return Some(done);
                }
                SpanEnd::Gone => return None,
            };
            let pause = budget.crashed(Instant::now());
            self.note_crash(&cause, pause);
            ended.send_replace(Some(Ended::Crashed {
                cause,
                restart_limit_reached: pause.is_none(),
            }));
            match self.wait(pause?).await {
                PauseEnd::Over => {}
                PauseEnd::Start => budget = RestartBudget::default(),
                PauseEnd::Stop(done) => return Some(done),
                PauseEnd::Gone => return None,
            }
        }
    }

    async fn one_instance(&mut self, watched: watch::Receiver<Option<Ended>>) -> SpanEnd {
        let (up, is_up) = oneshot::channel();
        let InstanceTemplate {
            engine,
            pre,
            minor,
            context,
            ..
        } = self.template.clone();
        let (jobs, instance) = actor::prepare::<E>(Start {
            engine,
            pre,
            minor,
            context,
            up,
        });
        self.instances.spawn(instance);
        let mut is_up = Some((is_up, jobs));
        let deadline = Instant::now() + limits::PLUGIN_START;
        loop {
            let coming = async {
                match is_up.as_mut() {
                    Some((rx, _)) => tokio::time::timeout_at(deadline, rx).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                up = coming => {
                    let jobs = is_up.take().map(|(_, jobs)| jobs);
                    match (up, jobs) {
                        (Ok(Ok(facts)), Some(jobs)) => {
                            let refused = E::refused(&facts, &self.template.context.mask);
                            if !refused.is_empty() {
                                return SpanEnd::Refused(refused);
                            }
                            let counters = Arc::clone(&self.template.context.counters);
                            self.current.send_replace(Some(Handle::new(jobs, watched.clone(), facts, counters)));
                            self.set(PluginState::Running);
                        }
                        // It crashed: the task says why.
                        (Ok(_), _) => {}
                        (Err(_), _) => return SpanEnd::Crashed(format!("it did not start within {} s", limits::PLUGIN_START.as_secs())),
                    }
                }
                ended = self.instances.join_next() => return SpanEnd::Crashed(match ended {
                    Some(Ok(cause)) => cause,
                    Some(Err(e)) => format!("an error in the host: {e}"),
                    None => "its task has ended".into(),
                }),
                command = self.commands.recv() => match command {
                    None => return SpanEnd::Gone,
                    Some(Command::Start) => {}
                    Some(Command::Stop(done)) => return SpanEnd::Stop(done),
                    Some(Command::Restart(slow, cause)) => {
                        let current = self.current.borrow().as_ref().is_some_and(|current| current.is(&slow));
                        if current {
                            return SpanEnd::Crashed(cause);
                        }
                    }
                },
            }
        }
    }

    fn refuse(&self, refused: Vec<Refusal>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Notes what is refused, and returns the cause.
    fn note_refusal(&self, refused: Vec<Refusal>) -> String {
        let plugin = self.template.context.gate.plugin();
        let trouble = refused::trouble(plugin, &refused);
        tracing::error!(
            plugin,
            "the plugin cannot use its settings: {}",
            sentence(&trouble.cause, trouble.fix.as_deref())
        );
        // Before the state: whoever sees that asks for the reason.
        self.refuse(refused);
        let at = self.template.context.clock.now();
        self.status.send_modify(|s| {
            s.last_failure = Some(Failure {
                at,
                cause: trouble.cause.clone(),
                fix: trouble.fix,
                permanent: true,
            });
            s.state = PluginState::Failed {
                cause: trouble.cause.clone(),
            };
        });
        trouble.cause
    }

    fn note_crash(&self, cause: &str, pause: Option<Duration>) {
        let at = self.template.context.clock.now();
        let plugin = self.template.context.gate.plugin();
        let state = match pause {
            Some(pause) => {
                tracing::warn!(
                    plugin,
                    "the plugin crashed: {cause}. Restarting in {} ms.",
                    pause.as_millis()
                );
                let at = at.saturating_add(millis(pause));
                PluginState::Restarting {
                    cause: cause.to_owned(),
                    at,
                }
            }
            None => {
                tracing::error!(
                    plugin,
                    "the plugin crashed: {cause}. Its restart limit is reached; start it manually."
                );
                PluginState::Failed {
                    cause: cause.to_owned(),
                }
            }
        };
        let permanent = pause.is_none();
        self.status.send_modify(|s| {
            s.restarts = s.restarts.saturating_add(u32::from(!permanent));
            s.last_failure = Some(Failure {
                at,
                cause: cause.to_owned(),
                fix: None,
                permanent,
            });
            s.state = state;
        });
    }

    async fn wait(&mut self, pause: Duration) -> PauseEnd {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return PauseEnd::Over,
                command = self.commands.recv() => match command {
                    None => return PauseEnd::Gone,
                    Some(Command::Start) => return PauseEnd::Start,
                    Some(Command::Stop(done)) => return PauseEnd::Stop(done),
                    Some(Command::Restart(..)) => {}
                },
            }
        }
    }
}

enum PauseEnd {
    Over,
    Start,
    Stop(oneshot::Sender<()>),
    Gone,
}
