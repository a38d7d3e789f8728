//! The way in: what the web layer is told about a tunnel's own listener.
//!
//! The service binds the listener and the web layer serves it. So "came through this tunnel" is known by the socket a
//! request arrived on, never by something the request says about itself.

use futures::future::BoxFuture;
use std::collections::BTreeSet;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// What the outside of a tunnel looks like now. It changes while the listener is open: an address comes late, and may
/// come again with another value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Public {
    /// The configured names and, once known, that of the URL. Lower case, without a port.
    pub hosts: BTreeSet<String>,
    /// The browser sees TLS: cookies are `Secure`, and the origin is `https://…`.
    pub https: bool,
    pub url: Option<String>,
}

impl Public {
    /// Whether a request with this `Host` may come in. The port is not compared: the edge decides it.
    pub fn allows(&self, host: &str) -> bool {
        self.hosts.contains(&host_name(host))
    }
}

/// A `Host` or authority without port and trailing dot, in lower case.
pub(super) fn host_name(authority: &str) -> String {
    let name = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A listener and the policy that belongs to it.
#[derive(Debug)]
pub struct IngressInfo {
    /// Bound to loopback.
    pub listener: TcpListener,
    pub public: watch::Receiver<Public>,
    /// Lower case. None: every request counts as coming from the tunnel itself.
    pub client_address_header: Option<String>,
}

/// Where the web layer takes over.
pub trait Ingress: Send + Sync + 'static {
    /// Serves the listener until the handle is closed or dropped. `Err`: a sentence for the operator.
    fn open<'a>(&'a self, tunnel: &'a str, ingress: IngressInfo) -> BoxFuture<'a, Result<IngressHandle, String>>;
}

/// An open way in.
pub struct IngressHandle {
    stop: Option<oneshot::Sender<()>>,
    done: BoxFuture<'static, ()>,
}

impl IngressHandle {
    /// `stop` ends the listener when it is sent or dropped; `done` completes when no request runs any more.
    pub fn new(stop: oneshot::Sender<()>, done: BoxFuture<'static, ()>) -> Self {
        Self { stop: Some(stop), done }
    }

    /// No new requests; returns when the running ones are through.
    pub async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.done.await;
    }
}

impl std::fmt::Debug for IngressHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IngressHandle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_its_port() {
        let public = Public {
            hosts: ["bore.pub".to_owned(), "::1".to_owned()].into(),
            ..Public::default()
        };
        for host in ["bore.pub", "bore.pub:4711", "BORE.pub.", "[::1]:80"] {
            assert!(public.allows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "bore.pub.evil.example",
            "evil.example:bore.pub",
            "127.0.0.1:80",
        ] {
            assert!(!public.allows(host), "{host}");
        }
    }
}
