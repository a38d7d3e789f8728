//! To which servers a plugin may send requests.

use crate::capabilities::gate::{Denial, Gate};
use nexus_config::resolved::HttpGrant;
use nexus_config::{Permission, requested_http, toml_text};

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
            let new = toml_text::string(&server);
            let asked = requested(self)
                .iter()
                .any(|grant| admits(grant, scheme, &host, port_of));
            let private = false;
            self.deny(
                &Permission::Http { server, private },
                asked.then(|| self.http_toml(None, Some(new))),
            )
        })
    }

    /// `private` is a denial with `refused`: why a granted host was refused all the same, as an address of this machine
    /// or its network.
    pub(crate) fn private(&self, refused: &str, grant: &HttpGrant) -> Denial {
        self.refuse(format!(
            "{refused}. To allow it, add these lines to the configuration:\n{}",
            self.http_toml(Some(grant), None)
        ))
    }

    /// `http_toml` is the whole list, for it replaces the one that is written.
    fn http_toml(&self, private: Option<&HttpGrant>, new: Option<String>) -> String {
        let entry = |grant: &HttpGrant| {
            let private = grant.private || private == Some(grant);
            let grant = grant.clone();
            HttpGrant { private, ..grant }.to_toml()
        };
        let urls: Vec<String> = self.grants().http.iter().map(entry).chain(new).collect();
        format!("[plugin.{}.grants]\nhttp = [{}]", self.plugin(), urls.join(", "))
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
