//! What the service needs from the rest of the host, and what it is given to serve.

use crate::error::NotProvided;
use crate::origin_listener::ListenerServer;
use crate::public_checker::PublicChecker;
use crate::wanted_tunnels::WantedTunnels;
use nexus_config::resolved;
use nexus_model::plugin::Kind;
use nexus_model::time::Clock;
use nexus_plugin_traits::{StopProcesses, TunnelProvider};
use nexus_registry::{NotKept, Plugins, Registered, RegistrationId, tunnel_place};
use nexus_store::Store;
use nexus_store::activity_log::ActivityLog;
use std::sync::Arc;
use tokio::sync::watch;

/// `RegisteredProvider` is an instance of a plugin that serves a tunnel, as it stands among all plugins.
#[derive(Clone)]
pub struct RegisteredProvider {
    pub(super) provider: Arc<dyn TunnelProvider>,
    pub(super) registration: RegistrationId,
}

impl RegisteredProvider {
    /// Enters `provider` among the plugins that serve, at this tunnel.
    pub fn register(plugins: &Plugins, tunnel: &str, provider: Arc<dyn TunnelProvider>) -> Self {
        let registration = plugins.statuses.add(Registered {
            tunnel: Some(tunnel.to_owned()),
            ..Registered::of(&provider)
        });
        Self { provider, registration }
    }
}

/// `Spec` is a tunnel of the configuration and the plugin that opens it.
#[derive(Clone)]
pub struct Spec {
    /// `config` describes the tunnel.
    pub config: resolved::Tunnel,
    /// `provided` is the plugin, loaded already.
    pub provided: RegisteredProvider,
}

/// `Dependencies` are what the service needs from the rest of the host.
#[derive(Clone)]
pub struct Dependencies {
    /// `listener_server` serves the listener of each tunnel.
    pub listener_server: Arc<dyn ListenerServer>,
    /// `has_account` tells whether an owner account exists. No tunnel opens before.
    pub has_account: watch::Receiver<bool>,
    /// `store` keeps which tunnels are wanted.
    pub store: Store,
    /// `stop_processes` ends what a plugin that crashed has left behind, by [`resolved::Tunnel::process_owner`].
    pub stop_processes: StopProcesses,
    /// `plugins` are those of the host, for a swap, and the list in which each one that serves is entered.
    pub plugins: Plugins,
    /// `barred` says why no plugin may be loaded for a tunnel, where that is so: a sentence.
    pub barred: Option<String>,
    /// `checker` checks an open tunnel from its public side.
    pub checker: Arc<dyn PublicChecker>,
    /// `activity` gets what happens to a tunnel, for the status page.
    pub activity: Arc<ActivityLog>,
    /// `clock` is the wall clock for the times that a status shows.
    pub clock: Arc<dyn Clock>,
}

impl Dependencies {
    pub(super) fn wanted(&self) -> WantedTunnels {
        WantedTunnels::new(self.store.clone())
    }

    /// A tunnel of the configuration with its plugin, or the one that has replaced it since, which is loaded meanwhile.
    pub(super) async fn spec(&self, tunnel: &resolved::Tunnel) -> Spec {
        let (plugins, place) = (&self.plugins, tunnel_place(&tunnel.name));
        let config = resolved::Tunnel {
            plugin: plugins.overrides.plugin(&place, Kind::Tunnel, &plugins.catalog).await,
            ..tunnel.clone()
        };
        let provider = plugins.late_tunnel(&config, self.barred.clone(), &self.clock);
        let provided = RegisteredProvider::register(plugins, &config.name, provider);
        Spec { config, provided }
    }

    /// An instance of the plugin that `tunnel` names.
    pub(super) async fn load(&self, tunnel: &resolved::Tunnel) -> Result<RegisteredProvider, NotProvided> {
        self.plugins.catalog.check(&tunnel.plugin, Kind::Tunnel)?;
        if let Some(cause) = &self.barred {
            return Err(NotProvided::Barred(cause.clone()));
        }
        let owner = tunnel.process_owner();
        let loaded = self.plugins.loader.load_tunnel(&tunnel.plugin, &owner, None).await?;
        Ok(RegisteredProvider::register(&self.plugins, &tunnel.name, loaded))
    }

    /// Ends that instance's place in the list: it serves no more.
    pub(super) fn retire(&self, registration: RegistrationId) {
        self.plugins.statuses.remove(registration);
    }

    /// Which plugin serves the tunnel from now on. Durable when it returns.
    pub(super) async fn choose(&self, tunnel: &str, plugin: &str) -> Result<(), NotKept> {
        self.plugins.overrides.keep(&tunnel_place(tunnel), plugin).await
    }
}
