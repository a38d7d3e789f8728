//! What host functions reach: the context of a plugin, and the places of its calls.

use super::gate::Gate;
use super::log::sink::LogSink;
use super::secrets::mask::Mask;
use super::states::States;
use crate::bindings::caps::types::Error;
use crate::computing::Computing;
use crate::cpu_share::CpuShare;
use crate::plugin_stats::Counters;
use nexus_config::resolved::Workspaces;
use nexus_model::time::Clock;
use nexus_model::token_bucket::TokenBucket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, HasData};

/// `Context` is that of a plugin, and stays the same over all of its instances.
pub(crate) struct Context {
    /// `gate` says what the plugin may do.
    pub gate: Arc<Gate>,
    /// `owner` says whose its processes are: the plugin's name, and for a tunnel the tunnel's beside it.
    pub owner: String,
    /// `clock` is the host's.
    pub clock: Arc<dyn Clock>,
    /// `workspaces` are the project folders of a chat backend; in the first one its processes run that name no directory.
    pub workspaces: Option<Workspaces>,
    /// `log` takes its lines for the host's log.
    pub log: Arc<LogSink>,
    /// `mask` hides its secrets in what it answers; the log has the same one.
    pub(crate) mask: Arc<Mask>,
    /// `states` are what the capabilities keep for it.
    pub(crate) states: States,
    /// `cpu` is its share of the CPU over time.
    pub cpu: Arc<CpuShare>,
    /// `computing` says whether it had a long turn of late.
    pub(crate) computing: Arc<Computing>,
    /// `event_bytes` bounds the bytes of events that it sends, over time.
    pub(crate) event_bytes: TokenBucket,
    /// `counters` count what it does. The gate and the log have the same ones.
    pub counters: Arc<Counters>,
}

impl Context {
    pub(super) fn name(&self) -> &str {
        self.gate.plugin()
    }
}

/// `Capabilities` are those of one instance: what lies in its store for the host functions. A copy counts with it.
#[derive(Clone)]
pub(crate) struct Capabilities {
    pub ctx: Arc<Context>,
    /// `waiting` has the places for calls and streams that wait in the host: `limits.streams`.
    waiting: Arc<Semaphore>,
    /// `sleeping` counts the tasks of the plugin that sleep.
    sleeping: Arc<AtomicUsize>,
    /// `created` is when the instance began, by a clock that nobody sets.
    pub(super) created: Instant,
}

/// `Granted` is how the host functions reach [`Capabilities`] in a store.
pub(crate) struct Granted;

impl HasData for Granted {
    type Data<'a> = &'a mut Capabilities;
}

impl Capabilities {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        let waiting = Arc::new(Semaphore::new(ctx.gate.limits().streams as usize));
        Self {
            ctx,
            waiting,
            sleeping: Arc::default(),
            created: Instant::now(),
        }
    }

    /// Takes a place for one call or stream that waits in the host.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| self.ctx.gate.too_many_streams().into())
    }

    fn most_asleep(&self) -> usize {
        (self.ctx.gate.limits().streams as usize).saturating_mul(4).max(1024)
    }

    pub(super) fn too_many_asleep(&self) -> String {
        self.ctx
            .gate
            .too_many_own("has too many sleeping tasks", self.most_asleep())
            .0
    }

    /// Counts one more sleeping task: sleeping costs a plugin nothing of its own, so the host counts. The function
    /// cannot refuse, so `None` is a trap.
    pub(super) fn admit_sleep(&self) -> Option<Sleeping> {
        let most = self.most_asleep();
        let sleeping = Sleeping(Arc::clone(&self.sleeping));
        (self.sleeping.fetch_add(1, Ordering::Relaxed) < most).then_some(sleeping)
    }
}

/// `Sleeping` counts one sleeping task for as long as it lives.
pub(super) struct Sleeping(Arc<AtomicUsize>);

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `context` is the context alone, for an async host function that never waits.
pub(super) fn context<T: Send>(a: &Accessor<T, Granted>) -> Arc<Context> {
    a.with(|mut s| Arc::clone(&s.get().ctx))
}

/// `enter` is the context and a waiting place, for an async host function.
pub(super) fn enter<T: Send>(a: &Accessor<T, Granted>) -> Result<(Arc<Context>, OwnedSemaphorePermit), Error> {
    a.with(|mut s| {
        let caps = s.get();
        Ok((Arc::clone(&caps.ctx), caps.admit()?))
    })
}

impl crate::bindings::caps::types::Host for Capabilities {}
