//! What the operator is told where the host refuses, or where cloudflared is missing.

use nexus_plugin_api::tunnel::{self, Error, Failure};

pub(crate) const INSTALL: &str =
    "install cloudflared (https://developers.cloudflare.com/tunnel, or your package manager)";

/// A host function's refusal as the end of the tunnel.
pub(crate) fn refused(error: Error) -> Failure {
    tunnel::refused(error, INSTALL)
}
