//! To which servers a plugin may send requests.

use crate::capabilities::gate::{Denial, Gate};
use nexus_config::grants::HttpGrant;
use nexus_config::{Permission, adding, requested_http};
use nexus_model::trouble::sentence;
use url::Url;

fn requested(gate: &Gate) -> Vec<HttpGrant> {
    requested_http(gate.manifest(), gate.config())
}

impl Gate {
    /// `http` is the grant under which a request to this URL may go out.
    ///
    /// # Errors
    /// No grant names it.
    pub(crate) fn http(&self, url: &Url) -> Result<&HttpGrant, Denial> {
        let granted = self.grants().http.iter().find(|grant| grant.admits(url));
        granted.ok_or_else(|| {
            let asked = requested(self).iter().any(|grant| grant.admits(url));
            // A socket has no origin.
            let server = match HttpGrant::of_url(url.as_str()) {
                Ok(grant) if grant.socket().is_some() => grant.to_string(),
                _ => url.origin().ascii_serialization(),
            };
            self.deny(&Permission::http_to(&server, false), asked)
        })
    }

    /// `private` is a denial with `refused`: why a granted host was refused all the same, as an address of this machine
    /// or its network.
    pub(crate) fn private(&self, refused: &str, grant: &HttpGrant) -> Denial {
        let lines = self.lines(&Permission::http(&grant.clone().with_private(true)));
        self.refuse(sentence(refused, Some(&adding(&lines))))
    }
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
