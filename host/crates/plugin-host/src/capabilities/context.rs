//! What host functions reach: the context of a plugin, and the places of its calls.

use super::gate::Gate;
use super::log::sink::LogSink;
use super::process::pending_starts::Starts;
use super::secrets::generated::GeneratedSecrets;
use super::secrets::mask::Mask;
use crate::bindings::caps::types::Error;
use crate::cpu_share::CpuShare;
use crate::plugin_stats::Counters;
use nexus_egress::Outgoing;
use nexus_model::allowance::Allowance;
use nexus_model::time::Clock;
use nexus_process::Processes;
use nexus_store::KeyValue;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, HasData};

/// The ports through which capabilities reach the rest of the host.
#[derive(Clone)]
pub(crate) struct Ports {
    pub clock: Arc<dyn Clock>,
    pub processes: Arc<dyn Processes>,
    pub outgoing: Arc<dyn Outgoing>,
    pub kv: KeyValue,
    /// The secrets that the host made for plugins.
    pub generated: Arc<GeneratedSecrets>,
}

/// The context of a plugin stays the same over all of its instances.
pub(crate) struct Context {
    /// What the plugin may do.
    pub gate: Arc<Gate>,
    /// Whose its processes are: the plugin's name, and for a tunnel the tunnel's beside it.
    pub owner: String,
    pub ports: Ports,
    /// The plugin's configuration as JSON text.
    pub config: String,
    /// Where its processes run that name no directory.
    pub workspace: Option<PathBuf>,
    /// Its lines in the host's log.
    pub log: Arc<LogSink>,
    /// Hides its secrets in what it answers; the log has the same one.
    pub(crate) mask: Arc<Mask>,
    /// Its processes that are being started.
    pub starts: Mutex<Starts>,
    /// Its share of the CPU over time.
    pub cpu: Arc<CpuShare>,
    /// Bytes that it writes into its store, over time.
    pub(crate) store_writes: Allowance,
    /// Processes that it starts, over time.
    pub(crate) process_starts: Allowance,
    /// Bytes of events that it sends, over time.
    pub(crate) event_bytes: Allowance,
    /// Count what it does. The gate and the log have the same ones.
    pub counters: Arc<Counters>,
}

impl Context {
    pub(super) fn name(&self) -> &str {
        self.gate.plugin()
    }
}

/// The capabilities of one instance: what lies in its store for the host functions.
pub(crate) struct Capabilities {
    pub ctx: Arc<Context>,
    /// Places for calls and streams that wait in the host: `limits.streams`.
    waiting: Arc<Semaphore>,
    /// Tasks of the plugin that sleep.
    sleeping: Arc<AtomicUsize>,
}

/// How the host functions reach [`Capabilities`] in a store.
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
        }
    }

    /// A place for one call or stream that waits in the host.
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

    /// Sleeping costs a plugin nothing of its own, so the host counts. The function cannot refuse: `None` is a trap.
    pub(super) fn admit_sleep(&self) -> Option<Sleeping> {
        let most = self.most_asleep();
        let sleeping = Sleeping(Arc::clone(&self.sleeping));
        (self.sleeping.fetch_add(1, Ordering::Relaxed) < most).then_some(sleeping)
    }
}

/// Counts one sleeping task for as long as it lives.
pub(super) struct Sleeping(Arc<AtomicUsize>);

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The context and a waiting place, for an async host function.
pub(super) fn enter<T: Send>(a: &Accessor<T, Granted>) -> Result<(Arc<Context>, OwnedSemaphorePermit), Error> {
    a.with(|mut s| {
        let caps = s.get();
        Ok((Arc::clone(&caps.ctx), caps.admit()?))
    })
}

impl crate::bindings::caps::types::Host for Capabilities {}
