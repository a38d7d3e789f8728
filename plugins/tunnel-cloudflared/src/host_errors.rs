//! What the operator is told where the host refuses, or where cloudflared is missing.

use nexus_plugin_api::tunnel::{self, Error, Failure};

pub(crate) const INSTALL: &str =
    "install cloudflared (https://developers.cloudflare.com/tunnel, or your package manager)";

/// `host_failure` is an error of a host function as the end of the tunnel.
pub(crate) fn host_failure(error: Error) -> Failure {
    tunnel::host_failure(error, INSTALL)
}
