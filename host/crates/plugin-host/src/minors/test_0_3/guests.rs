//! What the host calls of a component of the made-up minor, in the types of the newest.

use super::bindings::tunnel::TunnelProvider;
use super::bindings::tunnel::exports::nexus::plugin::tunnel as wit;
use crate::bindings::caps::types::{Availability, Failure};
use crate::bindings::tunnel::exports::nexus::plugin::tunnel as newest;
use crate::engine::guest_calls::{Answer, TunnelCalls, TunnelGuests};
use crate::engine::instance_state::InstanceState;
use crate::engine::stream_bridge::{self, LongCall};
use wasmtime::Store;
use wasmtime::component::{Accessor, Instance};

pub(super) fn tunnel(store: &mut Store<InstanceState>, instance: &Instance) -> wasmtime::Result<TunnelGuests> {
    let tunnel = TunnelProvider::new(store, instance)?;
    Ok(TunnelGuests {
        tunnel: Box::new(tunnel.nexus_plugin_tunnel().clone()),
    })
}

impl TunnelCalls for wit::Guest {
    fn call_describe<'a>(&'a self, a: &'a Accessor<InstanceState>) -> Answer<'a, newest::Descriptor> {
        Box::pin(async {
            let descriptor = wit::Guest::call_describe(self, a).await?;
            Ok(newest::Descriptor {
                title: descriptor.title,
                url: match descriptor.url {
                    wit::UrlKind::Ephemeral => newest::UrlKind::Ephemeral,
                    wit::UrlKind::Stable => newest::UrlKind::Stable,
                },
                encryption: match descriptor.encryption {
                    wit::Encryption::Edge => newest::Encryption::Edge,
                    wit::Encryption::Passthrough => newest::Encryption::Passthrough,
                    wit::Encryption::Network => newest::Encryption::Network,
                    wit::Encryption::None => newest::Encryption::None,
                },
                liveness: newest::Liveness::Unknown,
                event_streams: false,
                client_address_header: None,
                public_name_header: None,
                refused: descriptor.refused,
            })
        })
    }

    fn call_check_availability<'a>(&'a self, a: &'a Accessor<InstanceState>) -> Answer<'a, Availability> {
        Box::pin(wit::Guest::call_check_availability(self, a))
    }

    fn call_run<'a>(
        &'a self,
        a: &'a Accessor<InstanceState>,
        origin: newest::Origin,
    ) -> Answer<'a, LongCall<newest::Event, Result<(), Failure>>> {
        Box::pin(async move {
            let origin = wit::Origin {
                host: origin.host,
                port: origin.port,
            };
            let (cancel, cancelled) = stream_bridge::cancel(a)?;
            let (events, outcome) = wit::Guest::call_run(self, a, origin, cancelled).await?;
            stream_bridge::connect(a, events, outcome, cancel, event)
        })
    }
}

/// One event of this minor is several of the newest.
fn event(event: wit::Event) -> Vec<newest::Event> {
    match event {
        wit::Event::Up((urls, connections)) => {
            let address = |url| newest::Address { url, private: false };
            let addresses = newest::Event::Addresses(urls.into_iter().map(address).collect());
            vec![addresses, newest::Event::Ready(connections)]
        }
        wit::Event::Other(ext) => vec![newest::Event::Other(ext)],
    }
}
