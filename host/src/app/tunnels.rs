//! Tunnels: the service beside the page, the page behind each tunnel, and what is remembered of them.

use super::chosen::Chosen;
use super::foundation::Foundation;
use super::loads::Loads;
use super::status::{Registered, Statuses};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_egress::probe::{self, Challenge, Probe, Target};
use nexus_model::limits;
use nexus_model::plugin::Kind;
use nexus_model::tunnel::{Network, Status, Unreached};
use nexus_plugin_traits::TunnelProvider;
use nexus_store::Store;
use nexus_tunnels::{
    Ingress as TunnelIngress, IngressHandle, IngressInfo, Prober, Proof, Provided, Providers, Swapped, Ticket,
    TunnelService, WantedStore,
};
use nexus_web::port::{Reply, TunnelApi};
use nexus_web::{Ingress, WebState, serve};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) struct TunnelAdapter {
    pub(super) service: Arc<TunnelService>,
    pub(super) foundation: Arc<Foundation>,
}

impl TunnelApi for TunnelAdapter {
    fn tunnels(&self) -> watch::Receiver<Vec<Status>> {
        self.service.statuses()
    }
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.service.open(name).await?) }.boxed()
    }
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.service.close(name).await?) }.boxed()
    }
    fn plugins(&self) -> Vec<String> {
        self.foundation.plugins.of_kind(Kind::Tunnel)
    }
    fn swap<'a>(&'a self, name: &'a str, plugin: &'a str) -> Reply<'a, Swapped> {
        async move { Ok(self.service.swap(name, plugin).await?) }.boxed()
    }
}

/// Loads plugins for tunnels, and shows them among all plugins as long as they serve one.
#[derive(Clone)]
pub(super) struct Loading {
    pub(super) foundation: Arc<Foundation>,
    pub(super) statuses: Arc<Statuses>,
    /// Why no tunnel may open.
    pub(super) barred: Option<String>,
}

/// A tunnel of the configuration, served by the plugin that it is given to.
pub(super) fn resolved_with(tunnel: &resolved::Tunnel, plugin: String) -> resolved::Tunnel {
    resolved::Tunnel {
        plugin,
        ..tunnel.clone()
    }
}

impl Loading {
    /// At the start: loaded by and by, and no reason to wait.
    pub(super) fn late(&self, tunnel: &resolved::Tunnel, loads: &Arc<Loads>) -> Provided {
        let barred = self.barred.clone();
        let provider = self.foundation.late_tunnel(tunnel, move || barred.clone());
        provider.prepare(loads.begin());
        self.shown(tunnel, provider)
    }

    /// Compiles the plugin where that was not done yet: no work for a thread of the runtime.
    fn now(&self, tunnel: &resolved::Tunnel) -> anyhow::Result<Provided> {
        if let Some(why) = &self.barred {
            anyhow::bail!("{why}");
        }
        Ok(self.shown(tunnel, self.foundation.tunnel(tunnel)?))
    }

    fn shown(&self, tunnel: &resolved::Tunnel, provider: Arc<dyn TunnelProvider>) -> Provided {
        let ticket = self.statuses.add(Registered {
            tunnel: Some(tunnel.name.clone()),
            ..Registered::of(&provider)
        });
        Provided { provider, ticket }
    }
}

impl Providers for Loading {
    fn load<'a>(&'a self, tunnel: &'a resolved::Tunnel) -> BoxFuture<'a, Result<Provided, String>> {
        async move {
            self.foundation.plugins.check(&tunnel.plugin, Kind::Tunnel)?;
            let (loading, wanted) = (self.clone(), tunnel.clone());
            let loaded = tokio::task::spawn_blocking(move || loading.now(&wanted)).await;
            loaded.map_err(|e| e.to_string())?.map_err(|e| format!("{e:#}"))
        }
        .boxed()
    }
    fn retire(&self, _: &resolved::Tunnel, ticket: Ticket) {
        self.statuses.remove(ticket);
    }
}

/// This host's look at itself.
#[derive(Default)]
pub(super) struct Looking(Probe);

fn target<'a>(how: &resolved::Probe, url: &'a str) -> Target<'a> {
    let at = match how {
        resolved::Probe::At(at) => Some(*at),
        resolved::Probe::Public | resolved::Probe::Off => None,
    };
    Target { url, at }
}

fn challenge(proof: &Proof) -> Result<Challenge, String> {
    let nonce = proof.nonce().map_err(|error| error.to_string())?;
    let answer = proof.answer(&nonce).unwrap_or_default();
    Ok(Challenge { nonce, answer })
}

impl Prober for Looking {
    fn plain<'a>(
        &'a self,
        how: &'a resolved::Probe,
        url: &'a str,
        proof: &'a Proof,
    ) -> BoxFuture<'a, Result<Duration, Unreached>> {
        async move { self.0.plain(target(how, url), &|| challenge(proof)).await }.boxed()
    }
    fn own<'a>(&'a self, listener: SocketAddr, url: &'a str, proof: &'a Proof) -> BoxFuture<'a, bool> {
        async move {
            let challenges = || challenge(proof);
            let answers = probe::own(listener, url, &challenges);
            timeout(limits::PROBE / 2, answers).await.unwrap_or(false)
        }
        .boxed()
    }
    fn whole<'a>(
        &'a self,
        how: &'a resolved::Probe,
        url: &'a str,
        proof: &'a Proof,
    ) -> BoxFuture<'a, Result<(), Unreached>> {
        async move {
            let (target, challenges) = (target(how, url), || challenge(proof));
            self.0.plain(target, &challenges).await?;
            // The plain one came through: these say nothing more of the network.
            let answered = |why| Unreached {
                why,
                network: Network::Answered,
            };
            self.0.streamed(target, &challenges).await.map_err(answered)?;
            self.0.socket(target, &challenges).await.map_err(answered)
        }
        .boxed()
    }
}

/// What is remembered of tunnels: whether they are to be open (`tunnel.NAME.wanted`), and the plugin that took over
/// (`tunnel.NAME.plugin`).
pub(super) struct Wanted {
    store: Store,
    chosen: Arc<Chosen>,
    tunnels: Vec<String>,
}

impl Wanted {
    pub(super) fn new(store: Store, chosen: Arc<Chosen>, tunnels: Vec<String>) -> Self {
        Self { store, chosen, tunnels }
    }
}

/// `tunnel.main`, in the database.
pub(super) fn place_of(tunnel: &str) -> String {
    format!("tunnel.{tunnel}")
}

fn flag(tunnel: &str) -> String {
    format!("tunnel.{tunnel}.wanted")
}

impl WantedStore for Wanted {
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, bool>, String>> {
        async move {
            let mut wanted = BTreeMap::new();
            for name in &self.tunnels {
                match self.store.flag(&flag(name)).await {
                    Ok(Some(is)) => drop(wanted.insert(name.clone(), is)),
                    Ok(None) => {}
                    // One that stays closed can be opened; all that stay closed with it would be a host that does not start.
                    Err(error) => tracing::warn!(
                        tunnel = name,
                        %error,
                        "it cannot be read whether the tunnel was open: it stays closed until it is started"
                    ),
                }
            }
            Ok(wanted)
        }
        .boxed()
    }
    fn choose<'a>(&'a self, tunnel: &'a str, plugin: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async move { self.chosen.keep(&place_of(tunnel), plugin).await }.boxed()
    }
    fn save<'a>(&'a self, tunnel: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), String>> {
        async move {
            self.store
                .set_flag(&flag(tunnel), wanted)
                .await
                .map_err(|e| e.to_string())
        }
        .boxed()
    }
}

/// Serves the page on a tunnel's own listener.
pub(super) struct PageIngress(watch::Receiver<Option<WebState>>);

impl PageIngress {
    /// `web` is filled as soon as there is a page.
    pub(super) fn new(web: watch::Receiver<Option<WebState>>) -> Self {
        Self(web)
    }
}

impl TunnelIngress for PageIngress {
    fn open<'a>(&'a self, tunnel: &'a str, info: IngressInfo) -> BoxFuture<'a, Result<IngressHandle, String>> {
        async move {
            // A tunnel that was open before the restart may be quicker than the page by a moment.
            let mut made = self.0.clone();
            let made = made.wait_for(Option::is_some).await;
            let web = made.ok().and_then(|web| web.clone());
            let web = web.ok_or("Nexus did not start, so there is no page")?;
            let ingress = Ingress::Tunnel {
                name: tunnel.to_owned(),
                hosts: info.hosts,
                client_address_header: info.client_address_header,
                https: info.https,
                proof: info.proof,
                moved: info.moved,
                sockets: info.sockets,
            };
            let closing = CancellationToken::new();
            let page = tokio::spawn(serve(info.listener, ingress, web, closing.clone()));
            let (stop, stopped) = oneshot::channel();
            let done = tokio::spawn(async move {
                // Sent or dropped: both mean the end.
                let _ = stopped.await;
                closing.cancel();
                let _ = page.await;
            });
            Ok(IngressHandle::new(stop, async { drop(done.await) }.boxed()))
        }
        .boxed()
    }
}
