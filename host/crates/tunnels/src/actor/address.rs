//! The two ends of a tunnel: the listener behind it, and the public address in front of it.

use super::Actor;
use crate::attempt_end::{AttemptEnd, Pause, accept_plaintext};
use crate::origin_listener::{OpenListener, TunnelListener};
use crate::task_channels::ListenerAddress;
use nexus_config::{in_table, resolved};
use nexus_model::address::literal;
use nexus_model::limits;
use nexus_model::tunnel::{Descriptor, Encryption, TunnelState, public_address};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

impl Actor {
    pub(super) async fn listen(&mut self, descriptor: &Descriptor) -> Result<SocketAddr, AttemptEnd> {
        let wanted = self.tunnel.listen;
        if !wanted.ip().is_loopback() {
            return Err(AttemptEnd::Fatal {
                cause: format!("the listener of the tunnel must be on a loopback address, not {wanted}"),
                fix: Some(self.any_port()),
            });
        }
        let any_port = self.any_port();
        let failed = |error: std::io::Error| AttemptEnd::Retry {
            cause: format!("cannot listen on {wanted}: {error}"),
            fix: Some(format!("stop the program that uses the port, or {any_port}")),
            pause: Pause::Backoff,
        };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (hosts, receiver) = watch::channel(self.tunnel.hosts.clone());
        let info = TunnelListener {
            listener,
            hosts: receiver,
            client_address_header: descriptor
                .client_address_header
                .as_ref()
                .map(|name| name.to_ascii_lowercase()),
            https: descriptor.encryption != Encryption::None,
            secret: self.channels.secret.clone(),
            moved: self.channels.moved.clone(),
            sockets: Arc::clone(&self.channels.sockets),
        };
        let handle = self.listener_server.serve(&self.tunnel.name, info).await;
        let handle = handle.map_err(|error| AttemptEnd::Retry {
            cause: error.to_string(),
            fix: None,
            pause: Pause::Backoff,
        })?;
        self.listener = Some(OpenListener { address, hosts, handle });
        self.opened(Some(ListenerAddress {
            address,
            ephemeral: !descriptor.stable_url,
        }));
        Ok(address)
    }

    pub(super) fn publish(&mut self, url: String) -> Result<(), AttemptEnd> {
        let refused = |cause: &str| AttemptEnd::Fatal {
            cause: format!("the provider reported `{url}` as the public address, but {cause}"),
            fix: None,
        };
        let url = public_address(&url).map_err(refused)?;
        let (scheme, host) = url.split_once("://").unwrap_or_default();
        let host = host.to_owned();
        if scheme == "http" && !self.tunnel.allow_plaintext {
            return Err(self.plaintext(format!("the provider reported an address without TLS: {url}")));
        }
        if let Some(listener) = &self.listener {
            let mut hosts = self.tunnel.hosts.clone();
            hosts.push(host);
            listener.hosts.send_replace(hosts);
        }
        let known = self.publisher.status().borrow().url.as_ref() == Some(&url);
        let fresh = if known {
            self.settles.is_some()
        } else {
            self.is_made(&url)
        };
        if !known {
            self.settles = fresh.then(|| Instant::now() + limits::NAME_SETTLES);
        }
        self.update(|status| (status.url, status.url_propagating) = (Some(url), fresh));
        Ok(())
    }

    /// Tells whether the name in an address was made for this run alone. A provider that makes names serves them on the
    /// usual port; with a port of its own, or digits, it is a server's lasting name. Who says where this machine finds
    /// the name (`public_check`) asks no resolver.
    pub(super) fn is_made(&self, url: &str) -> bool {
        let ephemeral = self
            .descriptor
            .as_ref()
            .is_some_and(|descriptor| !descriptor.stable_url);
        let name = url.parse::<http::Uri>().ok().and_then(|uri| {
            let host = uri.host()?.to_owned();
            (uri.port().is_none() && literal(&host).is_none()).then_some(host)
        });
        ephemeral && name.is_some() && !matches!(self.tunnel.public_check, resolved::PublicCheckMode::At(_))
    }

    /// Notes that an address that was made just now is old enough to be given out.
    pub(super) fn settled(&mut self) {
        self.settles = None;
        self.update(|status| status.url_propagating = false);
        self.log_open();
    }

    /// Logs the address, once for each: whoever has only the terminal learns it there.
    pub(super) fn log_open(&mut self) {
        let status = self.publisher.status().borrow().clone();
        let (TunnelState::Up { .. }, Some(url), false) = (status.state, status.url, status.url_propagating) else {
            return;
        };
        self.said = None;
        if self.logged.as_ref() != Some(&url) {
            tracing::info!(tunnel = self.tunnel.name, url, "the tunnel is open");
            self.logged = Some(url);
        }
    }

    pub(super) fn plaintext(&mut self, cause: String) -> AttemptEnd {
        self.refused = true;
        AttemptEnd::Fatal {
            cause,
            fix: Some(accept_plaintext(&self.tunnel.name)),
        }
    }

    fn any_port(&self) -> String {
        in_table(&format!("tunnel.{}", self.tunnel.name), "listen = \"127.0.0.1:0\"")
    }

    pub(super) fn forget_url(&mut self) {
        self.settles = None;
        self.update(|status| (status.url, status.statistics, status.url_propagating) = (None, None, false));
        if let Some(listener) = &self.listener {
            listener.hosts.send_replace(self.tunnel.hosts.clone());
        }
    }

    pub(super) fn opened(&self, listener: Option<ListenerAddress>) {
        *self.channels.listener.lock().unwrap_or_else(PoisonError::into_inner) = listener;
    }
}
