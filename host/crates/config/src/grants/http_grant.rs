//! One server that requests may go to, and whether an address is one of it. This is the only place that decides it: the gate
//! asks [`HttpGrant::admits`] before a request, and the client asks it again before it sends.
//!
//! A URL is read by `url`, the parser of the client itself, so that what is compared is where the request goes. In a
//! configuration and a manifest, where people read what they grant, the host must be written as that parser writes it.

use crate::written_url::{host_name, written_url};
use nexus_model::address::{is_global, is_loopback_host, literal};
use std::fmt;
use url::{Host, Position, Url};

/// `HttpGrant` is a server: `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    scheme: HttpScheme,
    host: HostPattern,
    port: u16,
    /// `private`: addresses that are not global (loopback, private) are refused unless this is set.
    pub private: bool,
}

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

impl HttpGrant {
    /// Reads `https://api.example.org`, `https://*.example.org`, `http://192.0.2.1:8080`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (url, grant) = Self::read(text)?;
        match &url[Position::BeforePath..] {
            "/" => Ok(grant),
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
        let url = written_url(text)?;
        let (Some(scheme), Some(host)) = (HttpScheme::of(&url), url.host()) else {
            return Err("it has no host".to_owned());
        };
        let grant = Self {
            scheme,
            host: HostPattern::of(host)?,
            port: url.port().unwrap_or(scheme.own_port()),
            private: false,
        };
        Ok((url, grant))
    }

    /// `with_private` is the same server; `private`: also where it is an address of this machine or its network.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Tells whether a request to `url` goes to this server. A URL with a user name or a password in it never does.
    pub fn admits(&self, url: &Url) -> bool {
        HttpScheme::of(url) == Some(self.scheme)
            && url.username().is_empty()
            && url.password().is_none()
            && url.port_or_known_default() == Some(self.port)
            && url.host().is_some_and(|host| self.host.admits(host))
    }

    /// Tells whether both name the same scheme, host and port.
    pub fn same_server(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// `intersect` is what both allow, with this one's `private`.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if (self.scheme, self.port) != (other.scheme, other.port) {
            return None;
        }
        Some(Self {
            host: self.host.intersect(&other.host)?,
            ..self.clone()
        })
    }

    /// Tells whether its host is known to be this machine or its network, without a look-up.
    pub(crate) fn is_private(&self) -> bool {
        match &self.host {
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
        write!(f, "{}://", self.scheme.word())?;
        match &self.host {
            HostPattern::Exactly(host) => write!(f, "{host}")?,
            HostPattern::Below(domain) => write!(f, "*.{domain}")?,
        }
        if self.port == self.scheme.own_port() {
            return Ok(());
        }
        write!(f, ":{}", self.port)
    }
}

#[cfg(test)]
#[path = "http_grant_tests.rs"]
mod tests;
