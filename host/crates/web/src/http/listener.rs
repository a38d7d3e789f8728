//! Where a request came in: the loopback listener, or the listener of one tunnel. Each has its own list of host
//! names, its own way to know the client's address and its own cookies; "came through this tunnel" is a fact of
//! the socket, never of a header.

use http::HeaderMap;
use nexus_model::address::is_loopback_host;
use nexus_process::connection_owner::{self, Holder};
use nexus_tunnels::{OriginSecret, PublicName, Relocation};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

/// `Ingress` is a listener and its rules.
#[derive(Debug, Clone)]
pub enum Ingress {
    /// `Control` is the control socket: the operator, at this machine.
    Control,
    /// `Local` is the page's own listener, on loopback or, with `insecure_listen`, on a network.
    Local {
        /// `hosts` are names besides `localhost` and loopback addresses: `name`, or `name:port`.
        hosts: Vec<String>,
        /// `public_url` is the address as a browser sees it through a reverse proxy: scheme and authority.
        public_url: Option<String>,
    },
    /// `Tunnel` is the listener of one tunnel.
    Tunnel {
        /// `name` is the `NAME` of `[tunnel.NAME]`.
        name: String,
        /// `names` are those by which it is reached. They grow when the provider states its addresses.
        names: watch::Receiver<Vec<PublicName>>,
        /// `client_address_header` is in lower case; the provider sets it and clears a client's own.
        client_address_header: Option<String>,
        /// `public_name_header` is in lower case; the provider sets it to the name by which the client came, and clears a
        /// client's own. `None`: that is in `Host`.
        public_name_header: Option<String>,
        /// `proof` answers this host's own public check.
        proof: OriginSecret,
        /// `moved` is set when the listener closes soon, and says where its clients are to go.
        moved: watch::Receiver<Option<Relocation>>,
        /// `sockets` counts the live sockets that are open through it.
        sockets: Arc<watch::Sender<usize>>,
    },
}

/// `Connection` is one accepted connection; [`super::server`] puts it into every request's extensions.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `ingress` is the listener that it came to.
    pub ingress: Arc<Ingress>,
    /// `peer` is the address at its other end; behind a tunnel that is the tunnel's program.
    pub peer: SocketAddr,
    /// `closing` is cancelled when the listener shuts down; live sockets close then.
    pub closing: CancellationToken,
    /// `taken` counts the bytes that the system has taken for the client so far.
    taken: Arc<AtomicU64>,
    /// `port` is the listener's; `None`: this connection is not by TCP.
    port: Option<u16>,
    holder: Arc<OnceCell<Holder>>,
}

/// `Counting` is a connection's stream, which counts what is taken of it.
pub(crate) struct Counting<S> {
    stream: S,
    taken: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Counting<S> {
    fn count(&self, written: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.taken
                .fetch_add(u64::try_from(*bytes).unwrap_or(0), Ordering::Relaxed);
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(written)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.count(written)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// `SiteContext` is what a request's Host header means at its ingress; it is present only where that was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteContext {
    /// `origin` is `https://…` or `http://127.0.0.1:7860`: what `Origin` must say.
    pub origin: String,
    /// `secure`: there is TLS on the browser's side.
    pub secure: bool,
    /// `loopback`: it is reached by a loopback name, from this machine, not through a tunnel.
    pub loopback: bool,
    /// `place` is what a login is bound to here.
    pub place: Place,
}

/// `Place` is what a login is bound to: a cookie on plain HTTP reaches every port of its host name, so a token that was
/// caught at one place must be worth nothing at another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `Loopback` is this machine's own loopback.
    Loopback,
    /// `Host` is a name of `hosts`, or `public_url`: in lower case, without the port.
    Host(String),
    /// `Tunnel` is a tunnel's listener, under whatever name.
    Tunnel(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Tunnel(name) => write!(f, "tunnel {name}"),
        }
    }
}

/// `Authority` is a Host header, split. Ports are compared only where the list names one.
#[derive(Debug, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl FromStr for Authority {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let authority: http::uri::Authority = text.parse().map_err(|_| ())?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(());
        }
        // `Authority::port` is silent about a port that is no number.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => None,
            Some(rest) => Some(rest.trim_start_matches(':').parse().map_err(|_| ())?),
            None => return Err(()),
        };
        Ok(Self {
            host: authority.host().trim_end_matches('.').to_ascii_lowercase(),
            port,
        })
    }
}

impl Authority {
    fn is_in(&self, list: &[String]) -> bool {
        list.iter()
            .filter_map(|entry| entry.parse::<Self>().ok())
            .any(|entry| entry.host == self.host && (entry.port.is_none() || entry.port == self.port))
    }
}

impl Connection {
    /// Makes a connection that no listener has accepted, for tests and previews of the page.
    pub fn new(ingress: Ingress, peer: SocketAddr) -> Self {
        Self::accepted(Arc::new(ingress), peer, CancellationToken::new())
    }

    pub(crate) fn accepted(ingress: Arc<Ingress>, peer: SocketAddr, closing: CancellationToken) -> Self {
        Self {
            ingress,
            peer,
            closing,
            taken: Arc::default(),
            port: None,
            holder: Arc::default(),
        }
    }

    /// Notes that it is by TCP, to this port of this machine.
    pub(crate) fn at_port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    /// `holder` says who holds the other end of a connection from this machine, by whichever of its addresses; it is asked
    /// once.
    pub(crate) async fn holder(&self) -> Holder {
        let Some(port) = self.port else {
            return Holder::default();
        };
        let peer = self.peer;
        let look = || async move {
            let found = tokio::task::spawn_blocking(move || connection_owner::of(peer, port)).await;
            found.unwrap_or_default()
        };
        self.holder.get_or_init(look).await.clone()
    }

    /// Notes who holds the other end, without looking.
    #[cfg(test)]
    pub(crate) fn at_other_end(mut self, holder: Holder) -> Self {
        self.port = Some(0);
        self.holder = Arc::new(OnceCell::new_with(Some(holder)));
        self
    }

    /// `counting` is the stream that this connection is, counted.
    pub(crate) fn counting<S>(&self, stream: S) -> Counting<S> {
        let taken = Arc::clone(&self.taken);
        Counting { stream, taken }
    }

    /// `taken` counts the bytes that the system has taken for the client so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// `site` is what `host` means, if this listener answers to it. Anything else is another page's try to reach a
    /// private address by a name of its own (DNS rebinding).
    pub fn site(&self, host: &str) -> Option<SiteContext> {
        if matches!(self.ingress.as_ref(), Ingress::Control) {
            return Some(SiteContext::new(false, "nexus", Place::Loopback));
        }
        let authority: Authority = host.parse().ok()?;
        match self.ingress.as_ref() {
            Ingress::Control => None,
            Ingress::Local { hosts, public_url } => {
                let public = public_url.as_deref().and_then(|url| url.split_once("://"));
                if let Some((scheme, name)) = public
                    && let name = name.trim_end_matches('/')
                    && let Ok(public) = name.parse::<Authority>()
                    && public.host == authority.host
                    && (public.port.is_none() || authority.port.is_none() || public.port == authority.port)
                {
                    let secure = scheme.eq_ignore_ascii_case("https");
                    // Many a proxy passes the name on without the port.
                    let host = if public.port.is_some() { name } else { host };
                    return Some(SiteContext::new(secure, host, Place::Host(authority.host)));
                }
                let loopback = is_loopback_host(&authority.host);
                let place = if loopback && self.peer.ip().is_loopback() {
                    Place::Loopback
                } else {
                    Place::Host(authority.host.clone())
                };
                (loopback || authority.is_in(hosts)).then(|| SiteContext::new(false, host, place))
            }
            Ingress::Tunnel { names, name, .. } => {
                let names = names.borrow();
                let own = names
                    .iter()
                    .find(|own| authority.is_in(std::slice::from_ref(&own.host)))?;
                Some(SiteContext::new(own.https, host, Place::Tunnel(name.clone())))
            }
        }
    }

    /// `host` is the name by which the client came: what the tunnel's provider states, else the Host header, or the authority
    /// of the request itself. A page on this machine's own network could send the provider's header as well, so it is used
    /// only beside the Host that a provider puts there: the listener's own address, or a name of the tunnel.
    pub fn host<'a>(&self, headers: &'a HeaderMap, uri: &'a http::Uri) -> &'a str {
        let text = |value: &'a http::HeaderValue| value.to_str().ok();
        let host = headers.get(http::header::HOST).and_then(text);
        let host = host
            .or_else(|| uri.authority().map(http::uri::Authority::as_str))
            .unwrap_or_default();
        let Ingress::Tunnel {
            public_name_header: Some(header),
            names,
            ..
        } = self.ingress.as_ref()
        else {
            return host;
        };
        let mut stated = headers.get_all(header).iter();
        match (stated.next().map(text), stated.next()) {
            (None, _) => host,
            (Some(Some(stated)), None) => {
                let of_the_provider = host.parse().is_ok_and(|host: Authority| {
                    is_loopback_host(&host.host)
                        || names
                            .borrow()
                            .iter()
                            .any(|own| host.is_in(std::slice::from_ref(&own.host)))
                });
                if of_the_provider { stated } else { host }
            }
            // Several: one of them is the client's.
            _ => "",
        }
    }

    /// `client_address` is what the tunnel's provider states, else the peer's address.
    pub fn client_address(&self, headers: &HeaderMap) -> IpAddr {
        let stated = match self.ingress.as_ref() {
            Ingress::Tunnel {
                client_address_header: Some(name),
                ..
            } => headers.get(name),
            _ => None,
        };
        stated
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or_else(|| self.peer.ip())
    }

    /// Tells whether it came by the control socket.
    pub fn is_operator(&self) -> bool {
        matches!(self.ingress.as_ref(), Ingress::Control)
    }

    /// `tunnel` is the name of the tunnel that it came through.
    pub fn tunnel(&self) -> Option<&str> {
        match self.ingress.as_ref() {
            Ingress::Tunnel { name, .. } => Some(name),
            Ingress::Local { .. } | Ingress::Control => None,
        }
    }

    /// Waits until the client has to go elsewhere, and says where, if that is known; for ever where that does not
    /// happen.
    pub async fn moved(&self) -> Relocation {
        if let Ingress::Tunnel { moved, .. } = self.ingress.as_ref()
            && let Ok(leaving) = moved.clone().wait_for(Option::is_some).await
            && let Some(leaving) = leaving.clone()
        {
            return leaving;
        }
        std::future::pending().await
    }

    /// `moved_now` is as [`Self::moved`], without waiting: the new address.
    pub fn moved_now(&self) -> Option<String> {
        match self.ingress.as_ref() {
            Ingress::Tunnel { moved, .. } => moved.borrow().as_ref().and_then(|leaving| leaving.url.clone()),
            Ingress::Local { .. } | Ingress::Control => None,
        }
    }

    /// Counts a live socket as long as the result lives; `None`: it came through no tunnel.
    pub fn count_socket(&self) -> Option<Counted> {
        match self.ingress.as_ref() {
            Ingress::Tunnel { sockets, .. } => {
                sockets.send_modify(|open| *open += 1);
                Some(Counted(Arc::clone(sockets)))
            }
            Ingress::Local { .. } | Ingress::Control => None,
        }
    }
}

/// `Counted` is one live socket of a tunnel.
pub struct Counted(Arc<watch::Sender<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl SiteContext {
    fn new(secure: bool, host: &str, place: Place) -> Self {
        let scheme = if secure { "https" } else { "http" };
        Self {
            origin: format!("{scheme}://{}", host.to_ascii_lowercase()),
            secure,
            loopback: place == Place::Loopback,
            place,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn local(hosts: &[&str], public_url: Option<&str>) -> Connection {
        let hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
        let ingress = Ingress::Local {
            hosts,
            public_url: public_url.map(str::to_owned),
        };
        Connection::new(ingress, "127.0.0.1:50000".parse().unwrap())
    }

    #[test]
    fn loopback_names_are_answered_and_others_are_not() {
        let plain = local(&[], None);
        for host in [
            "localhost",
            "localhost:7860",
            "127.0.0.1:7860",
            "127.8.8.8",
            "[::1]:7860",
            "LOCALHOST.",
        ] {
            assert!(plain.site(host).is_some_and(|s| s.loopback && !s.secure), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "a@localhost",
            "",
            "localhost:x",
            "[::2]",
        ] {
            assert_eq!(plain.site(host), None, "{host}");
        }
    }

    #[test]
    fn configured_names_are_not_loopback_and_a_named_port_is_part_of_them() {
        let connection = local(&["box.lan", "other.lan:81"], Some("https://chat.example"));
        assert!(connection.site("box.lan:7860").is_some_and(|s| !s.loopback));
        assert!(connection.site("other.lan:81").is_some());
        assert_eq!(
            connection.site("Box.lan:7860").unwrap().place.to_string(),
            "host box.lan"
        );
        assert_eq!(
            connection.site("chat.example").unwrap().place.to_string(),
            "host chat.example"
        );
        assert_eq!(connection.site("localhost:7860").unwrap().place, Place::Loopback);
        assert_eq!(connection.site("other.lan:82"), None);
        assert_eq!(connection.site("chat.example").unwrap().origin, "https://chat.example");
    }

    fn tunnel(names: &[(&str, bool)], public_name_header: Option<&str>) -> Connection {
        let name = |(host, https): &(&str, bool)| PublicName {
            host: (*host).to_owned(),
            https: *https,
        };
        let ingress = Ingress::Tunnel {
            name: "main".into(),
            names: watch::channel(names.iter().map(name).collect()).1,
            client_address_header: Some("cf-connecting-ip".into()),
            public_name_header: public_name_header.map(str::to_owned),
            proof: OriginSecret::random(),
            moved: watch::Sender::new(None).subscribe(),
            sockets: Arc::default(),
        };
        Connection::new(ingress, "127.0.0.1:50000".parse().unwrap())
    }

    #[test]
    fn a_tunnel_has_several_names_each_with_or_without_tls() {
        let tunnel = tunnel(&[("a.example", true), ("100.64.0.7:8080", false)], None);
        let origin = |host| tunnel.site(host).map(|site| (site.origin, site.secure));
        assert_eq!(origin("a.example"), Some(("https://a.example".to_owned(), true)));
        assert_eq!(
            origin("100.64.0.7:8080"),
            Some(("http://100.64.0.7:8080".to_owned(), false))
        );
        assert_eq!(origin("100.64.0.7:8081"), None);
        assert_eq!(origin("b.example"), None);
    }

    #[test]
    fn only_the_tunnels_own_header_says_the_public_name() {
        let (own, plain) = (
            tunnel(&[("t.example", true)], Some("x-public")),
            tunnel(&[("t.example", true)], None),
        );
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost".parse().unwrap());
        headers.insert("x-forwarded-host", "t.example".parse().unwrap());
        let uri = "/".parse().unwrap();
        for connection in [&own, &plain] {
            assert_eq!(connection.host(&headers, &uri), "localhost");
        }
        headers.insert("x-public", "t.example".parse().unwrap());
        assert_eq!(own.host(&headers, &uri), "t.example");
        // A page whose name was bound to this address sends its own name as Host.
        let mut rebound = headers.clone();
        rebound.insert("host", "evil.example:7000".parse().unwrap());
        assert_eq!(own.host(&rebound, &uri), "evil.example:7000");
        assert_eq!(own.site(own.host(&rebound, &uri)), None);
        let mut twice = headers.clone();
        twice.append("x-public", "t.example".parse().unwrap());
        assert_eq!(own.site(own.host(&twice, &uri)), None);
        assert_eq!(plain.host(&headers, &uri), "localhost");
        assert_eq!(local(&[], None).host(&headers, &uri), "localhost");
    }

    #[test]
    fn only_the_tunnels_own_header_says_the_clients_address() {
        let tunnel = tunnel(&[("t.example", true)], None);
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        assert_eq!(tunnel.client_address(&headers).to_string(), "127.0.0.1");
        headers.insert("cf-connecting-ip", "203.0.113.7".parse().unwrap());
        assert_eq!(tunnel.client_address(&headers).to_string(), "203.0.113.7");
        assert_eq!(local(&[], None).client_address(&headers).to_string(), "127.0.0.1");
        assert_eq!(tunnel.site("localhost"), None);
        assert!(tunnel.site("t.example").is_some_and(|s| s.secure && !s.loopback));
    }
}
