//! A tunnel's own listener, and what the web layer is told about it.
//!
//! The service binds the listener and the web layer serves it. So "came through this tunnel" is known by the socket a
//! request arrived on, never by something the request says about itself.

use crate::origin_secret::OriginSecret;
use futures::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// `TunnelListener` is a listener and the policy that belongs to it.
#[derive(Debug)]
pub struct TunnelListener {
    /// `listener` is bound to loopback.
    pub listener: TcpListener,
    /// `names` are those by which it is reached: the configured ones and, once they are known, those of its addresses. They
    /// change while the listener is open: an address comes late, and may come again with another value.
    pub names: watch::Receiver<Vec<PublicName>>,
    /// `client_address_header` is in lower case. `None`: every request counts as coming from the tunnel itself.
    pub client_address_header: Option<String>,
    /// `public_name_header` is in lower case: where the name stands by which the client came. `None`: in `Host`.
    pub public_name_header: Option<String>,
    /// `secret` is what a public check has to be answered with.
    pub secret: OriginSecret,
    /// `moved` is set when this listener closes soon, because another plugin replaces this one.
    pub moved: watch::Receiver<Option<Relocation>>,
    /// `sockets` counts the live sockets that are open through this listener.
    pub sockets: Arc<watch::Sender<usize>>,
}

/// `PublicName` is a name by which a tunnel is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicName {
    /// `host` is `name` or `name:port`, in lower case.
    pub host: String,
    /// `https`: the browser sees TLS, so cookies are `Secure`, and the origin is `https://…`.
    pub https: bool,
}

/// `Relocation` says why clients have to go elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// `url` is where the tunnel leads from now on; `None`: the old plugin has to close before the new one can have an
    /// address.
    pub url: Option<String>,
}

/// `ListenerServer` serves the listeners of tunnels: the web layer does.
pub trait ListenerServer: Send + Sync + 'static {
    /// Serves the listener until the handle is closed or dropped.
    fn serve<'a>(
        &'a self,
        tunnel: &'a str,
        listener: TunnelListener,
    ) -> BoxFuture<'a, Result<ListenerHandle, NotServed>>;
}

/// `NotServed` says why nothing is behind a listener: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotServed(pub String);

/// A listener that is served.
pub struct ListenerHandle {
    stop: Option<oneshot::Sender<()>>,
    done: BoxFuture<'static, ()>,
}

impl ListenerHandle {
    /// `stop` ends the listener when it is sent or dropped; `done` completes when no request runs any more.
    pub fn new(stop: oneshot::Sender<()>, done: BoxFuture<'static, ()>) -> Self {
        Self { stop: Some(stop), done }
    }

    /// Takes no new requests, and returns when the running ones are through.
    pub async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.done.await;
    }
}

impl std::fmt::Debug for ListenerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ListenerHandle")
    }
}

/// `OpenListener` is the listener while it is open. It outlives single runs: the provider's process keeps leading to
/// its port when the plugin crashed and a fresh instance adopts it.
pub(super) struct OpenListener {
    pub(super) address: SocketAddr,
    pub(super) names: watch::Sender<Vec<PublicName>>,
    pub(super) handle: ListenerHandle,
}
