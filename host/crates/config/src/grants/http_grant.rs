//! One server that requests may go to, and whether an address is one of it. This is the only place that decides it: the gate
//! asks [`HttpGrant::admits`] before a request, and the client asks it again before it sends.
//!
//! A URL is read by `url`, the parser of the client itself, so that what is compared is where the request goes. In a
//! configuration and a manifest, where people read what they grant, the host must be written as that parser writes it.
//!
//! A server may be a unix socket: `http+unix://` and its path, percent-encoded, in place of the host, as other clients have it.

use crate::written_url::{host_name, written_url};
use nexus_model::address::{is_global, is_loopback_host, literal};
use nexus_plugin_api::text;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use url::{Host, Position, Url};

/// `HttpGrant` is a server: `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`,
/// `http+unix://%2Frun%2Fexample.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    server: Server,
    /// `private`: addresses that are not global (loopback, private) are refused unless this is set.
    pub private: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Server {
    Host {
        scheme: HttpScheme,
        host: HostPattern,
        port: u16,
    },
    /// `Socket` is the absolute path of a unix socket.
    Socket(PathBuf),
}

/// `SOCKET_SCHEME` is that of a URL whose host is the path of a socket.
pub const SOCKET_SCHEME: &str = "http+unix";
/// `SOCKET_PATH` is how many bytes of a path the address of a socket has room for on Linux.
const SOCKET_PATH: usize = 107;
/// `PATH` are the characters that are encoded where a path is written as a host.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpScheme {
    Http,
    Https,
}

/// `HostPattern` is one host, or all that are below one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exactly(Host),
    /// `*.example.org` is what lies below it, not `example.org` and not `badexample.org`.
    Below(String),
}

impl HttpScheme {
    fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn own_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl HostPattern {
    /// Reads a host as `url` gives it.
    fn of(host: Host<&str>) -> Result<Self, String> {
        let Host::Domain(name) = host else {
            return Ok(Self::Exactly(host.to_owned()));
        };
        let (star, plain) = match name.strip_prefix("*.") {
            Some(plain) => (true, plain),
            None => (false, name),
        };
        if plain.contains('*') {
            return Err("`*` is only allowed at the front, for whole labels: https://*.example.org".to_owned());
        }
        match host_name(plain)? {
            host if !star => Ok(Self::Exactly(host)),
            Host::Domain(domain) if domain.contains('.') => Ok(Self::Below(domain)),
            host => Err(format!(
                "`*.{host}` is too wide: name at least two labels after the star"
            )),
        }
    }

    fn admits(&self, host: Host<&str>) -> bool {
        match (self, host) {
            (Self::Exactly(Host::Domain(own)), Host::Domain(name)) => own == unrooted(name),
            (Self::Exactly(own), host) => *own == host,
            (Self::Below(domain), Host::Domain(name)) => unrooted(name)
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            (Self::Below(_), Host::Ipv4(_) | Host::Ipv6(_)) => false,
        }
    }

    /// What both allow.
    fn intersect(&self, other: &Self) -> Option<Self> {
        let covers = |wide: &Self, narrow: &Self| match narrow {
            _ if wide == narrow => true,
            Self::Exactly(Host::Domain(name)) => wide.admits(Host::Domain(name)),
            Self::Exactly(_) => false,
            Self::Below(domain) => wide.admits(Host::Domain(&format!("*.{domain}"))),
        };
        if covers(self, other) {
            Some(other.clone())
        } else {
            covers(other, self).then(|| self.clone())
        }
    }
}

/// `unrooted` is a name without the dot that ends a fully qualified one.
fn unrooted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// `socket_of` is the path of the socket that a URL names.
///
/// # Errors
/// What is wrong with it.
fn socket_of(url: &Url) -> Result<PathBuf, String> {
    let host = url.host_str().unwrap_or_default();
    let path = percent_decode_str(host)
        .decode_utf8()
        .map_err(|_| "the path of the socket is not text")?;
    // It is shown to people, in the lines that grant it too.
    let acts = path.contains(char::is_control) || text::literal(&path) != *path;
    let plain = Path::new(&*path).components().collect::<PathBuf>();
    let odd = |c: Component<'_>| matches!(c, Component::CurDir | Component::ParentDir);
    if !path.starts_with('/') || acts || plain.as_os_str() != &*path || plain.components().any(odd) {
        return Err(format!(
            "{path:?} is not a plain absolute path of a socket; write it percent-encoded, as in \
             {SOCKET_SCHEME}://%2Frun%2Fexample.sock"
        ));
    }
    if path.len() > SOCKET_PATH {
        return Err(format!("the path of a socket has at most {SOCKET_PATH} bytes"));
    }
    if url.port().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("a socket has no port and no user name".to_owned());
    }
    Ok(plain)
}

impl HttpGrant {
    /// Reads `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (url, grant) = Self::read(text)?;
        match &url[Position::BeforePath..] {
            "/" | "" => Ok(grant),
            tail => Err(format!("`{tail}` follows the host, but a grant is for a whole host")),
        }
    }

    /// `of_url` is the grant that a URL needs: its path does not matter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_url(text: &str) -> Result<Self, String> {
        Ok(Self::read(text)?.1)
    }

    fn read(text: &str) -> Result<(Url, Self), String> {
        if let Some(url) = socket_url(text) {
            let server = Server::Socket(socket_of(&url)?);
            return Ok((url, Self { server, private: false }));
        }
        let url = written_url(text)?;
        let (Some(scheme), Some(host)) = (HttpScheme::of(&url), url.host()) else {
            return Err("it has no host".to_owned());
        };
        let server = Server::Host {
            scheme,
            host: HostPattern::of(host)?,
            port: url.port().unwrap_or(scheme.own_port()),
        };
        Ok((url, Self { server, private: false }))
    }

    /// `socket` is the path of the socket, where the server is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.server {
            Server::Socket(path) => Some(path),
            Server::Host { .. } => None,
        }
    }

    /// `with_private` is the same server; `private`: also where it is an address of this machine or its network.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Tells whether a request to `url` goes to this server. A URL with a user name or a password in it never does.
    pub fn admits(&self, url: &Url) -> bool {
        let Server::Host { scheme, host, port } = &self.server else {
            return url.scheme() == SOCKET_SCHEME && socket_of(url).is_ok_and(|path| self.socket() == Some(&path));
        };
        HttpScheme::of(url) == Some(*scheme)
            && url.username().is_empty()
            && url.password().is_none()
            && url.port_or_known_default() == Some(*port)
            && url.host().is_some_and(|found| host.admits(found))
    }

    /// Tells whether both name the same scheme, host and port, or the same socket.
    pub fn same_server(&self, other: &Self) -> bool {
        self.server == other.server
    }

    /// `intersect` is what both allow, with this one's `private`.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let server = match (&self.server, &other.server) {
            (
                Server::Host { scheme, host, port },
                Server::Host {
                    scheme: s,
                    host: h,
                    port: p,
                },
            ) if (scheme, port) == (s, p) => Server::Host {
                scheme: *scheme,
                host: host.intersect(h)?,
                port: *port,
            },
            (Server::Socket(own), Server::Socket(path)) if own == path => self.server.clone(),
            _ => return None,
        };
        Some(Self { server, ..*self })
    }

    /// Tells whether its host is known to be this machine or its network, without a look-up.
    pub(crate) fn is_private(&self) -> bool {
        let Server::Host { host, .. } = &self.server else {
            return false;
        };
        match host {
            HostPattern::Exactly(host) => {
                let host = host.to_string();
                let named = is_loopback_host(&host) || host.ends_with(".localhost");
                named || literal(&host).is_some_and(|ip| !is_global(ip))
            }
            HostPattern::Below(domain) => domain.ends_with(".localhost"),
        }
    }
}

/// As the configuration takes it.
impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match &self.server {
            Server::Host { scheme, host, port } => (scheme, host, port),
            Server::Socket(path) => {
                return write!(f, "{SOCKET_SCHEME}://{}", encoded_path(&path.to_string_lossy()));
            }
        };
        write!(f, "{}://", scheme.word())?;
        match host {
            HostPattern::Exactly(host) => write!(f, "{host}")?,
            HostPattern::Below(domain) => write!(f, "*.{domain}")?,
        }
        if *port == scheme.own_port() {
            return Ok(());
        }
        write!(f, ":{port}")
    }
}

/// `encoded_path` is a path as it is written in the place of a host.
pub(super) fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// `socket_url` is a text with the scheme of a socket, as a URL.
fn socket_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (url.scheme() == SOCKET_SCHEME).then_some(url)
}

#[cfg(test)]
#[path = "http_grant_tests.rs"]
mod tests;
