//! A tunnel provider as a component.

use super::chat_events::no_outcome;
use super::convert_chat::Speaker;
use super::{convert, convert_tunnel};
use crate::bindings::caps::types::Failure;
use crate::bindings::tunnel::exports::nexus::plugin::tunnel::{Descriptor, Event, Origin};
use crate::capabilities::Mask;
use crate::engine::event_queue::Exit;
use crate::engine::guest_calls::TunnelGuests;
use crate::engine::instance_state::InstanceState;
use crate::engine::minor::Minor;
use crate::engine::stream_bridge::LongCall;
use crate::instance::{Ended, Exports, Handle, Supervisor, read_refused};
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::plugin::PluginStatus;
use nexus_model::trouble::Trouble;
use nexus_model::tunnel::TunnelEvent;
use nexus_model::{plugin, tunnel};
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{Call, CancelReason, RunFailure, Supervised, TunnelProvider, TunnelRun};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use wasmtime::component::{Accessor, Instance};

pub(crate) type TunnelExports = TunnelGuests;

impl Exports for TunnelExports {
    type Facts = Descriptor;

    fn find(minor: &Minor, store: &mut wasmtime::Store<InstanceState>, instance: &Instance) -> wasmtime::Result<Self> {
        (minor.tunnel)(store, instance)
    }

    fn refused(facts: &Descriptor, mask: &Mask) -> Vec<plugin::Refusal> {
        read_refused(&facts.refused, mask)
    }

    fn facts<'a>(&'a self, a: &'a Accessor<InstanceState>) -> BoxFuture<'a, wasmtime::Result<Descriptor>> {
        self.tunnel.call_describe(a)
    }
}

pub(crate) struct WasmTunnel {
    supervisor: Arc<Supervisor<TunnelExports>>,
}

impl WasmTunnel {
    pub(crate) fn new(supervisor: Supervisor<TunnelExports>) -> Self {
        Self {
            supervisor: Arc::new(supervisor),
        }
    }
}

impl Supervised for WasmTunnel {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.supervisor.status()
    }
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        Some(self.supervisor.record())
    }
    fn broken(&self) -> Option<Trouble> {
        self.supervisor.broken()
    }
    fn refused(&self) -> Vec<plugin::Refusal> {
        self.supervisor.refused()
    }
    fn start(&self) {
        self.supervisor.start();
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.supervisor.stop()
    }
}

impl TunnelProvider for WasmTunnel {
    fn describe(&self) -> Call<'_, tunnel::Descriptor> {
        Box::pin(async {
            let facts = self.supervisor.running().await?.facts.clone();
            convert_tunnel::tunnel_descriptor(facts, self.supervisor.name())
        })
    }

    fn check_availability(&self) -> Call<'_, plugin::Availability> {
        Box::pin(async {
            let answer = self.supervisor.call(|a, e| e.tunnel.call_check_availability(a)).await?;
            Ok(convert::availability(answer, &self.supervisor.context().mask))
        })
    }

    fn run(&self, origin: SocketAddr) -> Call<'_, TunnelRun> {
        Box::pin(async move {
            let handle = self.supervisor.running().await?;
            let origin = Origin {
                host: origin.ip().to_string(),
                port: origin.port(),
            };
            let opening = handle.call(|a, e| e.tunnel.call_run(a, origin));
            let limit = self.supervisor.context().gate.limits().call;
            let opened = tokio::time::timeout(limit, opening).await;
            let LongCall {
                events,
                outcome,
                cancel: plugin_cancel,
            } = opened.map_err(|_| {
                // One run at a time: as long as this one hangs, no other may be asked for.
                self.supervisor.restart(&handle, "it did not start to open the tunnel");
                self.supervisor.late(format!(
                    "the plugin {} did not start to open the tunnel",
                    self.supervisor.name()
                ))
            })??;
            let (tx, rx) = mpsc::channel(limits::TUNNEL_EVENTS);
            let (told, ended) = oneshot::channel();
            let (cancel, cancelled) = oneshot::channel();
            let forwarder = RunForwarder {
                supervisor: Arc::clone(&self.supervisor),
                handle,
                events,
                outcome,
                to: tx,
            };
            tokio::spawn(forwarder.run(plugin_cancel, cancelled, told));
            Ok(TunnelRun {
                events: rx,
                outcome: ended,
                cancel,
            })
        })
    }
}

type Outcome<T> = Result<(), T>;

/// `RunForwarder` carries one run: events first, then the outcome; and ends an instance that does not close when it is
/// told to.
struct RunForwarder {
    supervisor: Arc<Supervisor<TunnelExports>>,
    handle: Handle<TunnelExports>,
    events: Exit<Event>,
    outcome: oneshot::Receiver<Outcome<Failure>>,
    to: mpsc::Sender<TunnelEvent>,
}

impl RunForwarder {
    async fn run(
        mut self,
        plugin_cancel: oneshot::Sender<CancelReason>,
        cancelled: oneshot::Receiver<CancelReason>,
        told: oneshot::Sender<Outcome<RunFailure>>,
    ) {
        let (supervisor, handle) = (Arc::clone(&self.supervisor), self.handle.clone());
        let counters = Arc::clone(&supervisor.context().counters);
        let patience = async move {
            // Nobody who waits for its end is there any more where that was dropped.
            let _ = plugin_cancel.send(cancelled.await.unwrap_or(CancelReason::Stop));
            tokio::time::sleep(limits::PLUGIN_CANCEL).await;
        };
        let outcome = tokio::select! {
            outcome = self.forward() => outcome,
            () = patience => {
                let seconds = limits::PLUGIN_CANCEL.as_secs();
                counters.error();
                let cause = format!("it did not close the tunnel within {seconds} s of being asked to");
                supervisor.restart(&handle, &cause);
                return;
            }
        };
        // Nobody has to wait for the counting.
        drop(self);
        match outcome {
            Some(outcome) => {
                if outcome.is_err() {
                    counters.error();
                }
                // Whoever asked for the run may have gone.
                let _ = told.send(outcome.map_err(|failure| convert::failure(failure, &supervisor.context().mask)));
            }
            // Usually it crashed, or was stopped by us, which is no error of its.
            None => {
                drop(told);
                let ended = tokio::time::timeout(limits::RESTART_FIRST, handle.ended()).await;
                if !matches!(ended, Ok(Ended::Stopped)) {
                    counters.error();
                }
            }
        }
    }

    async fn forward(&mut self) -> Option<Outcome<Failure>> {
        let mut batch = Vec::new();
        while self.events.take(&mut batch).await {
            let (context, name) = (self.supervisor.context(), self.supervisor.name());
            context.counters.events(batch.len());
            for event in batch.drain(..) {
                let by = Speaker::new(name, &context.mask);
                let event = convert_tunnel::tunnel_event(event, &by);
                by.log_left_out(&context.log);
                // A service that only waits for the outcome drops the receiver; the rest is still drained.
                let _ = self.to.send(event).await;
            }
        }
        match tokio::time::timeout(limits::PLUGIN_CANCEL, &mut self.outcome).await {
            Ok(outcome) => outcome.ok(),
            Err(_) => {
                let cause = no_outcome("reporting on the tunnel");
                self.supervisor.restart(&self.handle, &cause);
                // Whoever hears of it then finds the cause in the status.
                let _ = tokio::time::timeout(limits::RESTART_FIRST, self.handle.ended()).await;
                None
            }
        }
    }
}
