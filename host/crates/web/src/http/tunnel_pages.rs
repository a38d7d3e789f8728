//! The page behind each tunnel.

use crate::{Ingress, WebState, serve};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_tunnels::{ListenerHandle, ListenerServer, NotServed, TunnelListener};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// `TunnelPages` serves the page on a tunnel's own listener.
pub struct TunnelPages(watch::Receiver<Option<WebState>>);

impl TunnelPages {
    /// Takes what is filled as soon as there is a page; until then a tunnel waits with its listener.
    pub fn new(web: watch::Receiver<Option<WebState>>) -> Self {
        Self(web)
    }
}

impl ListenerServer for TunnelPages {
    fn serve<'a>(
        &'a self,
        tunnel: &'a str,
        listener: TunnelListener,
    ) -> BoxFuture<'a, Result<ListenerHandle, NotServed>> {
        async move {
            // A tunnel that was open before the restart may be quicker than the page by a moment.
            let mut made = self.0.clone();
            let made = made.wait_for(Option::is_some).await;
            let web = made.ok().and_then(|web| web.clone());
            let web = web.ok_or_else(|| NotServed("Nexus did not start, so the page is not available".to_owned()))?;
            let ingress = Ingress::Tunnel {
                name: tunnel.to_owned(),
                names: listener.names,
                client_address_header: listener.client_address_header,
                public_name_header: listener.public_name_header,
                proof: listener.secret,
                moved: listener.moved,
                sockets: listener.sockets,
            };
            let closing = CancellationToken::new();
            let page = tokio::spawn(serve(listener.listener, ingress, web, closing.clone()));
            let (stop, stopped) = oneshot::channel();
            let done = tokio::spawn(async move {
                // Sent or dropped: both mean the end.
                let _ = stopped.await;
                closing.cancel();
                let _ = page.await;
            });
            Ok(ListenerHandle::new(stop, async { drop(done.await) }.boxed()))
        }
        .boxed()
    }
}
