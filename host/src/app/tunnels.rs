//! Tunnels: the service beside the page, the page behind each tunnel, and what is remembered of them.

use crate::model::tunnel::Status;
use crate::services::tunnel::{
    Ingress as TunnelIngress, IngressHandle, IngressInfo, TunnelError, TunnelService, WantedStore,
};
use crate::store::Store;
use crate::web::port::{ApiError, Reply, TunnelApi};
use crate::web::{Ingress, WebState, serve};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

pub(super) struct TunnelAdapter(pub(super) Arc<TunnelService>);

impl From<TunnelError> for ApiError {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Unknown(..) => Self::NotFound(error.to_string()),
            TunnelError::Store(text) => Self::Unavailable(text),
        }
    }
}

impl TunnelApi for TunnelAdapter {
    fn tunnels(&self) -> watch::Receiver<Vec<Status>> {
        self.0.statuses()
    }
    fn start<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.open(name).await?) }.boxed()
    }
    fn stop<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.close(name).await?) }.boxed()
    }
}

/// Which tunnels are to be open, as flags `tunnel.NAME.wanted` of the database.
pub(super) struct Wanted {
    store: Store,
    names: Vec<String>,
}

impl Wanted {
    pub(super) fn new(store: Store, names: Vec<String>) -> Self {
        Self { store, names }
    }
}

fn flag(tunnel: &str) -> String {
    format!("tunnel.{tunnel}.wanted")
}

impl WantedStore for Wanted {
    fn load(&self) -> BoxFuture<'_, Result<BTreeMap<String, bool>, String>> {
        async move {
            let mut wanted = BTreeMap::new();
            for name in &self.names {
                if let Some(is) = self.store.flag(&flag(name)).await.map_err(|e| e.to_string())? {
                    wanted.insert(name.clone(), is);
                }
            }
            Ok(wanted)
        }
        .boxed()
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
pub(super) struct PageIngress(Arc<OnceLock<WebState>>);

impl PageIngress {
    /// `web` is filled before any account can be found to exist, and so before a tunnel opens.
    pub(super) fn new(web: Arc<OnceLock<WebState>>) -> Self {
        Self(web)
    }
}

impl TunnelIngress for PageIngress {
    fn open<'a>(&'a self, tunnel: &'a str, info: IngressInfo) -> BoxFuture<'a, Result<IngressHandle, String>> {
        async move {
            // A tunnel that was open before the restart may be quicker than the page by a moment.
            let web = loop {
                match self.0.get() {
                    Some(web) => break web.clone(),
                    None => tokio::task::yield_now().await,
                }
            };
            let ingress = Ingress::Tunnel {
                name: tunnel.to_owned(),
                hosts: info.hosts,
                client_address_header: info.client_address_header,
                https: info.https,
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
