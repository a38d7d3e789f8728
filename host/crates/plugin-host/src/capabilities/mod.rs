//! What a plugin may do, one file for each interface of the contract, and below all of them the one [`gate`].
//!
//! A file here only translates: WIT types in, the gate's word, a port, WIT types out. A denial is a value that the
//! plugin gets (with the TOML that would allow it), never a trap.

pub mod gate;

mod clock;
mod config;
mod counters;
mod cpu;
mod environment;
mod http;
pub mod log;
pub(crate) mod mask;
mod process;
mod secrets;
mod store;
mod streams;

pub use counters::Counters;
pub use cpu::CpuShare;
pub use gate::{Denial, Gate, Requests};
pub(crate) use mask::Mask;
pub use nexus_model::allowance::Allowance;
pub use process::Starts;
pub use secrets::GeneratedSecrets;

use log::LogSink;
use nexus_egress::port::Outgoing;
use nexus_model::time::Clock;
use nexus_plugin_api::host::caps::types::Error;
use nexus_process::port::Processes;
use nexus_store::port::KeyValue;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::{Accessor, HasData};

/// The rooms behind the capabilities.
#[derive(Clone)]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub processes: Arc<dyn Processes>,
    pub outgoing: Arc<dyn Outgoing>,
    pub kv: Arc<dyn KeyValue>,
    pub generated: Arc<GeneratedSecrets>,
}

/// What stays the same over all instances of one plugin.
pub struct Context {
    pub gate: Arc<Gate>,
    /// Whose its processes are: the plugin's name, and for a tunnel the tunnel's beside it.
    pub owner: String,
    pub ports: Ports,
    /// The plugin's configuration as JSON text.
    pub config: String,
    /// Where its processes run that name no directory.
    pub workspace: Option<PathBuf>,
    pub log: Arc<LogSink>,
    /// Over what it answers; the log has the same one.
    pub(crate) mask: Arc<Mask>,
    pub starts: Mutex<Starts>,
    pub cpu: Arc<CpuShare>,
    /// Bytes written into its store.
    pub(crate) writes: Allowance,
    /// Processes that were started.
    pub(crate) started: Allowance,
    /// Bytes of events that came of it.
    pub(crate) said: Allowance,
    /// What it did so far. The gate and the log have the same ones.
    pub counters: Arc<Counters>,
}

impl Context {
    fn name(&self) -> &str {
        self.gate.plugin()
    }
}

/// The capabilities of one instance.
pub struct Capabilities {
    pub ctx: Arc<Context>,
    waiting: Arc<Semaphore>,
    sleeping: Arc<AtomicUsize>,
}

/// How the host functions reach [`Capabilities`] in a store.
pub struct Granted;

impl HasData for Granted {
    type Data<'a> = &'a mut Capabilities;
}

impl Capabilities {
    pub fn new(ctx: Arc<Context>) -> Self {
        let waiting = Arc::new(Semaphore::new(ctx.gate.limits().streams as usize));
        Self {
            ctx,
            waiting,
            sleeping: Arc::default(),
        }
    }

    /// A place for one call or stream that waits in the host.
    fn admit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| self.ctx.gate.too_many_streams().into())
    }

    fn most_asleep(&self) -> usize {
        (self.ctx.gate.limits().streams as usize).saturating_mul(4).max(1024)
    }

    fn too_many_asleep(&self) -> String {
        self.ctx
            .gate
            .too_many_own("has too many tasks asleep", self.most_asleep())
            .0
    }

    /// Sleeping costs a plugin nothing of its own, so the host counts. The function cannot refuse: `None` is a trap.
    fn admit_sleep(&self) -> Option<Sleeping> {
        let most = self.most_asleep();
        let sleeping = Sleeping(Arc::clone(&self.sleeping));
        (self.sleeping.fetch_add(1, Ordering::Relaxed) < most).then_some(sleeping)
    }
}

/// Counts one sleeping task for as long as it lives.
struct Sleeping(Arc<AtomicUsize>);

impl Drop for Sleeping {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The context and a waiting place, for an async host function.
fn enter<T: Send>(a: &Accessor<T, Granted>) -> Result<(Arc<Context>, OwnedSemaphorePermit), Error> {
    a.with(|mut s| {
        let caps = s.get();
        Ok((Arc::clone(&caps.ctx), caps.admit()?))
    })
}

impl nexus_plugin_api::host::caps::types::Host for Capabilities {}
