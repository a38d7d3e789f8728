//! Keeps one instance of a plugin running: starts it, starts it again when it falls, gives up when it falls too
//! often, and ends it from outside (a guest that spins cannot be asked).
//!
//! One task holds all of this state and takes commands in order, so no two starts or stops can cross.

use super::facts::Measured;
use crate::capabilities::Context;
use crate::runtime::actor::{self, Ended, Exports, Handle};
use crate::runtime::budget::RestartBudget;
use crate::runtime::refused;
use crate::runtime::state::State;
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::plugin::{Failure, Refusal, State as PluginState, Status};
use nexus_model::trouble::Trouble;
use nexus_plugin_traits::CallError;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wasmtime::Engine;
use wasmtime::component::{Accessor, InstancePre};

/// What is needed to start an instance.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<State>,
    pub(crate) context: Arc<Context>,
    pub(crate) measured: Arc<Measured>,
}

enum Command<E: Exports> {
    Start,
    Stop(oneshot::Sender<()>),
    /// The host found this instance unusable.
    Restart(Handle<E>, String),
}

/// See the module. Dropping it ends the instance.
pub(crate) struct Supervisor<E: Exports> {
    recipe: Recipe,
    status: watch::Sender<Status>,
    current: watch::Sender<Option<Handle<E>>>,
    /// Counts the starts that were asked for.
    starts: watch::Sender<u64>,
    commands: OnceLock<mpsc::UnboundedSender<Command<E>>>,
    refused: Refused,
}

/// What of its settings the plugin said at its last start that it cannot use.
type Refused = Arc<Mutex<Vec<Refusal>>>;

impl<E: Exports> Supervisor<E> {
    /// Nothing runs before [`Self::start`]. `status`: where it is shown from now on.
    pub(crate) fn new(recipe: Recipe, status: watch::Sender<Status>) -> Self {
        Self {
            recipe,
            status,
            current: watch::Sender::new(None),
            starts: watch::Sender::new(0),
            commands: OnceLock::new(),
            refused: Refused::default(),
        }
    }

    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it is not used, where its settings are the reason.
    pub(crate) fn broken(&self) -> Option<Trouble> {
        let refused = self.refused();
        (!refused.is_empty()).then(|| refused::trouble(self.name(), &refused))
    }

    pub(crate) fn name(&self) -> &str {
        self.recipe.context.gate.plugin()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.recipe.context
    }

    pub(crate) fn measured(&self) -> Arc<Measured> {
        Arc::clone(&self.recipe.measured)
    }

    /// A call that had no answer in time.
    pub(crate) fn late(&self, why: String) -> CallError {
        self.recipe.context.counters.error();
        CallError::Timeout(why)
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Changes whenever somebody asks for a start.
    pub(crate) fn starts(&self) -> watch::Receiver<u64> {
        self.starts.subscribe()
    }

    /// Starts it with a full budget; nothing but a count happens if it runs. Must be called within tokio.
    pub(crate) fn start(&self) {
        let commands = self.commands.get_or_init(|| {
            let (tx, commands) = mpsc::unbounded_channel();
            let task = Task {
                recipe: self.recipe.clone(),
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

    /// Ends the instance as if it had fallen, if it is still this one: whoever finds it too slow has waited for it, and
    /// another one may run by now.
    pub(crate) fn restart(&self, slow: &Handle<E>, cause: &str) {
        if let Some(commands) = self.commands.get() {
            let _ = commands.send(Command::Restart(slow.clone(), cause.to_owned()));
        }
    }

    /// The running instance, if one runs now.
    pub(crate) fn current(&self) -> Option<Handle<E>> {
        self.current.borrow().clone()
    }

    /// The running instance; waits for one that is starting.
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

    /// The next running instance, however long it takes.
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
            PluginState::Restarting { cause, .. } => format!("the plugin {name} fell and is started again: {cause}"),
            PluginState::Failed { cause } if !self.refused().is_empty() => {
                format!("the plugin {name} cannot use its settings: {cause}")
            }
            PluginState::Failed { cause } => {
                format!("the plugin {name} fell too often and waits for you to start it: {cause}")
            }
        }
    }

    /// One call with the plugin's limit of time.
    ///
    /// # Errors
    /// The plugin's own, or why there was no answer.
    pub(crate) async fn call<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a E) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static,
    {
        let limit = self.recipe.context.gate.limits().call;
        let handle = self.running().await?;
        match tokio::time::timeout(limit, handle.call(call)).await {
            Ok(answer) => answer,
            Err(_) => {
                let why = format!(
                    "the plugin {} gave no answer within {} ms, its limit.{}",
                    self.name(),
                    limit.as_millis(),
                    self.recipe.context.gate.more_time()
                );
                tracing::warn!(plugin = self.name(), "{why}");
                if handle.hangs() {
                    self.restart(
                        &handle,
                        &format!("too many calls got no answer within {} ms", limit.as_millis()),
                    );
                }
                Err(self.late(why))
            }
        }
    }
}

struct Task<E: Exports> {
    recipe: Recipe,
    status: watch::Sender<Status>,
    current: watch::Sender<Option<Handle<E>>>,
    commands: mpsc::UnboundedReceiver<Command<E>>,
    refused: Refused,
    /// At most one. Aborted when dropped.
    instances: JoinSet<String>,
}

/// Why a span of running or waiting came to its end.
enum Next {
    Fell(String),
    /// It cannot use its settings, which are the same at each start.
    Refused(Vec<Refusal>),
    Stop(oneshot::Sender<()>),
    /// Nobody holds the supervisor any more.
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

    /// Until it is stopped (whom to tell) or has used up its budget.
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
                Next::Fell(cause) => cause,
                Next::Refused(refused) => {
                    let cause = self.note_refusal(refused);
                    ended.send_replace(Some(Ended::Fell { cause, given_up: true }));
                    return None;
                }
                Next::Stop(done) => {
                    ended.send_replace(Some(Ended::Stopped));
                    return Some(done);
                }
                Next::Gone => return None,
            };
            let pause = budget.fell(Instant::now());
            self.note_fall(&cause, pause);
            ended.send_replace(Some(Ended::Fell {
                cause,
                given_up: pause.is_none(),
            }));
            match self.wait(pause?).await {
                Wait::Over => {}
                Wait::Start => budget = RestartBudget::default(),
                Wait::Stop(done) => return Some(done),
                Wait::Gone => return None,
            }
        }
    }

    async fn one_instance(&mut self, watched: watch::Receiver<Option<Ended>>) -> Next {
        let (up, is_up) = oneshot::channel();
        let Recipe {
            engine, pre, context, ..
        } = self.recipe.clone();
        self.instances.spawn(actor::run::<E>(engine, pre, context, up));
        let mut is_up = Some(is_up);
        let deadline = Instant::now() + limits::PLUGIN_START;
        loop {
            let coming = async {
                match is_up.as_mut() {
                    Some(rx) => tokio::time::timeout_at(deadline, rx).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                up = coming => {
                    is_up = None;
                    match up {
                        Ok(Ok((jobs, facts))) => {
                            let refused = E::refused(&facts, &self.recipe.context.mask);
                            if !refused.is_empty() {
                                return Next::Refused(refused);
                            }
                            let counters = Arc::clone(&self.recipe.context.counters);
                            self.current.send_replace(Some(Handle::new(jobs, watched.clone(), facts, counters)));
                            self.set(PluginState::Running);
                        }
                        // It fell: the task says why.
                        Ok(Err(_)) => {}
                        Err(_) => return Next::Fell(format!("it was not up within {} s", limits::PLUGIN_START.as_secs())),
                    }
                }
                ended = self.instances.join_next() => return Next::Fell(match ended {
                    Some(Ok(cause)) => cause,
                    Some(Err(e)) => format!("an error in the host: {e}"),
                    None => "its task is gone".into(),
                }),
                command = self.commands.recv() => match command {
                    None => return Next::Gone,
                    Some(Command::Start) => {}
                    Some(Command::Stop(done)) => return Next::Stop(done),
                    Some(Command::Restart(slow, cause)) => {
                        let current = self.current.borrow().as_ref().is_some_and(|current| current.is(&slow));
                        if current {
                            return Next::Fell(cause);
                        }
                    }
                },
            }
        }
    }

    fn refuse(&self, refused: Vec<Refusal>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Gives the cause.
    fn note_refusal(&self, refused: Vec<Refusal>) -> String {
        let plugin = self.recipe.context.gate.plugin();
        let trouble = refused::trouble(plugin, &refused);
        tracing::error!(
            plugin,
            "the plugin cannot use its settings: {} To fix: {}",
            trouble.why,
            trouble.fix.as_deref().unwrap_or_default()
        );
        // Before the state: whoever sees that asks for the reason.
        self.refuse(refused);
        let at = self.recipe.context.ports.clock.now();
        self.status.send_modify(|s| {
            s.last_failure = Some(Failure {
                at,
                message: trouble.why.clone(),
                hint: trouble.fix,
                permanent: true,
            });
            s.state = PluginState::Failed {
                cause: trouble.why.clone(),
            };
        });
        trouble.why
    }

    fn note_fall(&self, cause: &str, pause: Option<Duration>) {
        let at = self.recipe.context.ports.clock.now();
        let plugin = self.recipe.context.gate.plugin();
        let state = match pause {
            Some(pause) => {
                tracing::warn!(
                    plugin,
                    "the plugin fell: {cause}. It is started again in {} ms.",
                    pause.as_millis()
                );
                let at = at.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                PluginState::Restarting {
                    cause: cause.to_owned(),
                    at,
                }
            }
            None => {
                tracing::error!(
                    plugin,
                    "the plugin fell: {cause}. That was too often; it waits for you to start it."
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
                message: cause.to_owned(),
                hint: None,
                permanent,
            });
            s.state = state;
        });
    }

    async fn wait(&mut self, pause: Duration) -> Wait {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return Wait::Over,
                command = self.commands.recv() => match command {
                    None => return Wait::Gone,
                    Some(Command::Start) => return Wait::Start,
                    Some(Command::Stop(done)) => return Wait::Stop(done),
                    Some(Command::Restart(..)) => {}
                },
            }
        }
    }
}

enum Wait {
    Over,
    Start,
    Stop(oneshot::Sender<()>),
    Gone,
}
