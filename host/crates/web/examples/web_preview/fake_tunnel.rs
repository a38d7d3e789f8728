//! A tunnel provider that opens at once, or is refused.
#![allow(unreachable_pub)]

use super::records::{FakeRecord, status};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nexus_model::plugin::{Availability, Kind, PluginState, PluginStatus};
use nexus_model::tunnel::{Descriptor, Encryption, TunnelEvent};
use nexus_plugin_traits::{Call, FailureKind, PluginRecord, RunFailure, Supervised, TunnelProvider, TunnelRun};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

pub struct FakeTunnel {
    status: watch::Sender<PluginStatus>,
    refused: bool,
}

impl FakeTunnel {
    pub fn open() -> Self {
        Self {
            status: watch::Sender::new(status("tunnel-bore", Kind::Tunnel, PluginState::Running)),
            refused: false,
        }
    }
    pub fn refused() -> Self {
        Self {
            refused: true,
            ..Self::open()
        }
    }
}

impl Supervised for FakeTunnel {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.status.subscribe()
    }
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        Some(Arc::new(FakeRecord::of(&self.status.borrow())))
    }
    fn start(&self) {}
    fn stop(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl TunnelProvider for FakeTunnel {
    fn describe(&self) -> Call<'_, Descriptor> {
        async {
            Ok(Descriptor {
                title: "bore".to_owned(),
                stable_url: true,
                encryption: Encryption::None,
                event_streams: true,
                client_address_header: None,
                public_name_header: None,
                liveness: nexus_model::tunnel::Liveness::Reported,
            })
        }
        .boxed()
    }
    fn check_availability(&self) -> Call<'_, Availability> {
        async { Ok(Availability::ready("0.6.0")) }.boxed()
    }
    fn run(&self, _: SocketAddr) -> Call<'_, TunnelRun> {
        let (sender, events) = mpsc::channel(4);
        let (end, outcome) = oneshot::channel();
        let (cancel, canceled) = oneshot::channel();
        let refused = self.refused;
        tokio::spawn(async move {
            if refused {
                drop(sender);
                let _ = end.send(Err(RunFailure {
                    kind: FailureKind::Permanent,
                    cause: "bore.example:7835 refused the connection.".to_owned(),
                    fix: Some("Is the server's address right, and its port open?".to_owned()),
                }));
                return;
            }
            let _ = sender
                .send(TunnelEvent::url("http://bore.example:40123".to_owned()))
                .await;
            let _ = sender.send(TunnelEvent::Ready(1)).await;
            let _ = canceled.await;
            drop(sender);
            let _ = end.send(Ok(()));
        });
        async move {
            Ok(TunnelRun {
                events,
                outcome,
                cancel,
            })
        }
        .boxed()
    }
}
