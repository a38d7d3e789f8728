//! What the service needs from the rest of the host, and what it is given to serve.

use crate::origin_listener::ListenerServer;
use crate::public_checker::PublicChecker;
use crate::wanted_tunnels::WantedTunnels;
use nexus_config::resolved;
use nexus_model::activity::Activity;
use nexus_model::plugin::Kind;
use nexus_model::time::Clock;
use nexus_plugin_traits::{StopProcesses, TunnelProvider};
use nexus_registry::{Plugins, Registered, Ticket, tunnel_place};
use nexus_store::Store;
use std::sync::Arc;
use tokio::sync::watch;

/// An instance of a plugin that serves a tunnel, as it stands among all plugins.
#[derive(Clone)]
pub struct Provided {
    pub(super) provider: Arc<dyn TunnelProvider>,
    pub(super) ticket: Ticket,
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

/// A tunnel of the configuration and the plugin that opens it.
#[derive(Clone)]
pub struct Spec {
    pub config: resolved::Tunnel,
    pub provided: Provided,
}

/// What the service needs from the rest of the host.
#[derive(Clone)]
pub struct Dependencies {
    pub listener_server: Arc<dyn ListenerServer>,
    /// Whether an owner account exists. No tunnel opens before.
    pub has_account: watch::Receiver<bool>,
    /// Keeps which tunnels are wanted.
    pub store: Store,
    /// NoticedBy [`resolved::Tunnel::process_owner`]: for what a plugin that crashed has left behind.
    pub stop_processes: StopProcesses,
    pub plugins: Plugins,
    /// Why no plugin may be loaded for a tunnel, where that is so: a sentence.
    pub barred: Option<String>,
    pub checker: Arc<dyn PublicChecker>,
    pub activity: Arc<dyn Activity>,
    pub clock: Arc<dyn Clock>,
}

impl Dependencies {
    pub(super) fn wanted(&self) -> WantedTunnels {
        WantedTunnels::new(self.store.clone())
    }

    /// An instance of the plugin that `tunnel` names. `Err`: a sentence for the operator.
    pub(super) async fn load(&self, tunnel: &resolved::Tunnel) -> Result<Provided, String> {
        self.plugins.catalog.check(&tunnel.plugin, Kind::Tunnel)?;
        if let Some(why) = &self.barred {
            return Err(why.clone());
        }
        let owner = tunnel.process_owner();
        let loaded = self.plugins.loader.load_tunnel(&tunnel.plugin, &owner).await?;
        Ok(Provided::register(&self.plugins, &tunnel.name, loaded))
    }

    /// That instance serves no more.
    pub(super) fn retire(&self, ticket: Ticket) {
        self.plugins.statuses.remove(ticket);
    }

    /// Which plugin serves the tunnel from now on. Durable when it returns. `Err`: a sentence for the operator.
    pub(super) async fn choose(&self, tunnel: &str, plugin: &str) -> Result<(), String> {
        self.plugins.overrides.keep(&tunnel_place(tunnel), plugin).await
    }
}
