//! The client of all plugins.

use crate::capabilities::host_services::HostServices;
use nexus_egress::Outgoing;
use std::sync::Arc;

/// `HttpState` has the client that sends what a plugin asks for.
pub(in crate::capabilities) struct HttpState {
    pub(super) outgoing: Arc<dyn Outgoing>,
}

impl HttpState {
    pub(in crate::capabilities) fn new(services: &HostServices) -> Self {
        Self {
            outgoing: Arc::clone(&services.outgoing),
        }
    }
}
