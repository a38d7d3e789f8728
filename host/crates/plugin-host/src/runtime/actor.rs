//! One task owns one store with one instance, and drives it. Callers send it jobs through a bounded channel; jobs run
//! concurrently in the instance. A trap ends the store, and with it every job.

use crate::capabilities::{Context, Counters, Mask};
use crate::runtime::clip;
use crate::runtime::state::{self, State};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use nexus_model::limits;
use nexus_model::plugin::Refusal;
use nexus_plugin_api::host::caps::types;
use nexus_plugin_traits::CallError;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use tokio::sync::{mpsc, oneshot, watch};
use wasmtime::Engine;
use wasmtime::component::{Accessor, Instance, InstancePre};

/// A kind of plugin: what its instances export.
pub(crate) trait Exports: Send + Sync + Sized + 'static {
    /// What the plugin says about itself once, at its start.
    type Facts: Clone + Send + Sync + 'static;
    /// Finds the exports.
    fn find(store: &mut wasmtime::Store<State>, instance: &Instance) -> wasmtime::Result<Self>;
    /// What of its settings the plugin says that it cannot use.
    fn refused(facts: &Self::Facts, mask: &Mask) -> Vec<Refusal>;
    /// The first call.
    fn facts<'a>(&'a self, a: &'a Accessor<State>) -> BoxFuture<'a, wasmtime::Result<Self::Facts>>;
}

/// Work inside an instance. An `Err` is a trap: the store is lost.
pub(crate) type Job<E> =
    Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a E) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;

/// A running instance. Cheap to clone.
pub(crate) struct Handle<E: Exports> {
    jobs: mpsc::Sender<Job<E>>,
    /// The cause, once it has ended.
    ended: watch::Receiver<Option<Ended>>,
    /// Calls that nobody waits for any more and that still run.
    hanging: Arc<Hanging>,
    pub(crate) facts: E::Facts,
    counters: Arc<Counters>,
}

/// Counts the calls of an instance whose callers have gone. A call is not cut short for that: an answer to a prompt that
/// comes late is one all the same. But places are few, and a plugin that answers nothing must not look as if it ran.
///
/// Signed, because a call may come to its end between the moment its caller goes and the moment that is counted.
type Hanging = AtomicIsize;

/// Waits for the answer of a call; the call counts as hanging from the moment this is dropped without one.
struct Waiting<T> {
    answer: oneshot::Receiver<T>,
    hanging: Arc<Hanging>,
    over: bool,
}

impl<T> Waiting<T> {
    async fn answer(mut self) -> Option<T> {
        let answer = (&mut self.answer).await;
        self.over = true;
        answer.ok()
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.answer.close();
        // From here on the call finds nobody, and counts itself out.
        if !self.over && self.answer.try_recv().is_err() {
            self.hanging.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<E: Exports> Clone for Handle<E> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            ended: self.ended.clone(),
            hanging: Arc::clone(&self.hanging),
            facts: self.facts.clone(),
            counters: Arc::clone(&self.counters),
        }
    }
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself; the cause. `given_up`: the restart budget is used up.
    Fell { cause: String, given_up: bool },
    /// By the host.
    Stopped,
}

impl From<Ended> for CallError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Fell { cause, .. } => Self::Crashed(cause),
            Ended::Stopped => Self::Unavailable("the plugin was stopped during the call".into()),
        }
    }
}

impl<E: Exports> Handle<E> {
    pub(crate) fn new(
        jobs: mpsc::Sender<Job<E>>,
        ended: watch::Receiver<Option<Ended>>,
        facts: E::Facts,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            jobs,
            ended,
            hanging: Arc::default(),
            facts,
            counters,
        }
    }

    /// Runs `call` in the instance. It is not cut short when the caller goes away.
    pub(crate) async fn call<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a E) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static,
    {
        self.counters.call();
        let (reply, answer) = oneshot::channel();
        let hanging = Arc::clone(&self.hanging);
        let job: Job<E> = Box::new(move |a, e| {
            Box::pin(async move {
                if reply.send(call(a, e).await?).is_err() {
                    hanging.fetch_sub(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        if self.jobs.send(job).await.is_err() {
            return Err(self.cut_short().await);
        }
        // Not before: a call that never got a place in the queue hangs nowhere.
        let waiting = Waiting {
            answer,
            hanging: Arc::clone(&self.hanging),
            over: false,
        };
        match waiting.answer().await {
            Some(answer) => Ok(answer),
            None => Err(self.cut_short().await),
        }
    }

    async fn cut_short(&self) -> CallError {
        let ended = self.ended().await;
        if matches!(ended, Ended::Fell { .. }) {
            self.counters.error();
        }
        ended.into()
    }

    /// Whether both are of the same instance.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.jobs.same_channel(&other.jobs)
    }

    /// Whether so many calls hang that the instance is of no use any more.
    pub(crate) fn hangs(&self) -> bool {
        self.hanging.load(Ordering::Relaxed) >= limits::CALLS_HANGING
    }

    /// Waits for the end of the instance.
    pub(crate) async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or(Ended::Stopped),
            Err(_) => Ended::Stopped,
        }
    }
}

/// An error of the plugin, as the services see it.
pub(crate) fn refused(error: types::Error, context: &Context) -> CallError {
    context.counters.error();
    let reason = |text| clip::reason(context.mask.said(text));
    match error {
        types::Error::Denied(t) => CallError::Denied(reason(t)),
        types::Error::Invalid(t) => CallError::Invalid(reason(t)),
        types::Error::NotFound(t) => CallError::NotFound(reason(t)),
        types::Error::Timeout(t) => CallError::Timeout(reason(t)),
        types::Error::Unavailable(t) => CallError::Unavailable(reason(t)),
        types::Error::Cancelled => CallError::Unavailable("the plugin gave the call up".into()),
        types::Error::Other(t) => CallError::Other(reason(t)),
    }
}

/// Receives the jobs of a running instance, and its facts, as soon as it is up.
pub(crate) type Up<E> = oneshot::Sender<(mpsc::Sender<Job<E>>, <E as Exports>::Facts)>;

/// Runs an instance until it falls; the result is the cause. Ending it early is up to whoever drops this future.
pub(crate) async fn run<E: Exports>(
    engine: Engine,
    pre: InstancePre<State>,
    context: Arc<Context>,
    up: Up<E>,
) -> String {
    // What an earlier instance said is not the cause of this one's end.
    let _ = context.log.take_last_words();
    let (mut store, meter) = state::store(&engine, &context);
    let counters = &context.counters;
    let result = meter
        .drive(Arc::clone(&context.cpu), async {
            let instance = pre.instantiate_async(&mut store).await?;
            let exports = E::find(&mut store, &instance)?;
            store
                .run_concurrent(async |a| serve(a, &exports, up, counters).await)
                .await?
        })
        .await;
    match result {
        Ok(()) => "the host let go of it".into(),
        Err(e) => {
            counters.trap();
            state::cause(&e, store.data_mut().limiter.refused.take().as_deref(), &context)
        }
    }
}

async fn serve<E: Exports>(a: &Accessor<State>, exports: &E, up: Up<E>, counters: &Counters) -> wasmtime::Result<()> {
    counters.call();
    let facts = exports.facts(a).await.inspect_err(|_| counters.error())?;
    let (tx, mut rx) = mpsc::channel::<Job<E>>(limits::CALL_QUEUE);
    if up.send((tx, facts)).is_err() {
        return Ok(());
    }
    let mut calls = FuturesUnordered::new();
    loop {
        tokio::select! {
            job = rx.recv(), if calls.len() < limits::CALLS => match job {
                Some(job) => calls.push(job(a, exports)),
                None => return Ok(()),
            },
            Some(result) = calls.next(), if !calls.is_empty() => result?,
        }
    }
}
