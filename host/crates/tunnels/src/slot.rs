//! A tunnel of the configuration: which plugin serves it now, and what the operator wants of it.

use super::actor::{Actor, Desired};
use super::ingress::{Leaving, Proof};
use super::seat::{Board, Seat};
use super::{Parts, Provided, Spec};
use nexus_config::resolved;
use nexus_model::limits;
use nexus_model::time::{Clock, Millis};
use nexus_model::tunnel::{State, Status};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// What is being done while nothing else is known.
pub(super) const OPENING: &str = "opening the tunnel";

/// A plugin at work for a tunnel. Its task ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) config: resolved::Tunnel,
    pub(super) provided: Provided,
    pub(super) proof: Proof,
    desired: Arc<watch::Sender<Desired>>,
    seat: Arc<Seat>,
    /// Where its clients are to go.
    moved: Arc<watch::Sender<Option<Leaving>>>,
    /// Live sockets that came through it.
    sockets: Arc<watch::Sender<usize>>,
    /// Why its connection is dead: the actor starts the provider anew.
    repairs: mpsc::Sender<String>,
    pub(super) door: Arc<Mutex<Option<Opened>>>,
    clock: Arc<dyn Clock>,
}

/// The tunnel's own listener while it is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) address: SocketAddr,
    /// A restart of the provider costs the public address.
    pub(super) ephemeral: bool,
}

impl Serving {
    pub(super) fn start(spec: Spec, parts: &Parts, board: &Arc<Board>, wanted: bool, shown: bool) -> Self {
        let (desired, wants) = watch::channel(Desired { wanted, kicks: 0 });
        let status = unknown(&spec.config, parts.clock.now());
        let seat = Arc::new(Seat::new(Arc::clone(board), status, shown));
        let (repairs, dead) = mpsc::channel(1);
        let serving = Self {
            config: spec.config.clone(),
            provided: spec.provided.clone(),
            proof: Proof::random(),
            desired: Arc::new(desired),
            seat: Arc::clone(&seat),
            moved: Arc::new(watch::Sender::new(None)),
            sockets: Arc::new(watch::Sender::new(0)),
            repairs,
            door: Arc::default(),
            clock: Arc::clone(&parts.clock),
        };
        let visitors = super::actor::Visitors {
            proof: serving.proof.clone(),
            moved: serving.moved.subscribe(),
            sockets: Arc::clone(&serving.sockets),
            repairs: dead,
            door: Arc::clone(&serving.door),
        };
        tokio::spawn(Actor::new(spec, parts, wants, seat, visitors).run());
        serving
    }

    /// The same instance.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.seat, &other.seat)
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.seat.status()
    }

    /// From here on the status tells of this order: what came of an earlier one is gone, and the actor publishes the end
    /// of no attempt that began before it.
    pub(super) fn want(&self) {
        self.moved.send_replace(None);
        self.desired.send_modify(|desired| {
            *desired = Desired {
                wanted: true,
                kicks: desired.kicks + 1,
            }
        });
        let now = self.clock.now();
        self.seat.update(|status| {
            if matches!(status.state, State::Off | State::Failed { .. } | State::Waiting { .. }) {
                status.state = State::Starting {
                    what: OPENING.to_owned(),
                };
                status.since = now;
            }
        });
    }

    /// Its connection is dead, and its provider does not know it.
    pub(super) fn repair(&self, why: &str) {
        // One that waits already is for the same.
        let _ = self.repairs.try_send(why.to_owned());
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// As [`Self::want`], where it is not wanted yet.
    pub(super) fn want_too(&self) {
        if !self.desired.borrow().wanted {
            self.want();
        }
    }

    pub(super) fn unwant(&self) {
        self.desired.send_modify(|desired| desired.wanted = false);
    }

    /// Until it is off, or wanted again.
    pub(super) async fn off(&self) {
        let (mut status, mut desired) = (self.seat.status(), self.desired.subscribe());
        // The actor bounds each of its own steps; this is for a task that is gone.
        let _ = tokio::time::timeout(limits::PLUGIN_CANCEL * 3, async {
            tokio::select! {
                // One that failed was closed before it said so; one whose plugin cannot be loaded has nothing to close.
                _ = status.wait_for(|status| matches!(status.state, State::Off | State::Failed { .. })) => {}
                _ = desired.wait_for(|desired| desired.wanted) => {}
            }
        })
        .await;
    }

    /// It is the tunnel's own from now on.
    pub(super) fn show(&self) {
        self.seat.show();
    }

    pub(super) fn hide(&self) {
        self.seat.hide();
    }

    /// Tells its clients where the tunnel leads from now on and gives them time to go there.
    pub(super) async fn drain(&self, url: &str) {
        self.moved.send_replace(Some(Leaving {
            url: Some(url.to_owned()),
        }));
        let mut sockets = self.sockets.subscribe();
        let _ = tokio::time::timeout(limits::TUNNEL_DRAIN, sockets.wait_for(|open| *open == 0)).await;
    }

    /// Tells its clients that it closes and that nobody knows yet where it will lead.
    pub(super) async fn leave(&self) {
        self.moved.send_replace(Some(Leaving { url: None }));
        let mut sockets = self.sockets.subscribe();
        let _ = tokio::time::timeout(limits::TUNNEL_LEAVE, sockets.wait_for(|open| *open == 0)).await;
    }

    /// Closes it for good.
    pub(super) async fn end(self) {
        self.unwant();
        self.off().await;
        self.provided.provider.stop().await;
    }
}

/// What is known before the plugin has said what it is.
pub(super) fn unknown(tunnel: &resolved::Tunnel, now: Millis) -> Status {
    Status {
        name: tunnel.name.clone(),
        plugin: tunnel.plugin.clone(),
        title: tunnel.plugin.clone(),
        encryption: None,
        state: State::Off,
        url: None,
        fresh: false,
        fixed_listen: tunnel.listen.port() != 0,
        since: now,
        figures: None,
        reconnects: 0,
        reach: None,
        swap: None,
    }
}

pub(super) struct Slot {
    pub(super) name: String,
    serving: Mutex<Serving>,
    /// What the operator wants, whoever serves.
    pub(super) wanted: watch::Sender<bool>,
    /// One swap at a time.
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
    /// Whoever serves was closed so that the next one can open: until that is settled nobody else opens it.
    pub(super) between: AtomicBool,
}

impl Slot {
    pub(super) fn new(name: String, serving: Serving, wanted: bool) -> Self {
        Self {
            name,
            serving: Mutex::new(serving),
            wanted: watch::Sender::new(wanted),
            gate: Arc::default(),
            between: AtomicBool::new(false),
        }
    }

    pub(super) fn serving(&self) -> Serving {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, next: Serving) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
