//! To which servers a plugin may send requests.

use crate::capabilities::gate::{Denial, Gate};
use nexus_config::resolved::HttpGrant;
use nexus_config::{Permission, adding, requested_http};

fn requested(gate: &Gate) -> Vec<HttpGrant> {
    requested_http(gate.manifest(), gate.config())
}

impl Gate {
    /// `http` is the grant under which a request to this place may go out. `host` is in lower case.
    ///
    /// # Errors
    /// No grant names it.
    pub(crate) fn http(&self, scheme: &str, host: &str, port: Option<u16>) -> Result<&HttpGrant, Denial> {
        let granted = self
            .grants()
            .http
            .iter()
            .find(|grant| admits(grant, scheme, host, port));
        granted.ok_or_else(|| {
            let port_of = port;
            let port = port
                .filter(|p| Some(*p) != own_port(scheme))
                .map(|p| format!(":{p}"))
                .unwrap_or_default();
            let host = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let server = format!("{scheme}://{host}{port}");
            let asked = requested(self)
                .iter()
                .any(|grant| admits(grant, scheme, &host, port_of));
            let private = false;
            self.deny(&Permission::Http { server, private }, asked)
        })
    }

    /// `private` is a denial with `refused`: why a granted host was refused all the same, as an address of this machine
    /// or its network.
    pub(crate) fn private(&self, refused: &str, grant: &HttpGrant) -> Denial {
        self.refuse(format!(
            "{refused}. To allow it, {}",
            adding(&self.lines(&Permission::http(&HttpGrant {
                private: true,
                ..grant.clone()
            })))
        ))
    }
}

fn own_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

fn admits(grant: &HttpGrant, scheme: &str, host: &str, port: Option<u16>) -> bool {
    let bare = |h: &str| h.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port_of = |p: Option<u16>| p.or_else(|| own_port(scheme));
    let host = bare(host);
    let hosts = match grant.host.strip_prefix("*.") {
        // `*.example.org` is what lies below it, not `example.org` and not `badexample.org`.
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => bare(&grant.host) == host,
    };
    hosts && grant.scheme == scheme && port_of(grant.port) == port_of(port)
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
