//! The two ends of a tunnel: the listener behind it, and the public address in front of it.

use super::Actor;
use crate::attempt_end::{AttemptEnd, Pause, accept_plaintext};
use crate::origin_listener::{OpenListener, PublicName, TunnelListener};
use crate::task_channels::ListenerAddress;
use nexus_config::{in_table, resolved};
use nexus_model::address::literal;
use nexus_model::chat::Ext;
use nexus_model::limits;
use nexus_model::tunnel::{Address, Descriptor, Encryption, Liveness, TunnelState, public_address};
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
        let (names, receiver) = watch::channel(self.configured_names());
        let info = TunnelListener {
            listener,
            names: receiver,
            client_address_header: descriptor
                .client_address_header
                .as_ref()
                .map(|name| name.to_ascii_lowercase()),
            public_name_header: descriptor.public_name_header.clone(),
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
        self.listener = Some(OpenListener { address, names, handle });
        self.opened(Some(ListenerAddress {
            address,
            ephemeral: !descriptor.stable_url,
        }));
        Ok(address)
    }

    /// `configured_names` are those of the configuration. Whether a browser sees TLS there is as for what the provider makes.
    fn configured_names(&self) -> Vec<PublicName> {
        let https = match self.encryption() {
            Encryption::Edge | Encryption::Passthrough => true,
            // As the addresses have it: known once one is.
            Encryption::Network => {
                let status = self.publisher.status();
                let status = status.borrow();
                status.url.as_deref().is_none_or(|url| url.starts_with("https:"))
            }
            Encryption::None => false,
        };
        let hosts = self.tunnel.hosts.iter().cloned();
        hosts.map(|host| PublicName { host, https }).collect()
    }

    fn encryption(&self) -> Encryption {
        let descriptor = self.descriptor.as_ref();
        descriptor.map_or(Encryption::None, |descriptor| descriptor.encryption)
    }

    /// Publishes the addresses by which the tunnel is reached from now on.
    pub(super) fn publish(&mut self, reported: Vec<Address>) -> Result<(), AttemptEnd> {
        let mut addresses = Vec::with_capacity(reported.len());
        for Address { url, private } in reported {
            let refused = |cause: &str| AttemptEnd::Fatal {
                cause: format!("the provider reported `{url}` as the public address, but {cause}"),
                fix: None,
            };
            let url = public_address(&url).map_err(refused)?;
            // What the provider's network encrypts, its members alone reach.
            let in_network = private && self.encryption() == Encryption::Network;
            if !url.starts_with("https:") && !in_network && !self.tunnel.allow_plaintext {
                return Err(self.plaintext(format!("the provider reported an address without TLS: {url}")));
            }
            addresses.push(Address { url, private });
        }
        // A cookie without TLS reaches every port of its host, and a login is good for the tunnel as a whole.
        let https = addresses
            .iter()
            .filter(|address| address.url.starts_with("https:"))
            .count();
        if https > 0 && https < addresses.len() {
            return Err(AttemptEnd::Fatal {
                cause: "the provider reported addresses with and without TLS for one tunnel".to_owned(),
                fix: Some("configure a tunnel of its own for each of the two".to_owned()),
            });
        }
        let first = addresses.first().map(|first| first.url.clone());
        let known = first.is_some() && self.publisher.status().borrow().url == first;
        let fresh = match &first {
            Some(_) if known => self.settles.is_some(),
            Some(url) => self.is_made(url),
            None => false,
        };
        if !known {
            self.settles = fresh.then(|| Instant::now() + limits::NAME_SETTLES);
        }
        let always = matches!(self.encryption(), Encryption::Edge | Encryption::Passthrough);
        let own: Vec<_> = addresses
            .iter()
            .filter_map(|address| address.url.split_once("://"))
            .map(|(scheme, host)| PublicName {
                host: host.to_owned(),
                https: always || scheme == "https",
            })
            .collect();
        self.update(|status| (status.url, status.addresses, status.url_propagating) = (first, addresses, fresh));
        if let Some(listener) = &self.listener {
            let mut names = self.configured_names();
            names.extend(own);
            listener.names.send_replace(names);
        }
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

    /// Tells whether neither the provider nor a public check would notice that the connection is dead.
    fn is_unwatched(&self) -> bool {
        let unknown = |descriptor: &Descriptor| descriptor.liveness == Liveness::Unknown;
        let status = self.publisher.status();
        let private = status.borrow().checked_address().is_none();
        let off = self.tunnel.public_check == resolved::PublicCheckMode::Off;
        self.descriptor.as_ref().is_some_and(unknown) && (off || private)
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
            if self.is_unwatched() {
                tracing::warn!(
                    tunnel = self.tunnel.name,
                    "nobody notices when the connection of this tunnel is dead: its program cannot, and Nexus does not \
                     check this address from outside"
                );
            }
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
        self.update(|status| {
            (status.url, status.statistics, status.url_propagating) = (None, None, false);
            (status.addresses, status.ext) = (Vec::new(), Ext::default());
        });
        if let Some(listener) = &self.listener {
            listener.names.send_replace(self.configured_names());
        }
    }

    pub(super) fn opened(&self, listener: Option<ListenerAddress>) {
        *self.channels.listener.lock().unwrap_or_else(PoisonError::into_inner) = listener;
    }
}
