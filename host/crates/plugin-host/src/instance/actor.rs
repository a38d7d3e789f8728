//! The actor: one task that owns one instance and drives it.
//!
//! # Problem
//!
//! A store of wasmtime belongs to one task at a time, but a plugin has many callers at once: a prompt, the answer to a
//! permission request, an event stream that never ends. A call that waits must not hold the others up. A caller that goes
//! away must not leave half a call behind in the plugin's memory. And after a trap nothing in the store can be trusted.
//!
//! # Mechanism
//!
//! - [`run`] makes the store with its limits and the instance, and enters `run_concurrent` once, for the instance's whole
//!   life. Inside, [`serve`] takes jobs from a bounded queue and polls up to [`limits::CALLS`] of them as futures of this
//!   one future; the component model lets the plugin interleave them wherever one of them waits.
//! - The first call asks the plugin for its facts (`describe`). Only then a [`Handle`] is made, so that whoever has one has an
//!   instance that answers.
//! - [`Handle::call`] queues a closure with a oneshot for its answer, and takes a turn of the instance if nobody has one
//!   ([`super::turns`]): a call that the plugin answers at once is answered where the caller is. The closure runs to its end
//!   although its caller may have gone; such calls are counted, and an instance with [`limits::CALLS_HANGING`] of them is of no
//!   use any more.
//! - The first error of a job is a trap: it ends `run_concurrent`, and with it every job. The callers' oneshots are dropped,
//!   and each caller waits for the cause, which the supervisor publishes in `ended` before it starts another instance.
//!
//! # Limits
//!
//! Two calls that compute do not run in parallel: one instance has one thread at a time. The order of calls that are sent at
//! the same time is not kept. A call that the plugin never finishes keeps its place until the instance ends. Where the
//! queue is full ([`limits::CALL_QUEUE`]), callers wait, each within its own limit of time.
//!
//! # Cost
//!
//! The smallest call takes 2 µs, 1.3 µs of it wasmtime's own (docs/performance.md): nobody is woken for it. A call allocates four
//! times: the job, its future, the oneshot, and its node among the futures. An idle instance costs its memory and no CPU.
//!
//! # Rejected
//!
//! - A mutex around the store, locked by each caller: the event stream would hold it for ever, and a caller that is dropped
//!   in its call would leave the store in the middle of it.
//! - An instance for each call, as auth providers have ([`crate::worlds`]): a chat backend and a tunnel keep connections
//!   between their calls.
//! - To cancel a call in the plugin when its caller goes away: a late answer to a prompt is an answer all the same, and
//!   languages differ in what they make of a canceled call.

use super::exports::{Exports, Job};
use super::job_queue::{ClosesAtEnd, JobQueue, Jobs};
use super::turns::Turns;
use crate::bindings::caps::types;
use crate::capabilities::Context;
use crate::engine::GuestEngine;
use crate::engine::cpu_meter::CpuMeter;
use crate::engine::instance_state::{self, InstanceState};
use crate::engine::minor::Minor;
use crate::plugin_stats::Counters;
use crate::truncate;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use nexus_model::limits;
use nexus_plugin_traits::CallError;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Poll, ready};
use tokio::sync::{oneshot, watch};
use wasmtime::component::{Accessor, InstancePre};

/// `Handle` is a running instance as its callers hold it. It is cheap to clone.
pub(crate) struct Handle<E: Exports>(Arc<Running<E>>);

/// `Running` is what all handles of an instance share.
pub(crate) struct Running<E: Exports> {
    jobs: Jobs<E>,
    /// `ended` holds the cause once the instance has ended.
    ended: watch::Receiver<Option<Ended>>,
    /// `hanging` counts the calls that nobody waits for any more and that still run.
    hanging: Arc<Hanging>,
    /// `facts` are what the plugin said about itself at its start.
    pub(crate) facts: E::Facts,
    /// `counters` are those of the plugin at its place.
    counters: Arc<Counters>,
}

/// `Hanging` counts the calls of an instance whose callers have gone. A call is not cut short for that: an answer to a
/// prompt that comes late is one all the same. But places are few, and a plugin that answers nothing must not look as
/// if it ran.
///
/// It is signed, because a call may come to its end between the moment its caller goes and the moment that is counted.
type Hanging = AtomicIsize;

/// `Waiting` waits for the answer of a call; the call is hanging from the moment this is dropped without one.
struct Waiting<T> {
    /// `answer` is what the call returns.
    answer: oneshot::Receiver<T>,
    hanging: Arc<Hanging>,
    /// `over`: the answer came, or never will.
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
        Self(Arc::clone(&self.0))
    }
}

impl<E: Exports> Deref for Handle<E> {
    type Target = Running<E>;

    fn deref(&self) -> &Running<E> {
        &self.0
    }
}

/// `Ended` says how an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// `Crashed`: it ended by itself. With `restart_limit_reached`, nobody starts another one.
    Crashed { cause: String, restart_limit_reached: bool },
    /// `Stopped`: the host ended it.
    Stopped,
}

impl From<Ended> for CallError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Crashed { cause, .. } => Self::Crashed(cause),
            Ended::Stopped => Self::Unavailable("the plugin was stopped during the call".into()),
        }
    }
}

impl<E: Exports> Handle<E> {
    pub(crate) fn new(
        jobs: Jobs<E>,
        ended: watch::Receiver<Option<Ended>>,
        facts: E::Facts,
        counters: Arc<Counters>,
    ) -> Self {
        Self(Arc::new(Running {
            jobs,
            ended,
            hanging: Arc::default(),
            facts,
            counters,
        }))
    }

    /// Runs `call` in the instance. It is not cut short when the caller goes away.
    pub(crate) async fn call<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<InstanceState>, &'a E) -> BoxFuture<'a, wasmtime::Result<T>> + Send + 'static,
    {
        self.counters.call();
        let (reply, answer) = oneshot::channel();
        let hanging = Arc::clone(&self.hanging);
        let job: Job<E> = Box::new(move |a, e| {
            let call = call(a, e);
            Box::pin(async move {
                if reply.send(call.await?).is_err() {
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
        if matches!(ended, Ended::Crashed { .. }) {
            self.counters.error();
        }
        ended.into()
    }

    /// Tells whether both are of the same instance.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells whether so many calls hang that the instance is of no use any more.
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

/// `refused` is an error of the plugin, as the services see it.
pub(crate) fn refused(error: types::Error, context: &Context) -> CallError {
    context.counters.error();
    let reason = |text| truncate::reason(context.mask.hide_in(text));
    match error {
        types::Error::Denied(t) | types::Error::Limited(t) => CallError::Denied(reason(t)),
        types::Error::Invalid(t) => CallError::Invalid(reason(t)),
        types::Error::NotFound(t) => CallError::NotFound(reason(t)),
        types::Error::Timeout(t) => CallError::Timeout(reason(t)),
        types::Error::Unavailable(t) => CallError::Unavailable(reason(t)),
        types::Error::Cancelled(t) => CallError::Unavailable(reason(t)),
        types::Error::Other(t) => CallError::Other(reason(t)),
    }
}

/// `Up` receives the facts of a running instance as soon as it is up: from then on it takes jobs.
pub(crate) type Up<E> = oneshot::Sender<<E as Exports>::Facts>;

/// `Start` is an instance that is to be run.
pub(crate) struct Start<E: Exports> {
    pub(crate) engine: GuestEngine,
    pub(crate) pre: InstancePre<InstanceState>,
    pub(crate) minor: &'static Minor,
    pub(crate) context: Arc<Context>,
    pub(crate) up: Up<E>,
}

/// Prepares an instance: where its jobs go, and the future that runs it until it crashes, as its task. The result is the cause.
/// Ending it early is up to whoever drops that future. Must be called within tokio.
pub(crate) fn prepare<E: Exports>(start: Start<E>) -> (Jobs<E>, impl Future<Output = String> + Send + 'static) {
    let turns = Turns::new(Arc::clone(&start.context.computing));
    let queue = Arc::new(JobQueue::new());
    let jobs = Jobs {
        queue: Arc::clone(&queue),
        turns: Arc::clone(&turns),
    };
    (jobs, turns.drive(run(start, queue)))
}

async fn run<E: Exports>(start: Start<E>, queue: Arc<JobQueue<E>>) -> String {
    let Start {
        engine,
        pre,
        minor,
        context,
        up,
    } = start;
    // However this ends: nobody waits for an answer that cannot come.
    let queue = ClosesAtEnd(queue);
    // What an earlier instance said is not the cause of this one's end.
    let _ = context.log.take_last_lines();
    let (mut store, meter) = instance_state::store(&engine, &context);
    let (counters, used) = (&context.counters, meter.clone());
    let result = meter
        .drive(Arc::clone(&context.cpu), async {
            let instance = pre.instantiate_async(&mut store).await?;
            let exports = E::find(minor, &mut store, &instance)?;
            store
                .run_concurrent(async |a| serve(a, &exports, up, &queue.0, (counters, &used)).await)
                .await?
        })
        .await;
    match result {
        Ok(()) => "the host canceled it".into(),
        Err(e) => {
            counters.trap();
            instance_state::crash_cause(&e, store.data_mut().limiter.refused.take().as_deref(), &context)
        }
    }
}

async fn serve<E: Exports>(
    a: &Accessor<InstanceState>,
    exports: &E,
    up: Up<E>,
    queue: &JobQueue<E>,
    (counters, used): (&Counters, &CpuMeter),
) -> wasmtime::Result<()> {
    counters.call();
    let facts = exports.facts(a).await.inspect_err(|_| counters.error())?;
    if up.send(facts).is_err() {
        return Ok(());
    }
    let mut calls = FuturesUnordered::new();
    let mut pause: Option<BoxFuture<'static, ()>> = None;
    poll_fn(|cx| {
        loop {
            if let Some(paused) = &mut pause {
                ready!(paused.as_mut().poll(cx));
                pause = None;
            }
            while calls.len() < limits::CALLS
                && let Some(job) = queue.take()
            {
                calls.push(job(a, exports));
            }
            // Whoever sends a job sees to the next turn.
            match ready!(calls.poll_next_unpin(cx)) {
                // What follows would begin in the same turn, and the CPU of this call would count as its own.
                Some(Ok(())) => pause = used.is_counting().then(|| tokio::task::yield_now().boxed()),
                Some(Err(trap)) => return Poll::Ready(Err(trap)),
                None => return Poll::Pending,
            }
        }
    })
    .await
}
