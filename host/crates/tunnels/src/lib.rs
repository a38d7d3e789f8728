//! Tunnels: each has a loopback listener of its own, a task that keeps it in the state the operator wants, and a
//! provider plugin that opens it.
//!
//! One actor a tunnel, driven by what is *wanted* and not by commands: a start while it stops, two stops, or an
//! account that appears later need no transitions of their own.

mod actor;
mod end;
#[cfg(test)]
mod fakes;
mod ingress;
pub mod opening;
mod reach;
mod seat;
mod slot;
mod swap;
#[cfg(test)]
mod swap_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
mod wanted;

pub use end::no_tls;
pub use ingress::{Ingress, IngressHandle, IngressInfo, Leaving, Proof};

use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_model::activity::Activity;
use nexus_model::plugin::Kind;
use nexus_model::time::Clock;
use nexus_model::tunnel::{Status, Step, Unreached};
use nexus_plugin_traits::StopProcesses;
use nexus_plugin_traits::TunnelProvider;
use nexus_registry::{Plugins, Registered, Ticket, tunnel_place};
use nexus_store::Store;
use seat::Board;
use slot::{Serving, Slot};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swap::Swapping;
use tokio::sync::watch;
use wanted::Wanted;

/// An instance of a plugin that serves a tunnel, as it stands among all plugins.
#[derive(Clone)]
pub struct Provided {
    provider: Arc<dyn TunnelProvider>,
    ticket: Ticket,
}

impl Provided {
    /// Enters `provider` among the plugins that serve, at this tunnel.
    pub fn register(plugins: &Plugins, tunnel: &str, provider: Arc<dyn TunnelProvider>) -> Self {
        let ticket = plugins.statuses.add(Registered {
            tunnel: Some(tunnel.to_owned()),
            ..Registered::of(&provider)
        });
        Self { provider, ticket }
    }
}

/// Looks at a listener of this host from its tunnel's public side, at `url`.
pub trait Prober: Send + Sync + 'static {
    /// A plain request; how long it took there and back.
    fn plain<'a>(
        &'a self,
        how: &'a resolved::Probe,
        url: &'a str,
        proof: &'a Proof,
    ) -> BoxFuture<'a, Result<Duration, Unreached>>;
    /// The same without the public side: whether this host's own listener answers.
    fn own<'a>(&'a self, listener: SocketAddr, url: &'a str, proof: &'a Proof) -> BoxFuture<'a, bool>;
    /// A plain request, an answer that streams, and a WebSocket.
    fn whole<'a>(
        &'a self,
        how: &'a resolved::Probe,
        url: &'a str,
        proof: &'a Proof,
    ) -> BoxFuture<'a, Result<(), Unreached>>;
}

/// A tunnel of the configuration and the plugin that opens it.
#[derive(Clone)]
pub struct Spec {
    pub config: resolved::Tunnel,
    pub provided: Provided,
}

/// What the service needs from the rest of the host.
#[derive(Clone)]
pub struct Parts {
    pub ingress: Arc<dyn Ingress>,
    /// Whether an owner account exists. No tunnel opens before.
    pub has_account: watch::Receiver<bool>,
    /// Keeps which tunnels are wanted.
    pub store: Store,
    /// By [`resolved::Tunnel::process_owner`]: for what a plugin that fell has left behind.
    pub stop_processes: StopProcesses,
    pub plugins: Plugins,
    /// Why no plugin may be loaded for a tunnel, where that is so: a sentence.
    pub barred: Option<String>,
    pub prober: Arc<dyn Prober>,
    pub activity: Arc<dyn Activity>,
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    fn wanted(&self) -> Wanted {
        Wanted::new(self.store.clone())
    }

    /// An instance of the plugin that `tunnel` names. `Err`: a sentence for the operator.
    async fn load(&self, tunnel: &resolved::Tunnel) -> Result<Provided, String> {
        self.plugins.catalog.check(&tunnel.plugin, Kind::Tunnel)?;
        if let Some(why) = &self.barred {
            return Err(why.clone());
        }
        let owner = tunnel.process_owner();
        let loaded = self.plugins.loader.load_tunnel(&tunnel.plugin, &owner).await?;
        Ok(Provided::register(&self.plugins, &tunnel.name, loaded))
    }

    /// That instance serves no more.
    fn retire(&self, ticket: Ticket) {
        self.plugins.statuses.remove(ticket);
    }

    /// Which plugin serves the tunnel from now on. Durable when it returns. `Err`: a sentence for the operator.
    async fn choose(&self, tunnel: &str, plugin: &str) -> Result<(), String> {
        self.plugins.overrides.keep(&tunnel_place(tunnel), plugin).await
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    #[error("there is no tunnel `{0}`; the configuration has: {1}")]
    Unknown(String, String),
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Refused(String),
}

/// Another plugin serves the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// Where it leads now; none where it is closed.
    pub url: Option<String>,
    /// From the command until the old one was gone.
    pub took: Duration,
    /// It holds after a restart too.
    pub kept: bool,
    /// The old one had to close first: whoever came through it lost the connection.
    pub cut: bool,
}

/// All tunnels of the configuration.
pub struct TunnelService {
    /// By name.
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
    board: Arc<Board>,
    parts: Parts,
}

impl TunnelService {
    /// Starts a task for each tunnel; those that were open when the host ended, and those with `autostart`, open by
    /// themselves.
    pub async fn start(tunnels: Vec<Spec>, parts: Parts) -> Self {
        let names = tunnels.iter().map(|spec| spec.config.name.clone());
        let saved = parts.wanted().load(names).await;
        let now = parts.clock.now();
        let list = tunnels.iter().map(|spec| slot::unknown(&spec.config, now)).collect();
        let board = Arc::new(Board::new(list, Arc::clone(&parts.activity)));
        let service = Self {
            slots: Mutex::default(),
            board,
            parts,
        };
        for spec in tunnels {
            let wanted = saved.get(&spec.config.name).copied().unwrap_or(false);
            service.place(spec, wanted);
        }
        service
    }

    fn place(&self, spec: Spec, wanted: bool) {
        let name = spec.config.name.clone();
        let wanted = wanted || spec.config.autostart;
        let serving = Serving::start(spec, &self.parts, &self.board, wanted, true);
        let slot = Arc::new(Slot::new(name.clone(), serving, wanted));
        let watching = reach::watch(Arc::downgrade(&slot), self.parts.clone(), Arc::clone(&self.board));
        tokio::spawn(watching);
        self.slots().insert(name, slot);
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By name; changes are seen at once.
    pub fn statuses(&self) -> watch::Receiver<Vec<Status>> {
        self.board.subscribe()
    }

    /// Wants a tunnel open, now and after a restart. Returns before it is. One that failed or waits is tried at once.
    ///
    /// # Errors
    /// An unknown name, or when it cannot be remembered.
    pub async fn open(&self, name: &str) -> Result<(), TunnelError> {
        let slot = self.slot(name)?;
        self.parts.wanted().save(name, true).await.map_err(TunnelError::Store)?;
        self.forget_refusal(name);
        if !self.slots().contains_key(name) {
            // It was removed meanwhile, and one of this name must not open by itself.
            let _ = self.parts.wanted().save(name, false).await;
            return self.slot(name).map(drop);
        }
        slot.wanted.send_replace(true);
        // Between two plugins the next one sees what is wanted.
        if !slot.between.load(Ordering::SeqCst) {
            slot.serving().want();
        }
        Ok(())
    }

    /// Closes a tunnel; returns when it is closed. A plugin that was about to take over gives up.
    ///
    /// # Errors
    /// An unknown name. Where it cannot be remembered that it is to stay closed, it is closed all the same.
    pub async fn close(&self, name: &str) -> Result<(), TunnelError> {
        let slot = self.slot(name)?;
        slot.wanted.send_replace(false);
        slot.serving().unwant();
        let saved = self.parts.wanted().save(name, false).await.map_err(TunnelError::Store);
        off(&slot).await;
        self.forget_refusal(name);
        saved
    }

    /// Lets another plugin serve a tunnel, now and after a restart; an open one stays reachable. Returns when the old
    /// plugin is gone, and goes on to its end if the caller does not wait for that.
    ///
    /// # Errors
    /// An unknown name, a swap that is under way, or a plugin that cannot take over: then all is as before.
    pub async fn swap(&self, name: &str, plugin: &str) -> Result<Swapped, TunnelError> {
        self.take_over(name, |now| {
            if now.plugin == plugin {
                return Err(TunnelError::Refused(format!(
                    "The tunnel {name} is served by {plugin} already."
                )));
            }
            Ok(resolved::Tunnel {
                plugin: plugin.to_owned(),
                ..now.clone()
            })
        })
        .await
    }

    /// Opens a tunnel anew as `config` has it, with its plugin loaded anew: that one, or its settings, may be others than
    /// before. Where the plugin stays the same the old instance closes first, since both would lead the same processes.
    ///
    /// # Errors
    /// As [`Self::swap`].
    pub async fn reopen(&self, config: resolved::Tunnel) -> Result<Swapped, TunnelError> {
        let name = config.name.clone();
        self.take_over(&name, |_| Ok(config)).await
    }

    /// A tunnel that was not there. It opens by itself where its description says so.
    ///
    /// # Errors
    /// There is one of that name, or its plugin cannot be loaded.
    pub async fn add(&self, config: resolved::Tunnel) -> Result<(), TunnelError> {
        let name = config.name.clone();
        if self.slots().contains_key(&name) {
            return Err(TunnelError::Refused(format!("There is a tunnel {name} already.")));
        }
        let provided = self.parts.load(&config).await;
        let provided = provided.map_err(|why| TunnelError::Refused(format!("Tunnel {name}: {why}")))?;
        // What was swapped at another tunnel of this name, and whether that was open, is not this one's.
        let ticket = provided.ticket;
        let forgotten = async {
            self.parts.wanted().save(&name, false).await?;
            self.parts.choose(&name, &config.plugin).await
        };
        if let Err(why) = forgotten.await {
            self.parts.retire(ticket);
            return Err(TunnelError::Store(why));
        }
        self.board.add(slot::unknown(&config, self.parts.clock.now()));
        self.place(Spec { config, provided }, false);
        Ok(())
    }

    /// Closes a tunnel, and it is there no more. Returns when that is done.
    ///
    /// # Errors
    /// An unknown name, or a plugin that is taking over just now.
    pub async fn remove(&self, name: &str) -> Result<(), TunnelError> {
        let slot = self.slot(name)?;
        let Ok(alone) = Arc::clone(&slot.gate).try_lock_owned() else {
            return Err(busy(name));
        };
        slot.wanted.send_replace(false);
        let serving = slot.serving();
        serving.unwant();
        self.slots().remove(name);
        if let Err(error) = self.parts.wanted().save(name, false).await {
            tracing::warn!(
                tunnel = name,
                error,
                "it cannot be remembered that the tunnel stays closed"
            );
        }
        let ticket = serving.provided.ticket;
        serving.end().await;
        self.parts.retire(ticket);
        self.board.remove(name);
        drop(alone);
        Ok(())
    }

    /// Which plugin serves each tunnel.
    pub fn serving(&self) -> BTreeMap<String, String> {
        let slots = self.slots();
        let serving = |slot: &Arc<Slot>| (slot.name.clone(), slot.serving().config.plugin);
        slots.values().map(serving).collect()
    }

    async fn take_over(
        &self,
        name: &str,
        config: impl FnOnce(&resolved::Tunnel) -> Result<resolved::Tunnel, TunnelError>,
    ) -> Result<Swapped, TunnelError> {
        let slot = self.slot(name)?;
        let Ok(alone) = Arc::clone(&slot.gate).try_lock_owned() else {
            return Err(busy(name));
        };
        let config = config(&slot.serving().config)?;
        let swapping = Swapping {
            slot,
            parts: self.parts.clone(),
            board: Arc::clone(&self.board),
            config,
        };
        let done = tokio::spawn(async move {
            let done = swapping.run().await;
            drop(alone);
            done
        });
        done.await
            .unwrap_or_else(|_| Err(TunnelError::Refused("Nexus is stopping.".to_owned())))
    }

    /// Closes all of them, without forgetting which are wanted.
    pub async fn shutdown(&self) {
        let slots: Vec<_> = self.slots().values().cloned().collect();
        for slot in &slots {
            slot.wanted.send_replace(false);
            slot.serving().unwant();
        }
        futures::future::join_all(slots.iter().map(off)).await;
    }

    fn forget_refusal(&self, name: &str) {
        let refused = |status: &Status| {
            let failed = status
                .swap
                .as_ref()
                .map(|swap| matches!(swap.step, Step::Failed { .. }));
            status.name == name && failed == Some(true)
        };
        let found = self.board.subscribe().borrow().iter().any(refused);
        if found {
            self.board.swap(name, None);
        }
    }

    fn slot(&self, name: &str) -> Result<Arc<Slot>, TunnelError> {
        let slots = self.slots();
        slots.get(name).cloned().ok_or_else(|| {
            let names: Vec<_> = slots.keys().map(String::as_str).collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            TunnelError::Unknown(name.to_owned(), names)
        })
    }
}

fn busy(name: &str) -> TunnelError {
    TunnelError::Refused(format!(
        "Another plugin is taking over the tunnel {name} just now; try again when that is done."
    ))
}

/// Until nothing of it is open, or somebody wants it open again.
async fn off(slot: &Arc<Slot>) {
    let mut wanted = slot.wanted.subscribe();
    let closed = async {
        slot.serving().off().await;
        // A swap that was under way has ended, and with it the plugin that was to take over.
        drop(slot.gate.lock().await);
        slot.serving().off().await;
    };
    tokio::select! {
        () = closed => {}
        _ = wanted.wait_for(|wanted| *wanted) => {}
    }
}
