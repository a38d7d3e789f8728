//! Where the state of a tunnel is shown, and from when on: a plugin that is to replace another reports into a publisher of its own,
//! which nobody sees as the tunnel's until it is.

use nexus_model::activity::Severity;
use nexus_model::tunnel::{PublicCheck, Swap, TunnelState, TunnelStatus};
use nexus_store::activity_log::ActivityLog;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// `StatusBoard` has all tunnels, by name.
pub(super) struct StatusBoard {
    list: watch::Sender<Vec<TunnelStatus>>,
    activity: Arc<ActivityLog>,
}

impl StatusBoard {
    pub(super) fn new(list: Vec<TunnelStatus>, activity: Arc<ActivityLog>) -> Self {
        Self {
            list: watch::Sender::new(list),
            activity,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Vec<TunnelStatus>> {
        self.list.subscribe()
    }

    /// Adds a status at its place by name.
    pub(super) fn add(&self, status: TunnelStatus) {
        self.list.send_modify(|all| {
            let at = all.partition_point(|other| other.name < status.name);
            all.insert(at, status);
        });
    }

    pub(super) fn remove(&self, tunnel: &str) {
        self.list.send_modify(|all| all.retain(|status| status.name != tunnel));
    }

    pub(super) fn swap(&self, tunnel: &str, swap: Option<Swap>) {
        self.change(tunnel, |status| status.swap = swap);
    }

    pub(super) fn public_check(&self, tunnel: &str, check: Option<PublicCheck>) {
        self.change(tunnel, |status| status.public_check = check);
    }

    pub(super) fn note(&self, tunnel: &str, severity: Severity, text: &str) {
        self.activity.note(&subject(tunnel), severity, text);
    }

    fn change(&self, tunnel: &str, change: impl FnOnce(&mut TunnelStatus)) {
        self.list.send_if_modified(|all| {
            let Some(status) = all.iter_mut().find(|status| status.name == tunnel) else {
                return false;
            };
            let before = status.clone();
            change(status);
            *status != before
        });
    }
}

fn subject(tunnel: &str) -> String {
    format!("tunnel {tunnel}")
}

/// `StatusPublisher` is one plugin's place at a tunnel.
pub(super) struct StatusPublisher {
    board: Arc<StatusBoard>,
    own: watch::Sender<TunnelStatus>,
    shown: AtomicBool,
    losses: Mutex<Losses>,
    outage: Mutex<Option<Outage>>,
}

/// `Outage` is that of a tunnel that was open, or says that it is, and lets nobody in.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    seen: NoticedBy,
}

/// `NoticedBy` says who noticed an outage, and so who says when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoticedBy {
    /// `Check` is this host's own look from the public side, while the provider says that it works.
    Check,
    Provider,
}

/// `Losses` is for counting how often it came back.
#[derive(Default)]
struct Losses {
    was_open: bool,
    lost: bool,
    came_back: u32,
}

impl StatusPublisher {
    pub(super) fn new(board: Arc<StatusBoard>, status: TunnelStatus, shown: bool) -> Self {
        Self {
            board,
            own: watch::Sender::new(status),
            shown: AtomicBool::new(shown),
            losses: Mutex::default(),
            outage: Mutex::default(),
        }
    }

    /// Notes that no request gets through from now on; whoever calls this says so itself.
    pub(super) fn outage_began(&self) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let since = outage.map_or_else(Instant::now, |outage| outage.since);
        *outage = Some(Outage {
            since,
            seen: NoticedBy::Provider,
        });
    }

    /// Notes that no request gets through. One outage is one line of the log, however often its reason changes.
    pub(super) fn lost(&self, seen: NoticedBy, cause: &str) {
        let new = {
            let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
            let since = outage.map_or_else(Instant::now, |outage| outage.since);
            let seen = outage.map_or(seen, |outage| outage.seen.max(seen));
            outage.replace(Outage { since, seen }).is_none()
        };
        if new && self.is_shown() {
            tracing::warn!(
                tunnel = self.own.borrow().name,
                cause,
                "the tunnel does not pass requests"
            );
        }
    }

    /// Notes that requests get through again, says the one who noticed that they did not.
    pub(super) fn back(&self, seen: NoticedBy) {
        let over = {
            let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
            outage.take_if(|outage| outage.seen == seen)
        };
        if let Some(outage) = over.filter(|_| self.is_shown()) {
            let after = outage.since.elapsed().as_secs();
            tracing::info!(
                tunnel = self.own.borrow().name,
                "the tunnel has recovered after {after} s"
            );
        }
    }

    /// Notes that the tunnel is closed: an outage that was is nobody's any more.
    pub(super) fn closed(&self) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn status(&self) -> watch::Receiver<TunnelStatus> {
        self.own.subscribe()
    }

    /// Shows the status as the tunnel's own from now on.
    pub(super) fn show(&self) {
        self.shown.store(true, Ordering::SeqCst);
        self.publish();
    }

    /// Shows it no more: what happens from now on is nobody's business.
    pub(super) fn hide(&self) {
        self.shown.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::SeqCst)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut TunnelStatus)) {
        let mut happened = None;
        let changed = self.own.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            status.reconnects = self.count(status);
            happened = event(&before, status);
            *status != before
        });
        if changed && self.is_shown() {
            self.publish();
            if let Some((severity, text)) = happened {
                self.board.note(&self.own.borrow().name, severity, &text);
            }
        }
    }

    fn count(&self, status: &TunnelStatus) -> u32 {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        match status.state {
            TunnelState::Up { .. } | TunnelState::Degraded { .. } => {
                losses.came_back += u32::from(std::mem::take(&mut losses.lost));
                losses.was_open = true;
            }
            TunnelState::Off | TunnelState::Failed { .. } => *losses = Losses::default(),
            _ => losses.lost = losses.was_open,
        }
        losses.came_back
    }

    fn publish(&self) {
        let name = self.own.borrow().name.clone();
        self.board.change(&name, |status| {
            // Looked at here, where changes come one after the other: the next one may just have taken the place.
            if !self.is_shown() {
                return;
            }
            let (swap, check) = (status.swap.take(), status.public_check.take());
            status.clone_from(&self.own.borrow());
            status.swap = swap;
            // What was seen while it was open says nothing of one that reconnects.
            let open = matches!(status.state, TunnelState::Up { .. } | TunnelState::Degraded { .. });
            status.public_check = check.filter(|_| open && status.url.is_some());
        });
    }
}

/// `event` is what is worth a line in the tunnel's history.
fn event(before: &TunnelStatus, now: &TunnelStatus) -> Option<(Severity, String)> {
    let same = std::mem::discriminant(&before.state) == std::mem::discriminant(&now.state);
    Some(match &now.state {
        TunnelState::Up { .. }
            if !now.url_propagating && (!same || before.url_propagating || before.url != now.url) =>
        {
            (Severity::Ok, format!("open at {}", now.url.as_ref()?))
        }
        _ if same => return None,
        TunnelState::Off => (Severity::Inactive, "closed".to_owned()),
        TunnelState::Degraded { cause } => (Severity::Warning, format!("degraded: {cause}")),
        TunnelState::Reconnecting { cause } => (Severity::Warning, format!("reconnecting: {cause}")),
        TunnelState::Waiting { cause, .. } => (Severity::Warning, format!("not open; Nexus will retry: {cause}")),
        TunnelState::Failed { cause, .. } => (Severity::Error, format!("failed: {cause}")),
        TunnelState::LoginNeeded(login) => (Severity::Warning, format!("not open: {login}")),
        TunnelState::Up { .. }
        | TunnelState::WaitingForAccount
        | TunnelState::Starting { .. }
        | TunnelState::Stopping => return None,
    })
}
