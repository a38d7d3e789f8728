//! An open tunnel is checked from its public side now and then: a provider that says "open" may lead nowhere, and one whose
//! connection died silently (a new address of the machine, a frozen program) may never notice.
//!
//! A failed check alone proves nothing: this machine may have no network, no way to its own public address, or no time. It is
//! proof when somebody answered there (so the network is there), the address was reached before in this run (so the check
//! can work at all), this host's own listener answers now (so it is not this host that is slow), and all that several times
//! in a row. Then the provider is restarted, with a pause that grows, so that a check that is wrong costs little.

use crate::dependencies::Dependencies;
use crate::status_board::{NoticedBy, StatusBoard};
use crate::tunnel::{RunningTunnel, Tunnel};
use nexus_config::resolved::PublicCheckMode;
use nexus_model::limits;
use nexus_model::time::millis;
use nexus_model::tunnel::{Network, PublicCheck, PublicCheckFailure, PublicCheckResult, TunnelState};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// `SOON` is the pause after a check that failed.
const SOON: Duration = Duration::from_secs(5);

/// `Seen` is what the checks of one address have found.
struct Seen {
    url: String,
    next: Instant,
    /// `ever`: it was reached once.
    ever: bool,
    failed: u32,
    /// `dead` counts checks that failed in a row with the network proved, and has since when.
    dead: Option<(u32, Instant)>,
    unresolved: Duration,
}

impl Seen {
    fn new(url: String) -> Self {
        Self {
            url,
            next: Instant::now(),
            ever: false,
            failed: 0,
            dead: None,
            unresolved: limits::NAME_SETTLES,
        }
    }

    fn reached(&mut self) {
        *self = Self {
            ever: true,
            next: Instant::now() + limits::PUBLIC_CHECK_EVERY,
            ..Self::new(std::mem::take(&mut self.url))
        };
    }

    /// Notes a failed check. `proved`: the network is there, and so is this host.
    fn failed(&mut self, network: Network, proved: bool) {
        let now = Instant::now();
        self.failed += 1;
        self.next = now
            + match network {
                // It is known by now; what fails is the way to the resolver.
                Network::Unresolved if self.ever => limits::NAME_SETTLES,
                // Each question may renew what the resolver keeps.
                Network::Unresolved => {
                    let pause = self.unresolved;
                    self.unresolved = (pause * 2).min(limits::PUBLIC_CHECK_UNRESOLVED);
                    pause
                }
                Network::Answered | Network::Unknown => SOON,
            };
        self.dead = proved.then(|| {
            let (count, since) = self.dead.unwrap_or((0, now));
            (count + 1, since)
        });
    }

    /// Tells whether nobody gets through, and that will not change by itself.
    fn is_dead(&self, patience: Duration) -> bool {
        let long = |(count, since): (u32, Instant)| count >= limits::DEAD_CHECKS && since.elapsed() >= patience;
        self.ever && self.dead.is_some_and(long)
    }
}

/// `Repairs` are the restarts of the provider that a check asked for.
struct Repairs {
    next: Option<Instant>,
    pause: Duration,
    /// `well` is since when no check has failed.
    well: Option<Instant>,
}

impl Repairs {
    fn due(&self) -> bool {
        self.next.is_none_or(|next| Instant::now() >= next)
    }

    fn done(&mut self) {
        self.next = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(limits::REPAIR_MOST);
        self.well = None;
    }

    fn checked(&mut self, well: bool) {
        let since = well.then(|| self.well.unwrap_or_else(Instant::now));
        self.well = since;
        if since.is_some_and(|since| since.elapsed() >= limits::REPAIR_WELL) {
            (self.next, self.pause) = (None, limits::REPAIR_FIRST);
        }
    }
}

/// `subject` is what is to be checked now: the address, and how long it may be dead.
fn subject(serving: &RunningTunnel, seen: Option<&Seen>) -> Option<(String, Duration)> {
    let status = serving.status();
    let status = status.borrow();
    let url = status.checked_address().filter(|_| !status.url_propagating)?.to_owned();
    let reached = seen.is_some_and(|seen| seen.ever && seen.url == url);
    let listener = *serving.listener.lock().unwrap_or_else(PoisonError::into_inner);
    let patience = match status.state {
        TunnelState::Up { .. } | TunnelState::Degraded { .. }
            if listener.is_some_and(|listener| listener.ephemeral) =>
        {
            limits::DEAD_EPHEMERAL
        }
        TunnelState::Up { .. } | TunnelState::Degraded { .. } => limits::DEAD,
        // Its program tries by itself, and keeps its name by that.
        TunnelState::Reconnecting { .. } if reached => limits::DEAD_RECONNECTING,
        _ => return None,
    };
    Some((url, patience))
}

/// Checks until the service is gone.
pub(super) async fn watch(tunnel: std::sync::Weak<Tunnel>, parts: Dependencies, board: Arc<StatusBoard>) {
    let mut statuses = board.subscribe();
    let mut seen: Option<Seen> = None;
    let mut repairs = Repairs {
        next: None,
        pause: limits::REPAIR_FIRST,
        well: None,
    };
    loop {
        let Some(serving) = tunnel.upgrade().map(|tunnel| tunnel.running()) else {
            return;
        };
        statuses.borrow_and_update();
        // Its own word, which belongs to its own secret: the board may show another one by now.
        if let Some((url, _)) =
            subject(&serving, seen.as_ref()).filter(|_| serving.config.public_check != PublicCheckMode::Off)
        {
            let mut now = seen
                .take()
                .filter(|seen| seen.url == url)
                .unwrap_or_else(|| Seen::new(url));
            if Instant::now() >= now.next {
                check(&tunnel, &serving, &mut now, &mut repairs, &parts, &board).await;
            }
            seen = Some(now);
        }
        drop(serving);
        tokio::select! {
            () = tokio::time::sleep(SOON) => {}
            changed = statuses.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn check(
    tunnel: &std::sync::Weak<Tunnel>,
    serving: &RunningTunnel,
    seen: &mut Seen,
    repairs: &mut Repairs,
    parts: &Dependencies,
    board: &StatusBoard,
) {
    let look = parts
        .checker
        .check_http(&serving.config.public_check, &seen.url, &serving.secret);
    // It bounds itself; this is for one that does not.
    let looked = timeout(limits::PUBLIC_CHECK * 2, look).await.unwrap_or_else(|_| {
        Err(PublicCheckFailure {
            cause: format!("no answer within {} s", limits::PUBLIC_CHECK.as_secs()),
            network: Network::Unknown,
        })
    });
    let result = match looked {
        Ok(latency) => {
            seen.reached();
            PublicCheckResult::Passed {
                latency_ms: millis(latency),
            }
        }
        Err(PublicCheckFailure { cause, network }) => {
            let listener = *serving.listener.lock().unwrap_or_else(PoisonError::into_inner);
            let here = match listener {
                Some(listener) if network == Network::Answered => {
                    parts
                        .checker
                        .check_local(listener.address, &seen.url, &serving.secret)
                        .await
                }
                _ => false,
            };
            seen.failed(network, here);
            PublicCheckResult::Failed { cause }
        }
    };
    // Replaced or moved meanwhile, it says nothing of what is there now.
    let still = tunnel.upgrade().is_some_and(|tunnel| tunnel.running().is(serving));
    let Some((url, patience)) = subject(serving, Some(seen)).filter(|(url, _)| still && *url == seen.url) else {
        return;
    };
    repairs.checked(matches!(result, PublicCheckResult::Passed { .. }));
    let open = matches!(
        serving.status().borrow().state,
        TunnelState::Up { .. } | TunnelState::Degraded { .. }
    );
    match &result {
        PublicCheckResult::Passed { .. } => serving.publisher().back(NoticedBy::Check),
        PublicCheckResult::Failed { cause } => {
            if open && seen.failed >= limits::OUTAGE_CHECKS {
                serving
                    .publisher()
                    .lost(NoticedBy::Check, &format!("{url} cannot be reached: {cause}"));
            }
            if seen.is_dead(patience) && repairs.due() {
                repairs.done();
                serving.repair(cause);
            }
        }
    }
    if open {
        let at = parts.clock.now();
        board.public_check(&serving.config.name, Some(PublicCheck { at, result }));
    }
}
