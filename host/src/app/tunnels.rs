//! The page behind each tunnel, and this host's look at itself from a tunnel's public side.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_config::resolved;
use nexus_egress::probe::{self, Challenge, Probe, Target};
use nexus_model::limits;
use nexus_model::tunnel::{Network, Unreached};
use nexus_tunnels::{Ingress as TunnelIngress, IngressHandle, IngressInfo, Prober, Proof};
use nexus_web::{Ingress, WebState, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A tunnel of the configuration, served by the plugin that it is given to.
pub(super) fn resolved_with(tunnel: &resolved::Tunnel, plugin: String) -> resolved::Tunnel {
    resolved::Tunnel {
        plugin,
        ..tunnel.clone()
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
