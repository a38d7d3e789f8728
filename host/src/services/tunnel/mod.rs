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
#[cfg(test)]
mod tests;

pub use ingress::{Ingress, IngressHandle, IngressInfo};

use crate::config::resolved;
use crate::model::tunnel::{Encryption, State, Status};
use crate::runtime::port::TunnelProvider;
use crate::time::Clock;
use crate::timeouts;
use actor::{Actor, Desired};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Which tunnels the operator wants to be open; it survives a restart of the host.
pub trait WantedStore: Send + Sync + 'static {
    /// Tunnels by name. `Err`: a sentence for the operator.
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, bool>, String>>;
    /// Durable when it returns.
    fn save<'a>(&'a self, tunnel: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), String>>;
}

/// Ends every process of an owner ([`resolved::Tunnel::process_owner`]): for what a plugin that fell has left behind.
pub type StopProcesses = Arc<dyn Fn(String) -> BoxFuture<'static, ()> + Send + Sync>;

/// A tunnel of the configuration and the plugin that opens it.
#[derive(Clone)]
pub struct Spec {
    pub config: resolved::Tunnel,
    pub provider: Arc<dyn TunnelProvider>,
}

/// What the service needs from the rest of the host.
#[derive(Clone)]
pub struct Parts {
    pub ingress: Arc<dyn Ingress>,
    /// Whether an owner account exists. No tunnel opens before.
    pub has_account: watch::Receiver<bool>,
    pub wanted: Arc<dyn WantedStore>,
    pub stop_processes: StopProcesses,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    #[error("there is no tunnel `{0}`; the configuration has: {1}")]
    Unknown(String, String),
    #[error("{0}")]
    Store(String),
}

struct Entry {
    name: String,
    desired: watch::Sender<Desired>,
}

/// All tunnels of the configuration.
pub struct TunnelService {
    entries: Vec<Entry>,
    statuses: Arc<watch::Sender<Vec<Status>>>,
    wanted: Arc<dyn WantedStore>,
}

impl TunnelService {
    /// Starts a task for each tunnel; those that were open when the host ended, and those with `autostart`, open by
    /// themselves.
    ///
    /// # Errors
    /// When it cannot be read which tunnels are wanted.
    pub async fn start(tunnels: Vec<Spec>, parts: Parts) -> Result<Self, TunnelError> {
        let saved = parts.wanted.load().await.map_err(TunnelError::Store)?;
        let now = parts.clock.now();
        let statuses = tunnels.iter().map(|spec| Status {
            name: spec.config.name.clone(),
            plugin: spec.config.plugin.clone(),
            title: spec.config.plugin.clone(),
            // The careful assumption until the plugin has said what it is.
            encryption: Encryption::None,
            state: State::Off,
            url: None,
            since: now,
            figures: None,
        });
        let statuses = Arc::new(watch::Sender::new(statuses.collect::<Vec<_>>()));
        let entries = tunnels
            .into_iter()
            .map(|spec| {
                let name = spec.config.name.clone();
                let wanted = spec.config.autostart || saved.get(&name).copied().unwrap_or(false);
                let (desired, receiver) = watch::channel(Desired { wanted, kicks: 0 });
                tokio::spawn(Actor::new(spec, &parts, receiver, Arc::clone(&statuses)).run());
                Entry { name, desired }
            })
            .collect();
        Ok(Self {
            entries,
            statuses,
            wanted: parts.wanted,
        })
    }

    /// In the order of the configuration; changes are seen at once.
    pub fn statuses(&self) -> watch::Receiver<Vec<Status>> {
        self.statuses.subscribe()
    }

    /// Wants a tunnel open, now and after a restart. Returns before it is. One that failed or waits is tried at once.
    ///
    /// # Errors
    /// An unknown name, or when it cannot be remembered.
    pub async fn open(&self, name: &str) -> Result<(), TunnelError> {
        let entry = self.entry(name)?;
        self.wanted.save(name, true).await.map_err(TunnelError::Store)?;
        entry.desired.send_modify(|desired| {
            *desired = Desired {
                wanted: true,
                kicks: desired.kicks + 1,
            }
        });
        Ok(())
    }

    /// Closes a tunnel; returns when it is closed.
    ///
    /// # Errors
    /// An unknown name. Where it cannot be remembered that it is to stay closed, it is closed all the same.
    pub async fn close(&self, name: &str) -> Result<(), TunnelError> {
        let entry = self.entry(name)?;
        entry.desired.send_modify(|desired| desired.wanted = false);
        let saved = self.wanted.save(name, false).await.map_err(TunnelError::Store);
        self.off(entry).await;
        saved
    }

    /// Closes all of them, without forgetting which are wanted.
    pub async fn shutdown(&self) {
        for entry in &self.entries {
            entry.desired.send_modify(|desired| desired.wanted = false);
        }
        futures::future::join_all(self.entries.iter().map(|entry| self.off(entry))).await;
    }

    /// Until it is off, or somebody wants it open again.
    async fn off(&self, entry: &Entry) {
        let mut statuses = self.statuses.subscribe();
        let mut desired = entry.desired.subscribe();
        let is_off = |all: &Vec<Status>| all.iter().any(|s| s.name == entry.name && s.state == State::Off);
        // The actor bounds each of its own steps; this is for a task that is gone.
        let limit = timeouts::PLUGIN_CANCEL * 3;
        let _ = tokio::time::timeout(limit, async {
            tokio::select! {
                _ = statuses.wait_for(is_off) => {}
                _ = desired.wait_for(|desired| desired.wanted) => {}
            }
        })
        .await;
    }

    fn entry(&self, name: &str) -> Result<&Entry, TunnelError> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            TunnelError::Unknown(name.to_owned(), names)
        })
    }
}
