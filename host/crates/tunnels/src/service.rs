//! All tunnels of the configuration: opened, closed, added, removed and given to other plugins.

use crate::dependencies::{Dependencies, Spec};
use crate::error::TunnelError;
use crate::public_check;
use crate::status_board::StatusBoard;
use crate::swap::{Swapped, Swapping};
use crate::tunnel::{self, RunningTunnel, Tunnel};
use nexus_config::resolved;
use nexus_model::tunnel::{Step, TunnelStatus};
use nexus_plugin_traits::CancelReason;
use nexus_registry::tunnel_place;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// `TunnelService` has all tunnels of the configuration.
pub struct TunnelService {
    /// `tunnels` are by name.
    tunnels: Mutex<BTreeMap<String, Arc<Tunnel>>>,
    board: Arc<StatusBoard>,
    parts: Dependencies,
}

impl TunnelService {
    /// Starts the tunnels of the configuration, as [`Self::start`]; their plugins are loaded meanwhile.
    pub async fn from_config(tunnels: &BTreeMap<String, resolved::Tunnel>, parts: Dependencies) -> Self {
        let mut specs = Vec::new();
        for tunnel in tunnels.values() {
            specs.push(parts.spec(tunnel).await);
        }
        Self::start(specs, parts).await
    }

    /// Starts a task for each tunnel; those that were open when the host ended, and those with `autostart`, open by
    /// themselves.
    pub async fn start(tunnels: Vec<Spec>, parts: Dependencies) -> Self {
        let names = tunnels.iter().map(|spec| spec.config.name.clone());
        let saved = parts.wanted().load(names).await;
        let now = parts.clock.now();
        let list = tunnels.iter().map(|spec| tunnel::unknown(&spec.config, now)).collect();
        let board = Arc::new(StatusBoard::new(list, Arc::clone(&parts.activity)));
        let service = Self {
            tunnels: Mutex::default(),
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
        let serving = RunningTunnel::start(spec, &self.parts, &self.board, wanted, true);
        let tunnel = Arc::new(Tunnel::new(name.clone(), serving, wanted));
        let watching = public_check::watch(Arc::downgrade(&tunnel), self.parts.clone(), Arc::clone(&self.board));
        tokio::spawn(watching);
        self.tunnels().insert(name, tunnel);
    }

    fn tunnels(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Tunnel>>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `statuses` are in the order of the names; changes are seen at once.
    pub fn statuses(&self) -> watch::Receiver<Vec<TunnelStatus>> {
        self.board.subscribe()
    }

    /// Wants a tunnel open, now and after a restart. Returns before it is. One that failed or waits is tried at once.
    ///
    /// # Errors
    /// An unknown name, or when it cannot be remembered.
    pub async fn open(&self, name: &str) -> Result<(), TunnelError> {
        let tunnel = self.tunnel(name)?;
        self.parts.wanted().save(name, true).await?;
        self.forget_refusal(name);
        if !self.tunnels().contains_key(name) {
            // It was removed meanwhile, and one of this name must not open by itself.
            let _ = self.parts.wanted().save(name, false).await;
            return self.tunnel(name).map(drop);
        }
        tunnel.wanted.send_replace(true);
        // Between two plugins the next one sees what is wanted.
        if !tunnel.between.load(Ordering::SeqCst) {
            tunnel.running().want();
        }
        Ok(())
    }

    /// Closes a tunnel; returns when it is closed. A swap that is under way is canceled.
    ///
    /// # Errors
    /// An unknown name. Where it cannot be remembered that it is to stay closed, it is closed all the same.
    pub async fn close(&self, name: &str) -> Result<(), TunnelError> {
        let tunnel = self.tunnel(name)?;
        tunnel.wanted.send_replace(false);
        tunnel.running().unwant(CancelReason::Stop);
        let saved = self.parts.wanted().save(name, false).await;
        off(&tunnel).await;
        self.forget_refusal(name);
        Ok(saved?)
    }

    /// Lets another plugin serve a tunnel, now and after a restart; an open one stays reachable. Returns when the old
    /// plugin is gone, and goes on to its end if the caller does not wait for that.
    ///
    /// # Errors
    /// An unknown name, a swap that is under way, or a plugin that cannot replace the current one: then nothing has changed.
    pub async fn swap(&self, name: &str, plugin: &str) -> Result<Swapped, TunnelError> {
        self.replace_with(name, |now| {
            if now.plugin == plugin {
                return Err(TunnelError::Refused(format!(
                    "{plugin} is already the provider of the tunnel {name}."
                )));
            }
            Ok(resolved::Tunnel {
                plugin: plugin.to_owned(),
                ..now.clone()
            })
        })
        .await
    }

    /// Opens a tunnel again as `config` has it, with its plugin reloaded: that one, or its settings, may be others than
    /// before. Where the plugin stays the same the old instance closes first, since both would lead the same processes.
    ///
    /// # Errors
    /// As [`Self::swap`].
    pub async fn reopen(&self, config: resolved::Tunnel) -> Result<Swapped, TunnelError> {
        let name = config.name.clone();
        self.replace_with(&name, |_| Ok(config)).await
    }

    /// Applies what the operator has confirmed of a tunnel: it opens again as it is described, or is made where it is
    /// not there.
    ///
    /// # Errors
    /// As [`Self::reopen`] and [`Self::add`].
    pub async fn apply(&self, config: resolved::Tunnel) -> Result<(), TunnelError> {
        let (place, plugin) = (tunnel_place(&config.name), config.plugin.clone());
        let change = async {
            if self.tunnels().contains_key(&config.name) {
                self.reopen(config).await.map(drop)
            } else {
                self.add(config).await
            }
        };
        self.parts.plugins.overrides.confirm(&place, &plugin, change).await
    }

    /// Adds a tunnel that was not there. It opens by itself where its description says so.
    ///
    /// # Errors
    /// There is one of that name, or its plugin cannot be loaded.
    pub async fn add(&self, config: resolved::Tunnel) -> Result<(), TunnelError> {
        let name = config.name.clone();
        if self.tunnels().contains_key(&name) {
            return Err(TunnelError::Refused(format!("The tunnel {name} already exists.")));
        }
        let provided = self.parts.load(&config).await;
        let provided = provided.map_err(|cause| TunnelError::Refused(format!("Tunnel {name}: {cause}")))?;
        // What was swapped at another tunnel of this name, and whether that was open, is not this one's.
        let registration = provided.registration;
        let forgotten = async {
            self.parts.wanted().save(&name, false).await?;
            self.parts.choose(&name, &config.plugin).await?;
            Ok::<(), TunnelError>(())
        };
        if let Err(cause) = forgotten.await {
            self.parts.retire(registration);
            return Err(cause);
        }
        self.board.add(tunnel::unknown(&config, self.parts.clock.now()));
        self.place(Spec { config, provided }, false);
        Ok(())
    }

    /// Closes a tunnel and removes it. Returns when that is done.
    ///
    /// # Errors
    /// An unknown name, or a swap that is under way.
    pub async fn remove(&self, name: &str) -> Result<(), TunnelError> {
        let tunnel = self.tunnel(name)?;
        let Ok(alone) = Arc::clone(&tunnel.gate).try_lock_owned() else {
            return Err(busy(name));
        };
        tunnel.wanted.send_replace(false);
        let serving = tunnel.running();
        serving.unwant(CancelReason::Stop);
        self.tunnels().remove(name);
        if let Err(error) = self.parts.wanted().save(name, false).await {
            tracing::warn!(tunnel = name, %error, "cannot save that the tunnel stays closed");
        }
        let registration = serving.provided.registration;
        serving.end(CancelReason::Stop).await;
        self.parts.retire(registration);
        self.board.remove(name);
        drop(alone);
        Ok(())
    }

    /// `serving` has the plugin of each tunnel.
    pub fn serving(&self) -> BTreeMap<String, String> {
        let tunnels = self.tunnels();
        let serving = |tunnel: &Arc<Tunnel>| (tunnel.name.clone(), tunnel.running().config.plugin);
        tunnels.values().map(serving).collect()
    }

    /// `closed` are the tunnels that are not wanted open.
    pub fn closed(&self) -> BTreeSet<String> {
        let tunnels = self.tunnels();
        let closed = tunnels.values().filter(|tunnel| !*tunnel.wanted.borrow());
        closed.map(|tunnel| tunnel.name.clone()).collect()
    }

    async fn replace_with(
        &self,
        name: &str,
        config: impl FnOnce(&resolved::Tunnel) -> Result<resolved::Tunnel, TunnelError>,
    ) -> Result<Swapped, TunnelError> {
        let tunnel = self.tunnel(name)?;
        let Ok(alone) = Arc::clone(&tunnel.gate).try_lock_owned() else {
            return Err(busy(name));
        };
        let config = config(&tunnel.running().config)?;
        let swapping = Swapping {
            tunnel,
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
        let tunnels: Vec<_> = self.tunnels().values().cloned().collect();
        for tunnel in &tunnels {
            tunnel.wanted.send_replace(false);
            tunnel.running().unwant(CancelReason::HostEnds);
        }
        futures::future::join_all(tunnels.iter().map(off)).await;
    }

    fn forget_refusal(&self, name: &str) {
        let refused = |status: &TunnelStatus| {
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

    fn tunnel(&self, name: &str) -> Result<Arc<Tunnel>, TunnelError> {
        let tunnels = self.tunnels();
        tunnels.get(name).cloned().ok_or_else(|| {
            let names: Vec<_> = tunnels.keys().map(String::as_str).collect();
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
        "The provider of the tunnel {name} is being replaced. Try again when that is done."
    ))
}

/// Waits until nothing of the tunnel is open, or somebody wants it open again.
async fn off(tunnel: &Arc<Tunnel>) {
    let mut wanted = tunnel.wanted.subscribe();
    let closed = async {
        tunnel.running().off().await;
        // A swap that was under way has ended, and with it the new plugin.
        drop(tunnel.gate.lock().await);
        tunnel.running().off().await;
    };
    tokio::select! {
        () = closed => {}
        _ = wanted.wait_for(|wanted| *wanted) => {}
    }
}
