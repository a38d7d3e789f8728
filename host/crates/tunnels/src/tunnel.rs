//! A tunnel of the configuration: which plugin serves it now, and what the operator wants of it.

use crate::actor::Actor;
use crate::dependencies::{Dependencies, RegisteredProvider, Spec};
use crate::origin_listener::Relocation;
use crate::origin_secret::OriginSecret;
use crate::status_board::{StatusBoard, StatusPublisher};
use crate::task_channels::{Desired, ListenerAddress, OPENING, TaskChannels};
use nexus_config::resolved;
use nexus_model::chat::Ext;
use nexus_model::limits;
use nexus_model::time::{Clock, Millis};
use nexus_model::tunnel::{TunnelState, TunnelStatus};
use nexus_plugin_traits::CancelReason;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// `RunningTunnel` is a plugin at work for a tunnel. Its task ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct RunningTunnel {
    pub(super) config: resolved::Tunnel,
    pub(super) provided: RegisteredProvider,
    pub(super) secret: OriginSecret,
    desired: Arc<watch::Sender<Desired>>,
    publisher: Arc<StatusPublisher>,
    /// `moved` is where its clients are to go.
    moved: Arc<watch::Sender<Option<Relocation>>>,
    /// `sockets` counts live sockets that came through it.
    sockets: Arc<watch::Sender<usize>>,
    /// `repairs` takes why its connection is dead: the actor restarts the provider.
    repairs: mpsc::Sender<String>,
    pub(super) listener: Arc<Mutex<Option<ListenerAddress>>>,
    clock: Arc<dyn Clock>,
}

impl RunningTunnel {
    pub(super) fn start(spec: Spec, parts: &Dependencies, board: &Arc<StatusBoard>, wanted: bool, shown: bool) -> Self {
        let (desired, wants) = watch::channel(Desired {
            wanted,
            starts: 0,
            ending: CancelReason::Stop,
        });
        let status = unknown(&spec.config, parts.clock.now());
        let publisher = Arc::new(StatusPublisher::new(Arc::clone(board), status, shown));
        let (repairs, dead) = mpsc::channel(1);
        let serving = Self {
            config: spec.config.clone(),
            provided: spec.provided.clone(),
            secret: OriginSecret::random(),
            desired: Arc::new(desired),
            publisher: Arc::clone(&publisher),
            moved: Arc::new(watch::Sender::new(None)),
            sockets: Arc::new(watch::Sender::new(0)),
            repairs,
            listener: Arc::default(),
            clock: Arc::clone(&parts.clock),
        };
        let channels = TaskChannels {
            secret: serving.secret.clone(),
            moved: serving.moved.subscribe(),
            sockets: Arc::clone(&serving.sockets),
            repairs: dead,
            listener: Arc::clone(&serving.listener),
        };
        tokio::spawn(Actor::new(spec, parts, wants, publisher, channels).run());
        serving
    }

    /// Tells whether it is the same instance.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.publisher, &other.publisher)
    }

    pub(super) fn status(&self) -> watch::Receiver<TunnelStatus> {
        self.publisher.status()
    }

    /// Wants it open. From here on the status tells of this command: what came of an earlier one is gone, and the actor
    /// publishes the end of no attempt that began before it.
    pub(super) fn want(&self) {
        self.moved.send_replace(None);
        self.desired.send_modify(|desired| {
            *desired = Desired {
                wanted: true,
                starts: desired.starts + 1,
                ending: CancelReason::Stop,
            }
        });
        let now = self.clock.now();
        self.publisher.update(|status| {
            if matches!(
                status.state,
                TunnelState::Off | TunnelState::Failed { .. } | TunnelState::Waiting { .. }
            ) {
                status.state = TunnelState::Starting {
                    progress: OPENING.to_owned(),
                };
                status.since = now;
            }
        });
    }

    /// Says that its connection is dead, and that its provider does not know it.
    pub(super) fn repair(&self, cause: &str) {
        // One that waits already is for the same.
        let _ = self.repairs.try_send(cause.to_owned());
    }

    pub(super) fn publisher(&self) -> &StatusPublisher {
        &self.publisher
    }

    /// Does as [`Self::want`], where it is not wanted yet.
    pub(super) fn want_too(&self) {
        if !self.desired.borrow().wanted {
            self.want();
        }
    }

    pub(super) fn unwant(&self, ending: CancelReason) {
        self.desired
            .send_modify(|desired| (desired.wanted, desired.ending) = (false, ending));
    }

    /// Waits until it is off, or wanted again.
    pub(super) async fn off(&self) {
        let (mut status, mut desired) = (self.publisher.status(), self.desired.subscribe());
        // The actor bounds each of its own steps; this is for a task that is gone.
        let _ = tokio::time::timeout(limits::PLUGIN_CANCEL * 3, async {
            tokio::select! {
                // One that failed was closed before it said so; one whose plugin cannot be loaded has nothing to close.
                _ = status.wait_for(|status| matches!(status.state, TunnelState::Off | TunnelState::Failed { .. })) => {}
                _ = desired.wait_for(|desired| desired.wanted) => {}
            }
        })
        .await;
    }

    /// Makes it the tunnel's own from now on.
    pub(super) fn show(&self) {
        self.publisher.show();
    }

    pub(super) fn hide(&self) {
        self.publisher.hide();
    }

    /// Tells its clients where the tunnel leads from now on and gives them time to go there.
    pub(super) async fn drain(&self, url: &str) {
        self.moved.send_replace(Some(Relocation {
            url: Some(url.to_owned()),
        }));
        let mut sockets = self.sockets.subscribe();
        let _ = tokio::time::timeout(limits::TUNNEL_DRAIN, sockets.wait_for(|open| *open == 0)).await;
    }

    /// Tells its clients that it closes and that nobody knows yet where it will lead.
    pub(super) async fn leave(&self) {
        self.moved.send_replace(Some(Relocation { url: None }));
        let mut sockets = self.sockets.subscribe();
        let _ = tokio::time::timeout(limits::TUNNEL_LEAVE, sockets.wait_for(|open| *open == 0)).await;
    }

    /// Closes it for good.
    pub(super) async fn end(self, reason: CancelReason) {
        if self.desired.borrow().wanted {
            self.unwant(reason);
        }
        self.off().await;
        self.provided.provider.stop().await;
    }
}

/// `unknown` is the status before the plugin has said what it is.
pub(super) fn unknown(tunnel: &resolved::Tunnel, now: Millis) -> TunnelStatus {
    TunnelStatus {
        name: tunnel.name.clone(),
        plugin: tunnel.plugin.clone(),
        title: tunnel.plugin.clone(),
        encryption: None,
        state: TunnelState::Off,
        url: None,
        addresses: Vec::new(),
        url_propagating: false,
        fixed_listen: tunnel.listen.port() != 0,
        since: now,
        statistics: None,
        reconnects: 0,
        public_check: None,
        swap: None,
        ext: Ext::default(),
    }
}

pub(super) struct Tunnel {
    pub(super) name: String,
    serving: Mutex<RunningTunnel>,
    /// `wanted` is what the operator wants, whoever serves.
    pub(super) wanted: watch::Sender<bool>,
    /// `gate` lets one swap run at a time.
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
    /// `between`: whoever serves was closed so that the next one can open; until that is settled nobody else opens it.
    pub(super) between: AtomicBool,
}

impl Tunnel {
    pub(super) fn new(name: String, serving: RunningTunnel, wanted: bool) -> Self {
        Self {
            name,
            serving: Mutex::new(serving),
            wanted: watch::Sender::new(wanted),
            gate: Arc::default(),
            between: AtomicBool::new(false),
        }
    }

    pub(super) fn running(&self) -> RunningTunnel {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, next: RunningTunnel) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
