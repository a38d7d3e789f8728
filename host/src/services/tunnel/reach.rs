//! An open tunnel is looked at from its public side now and then: a provider that says "open" may lead nowhere.

use super::Parts;
use super::seat::Board;
use super::slot::Slot;
use crate::config::resolved::Probe;
use crate::limits;
use crate::model::tunnel::{Reach, Reached, State};
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// After one that failed.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

/// Until the service is gone.
pub(super) async fn watch(slot: std::sync::Weak<Slot>, parts: Parts, board: Arc<Board>) {
    let mut statuses = board.subscribe();
    let mut next: Option<(String, Instant)> = None;
    loop {
        let Some(serving) = slot.upgrade().map(|slot| slot.serving()) else {
            return;
        };
        let name = serving.config.name.clone();
        statuses.borrow_and_update();
        // Its own word, which belongs to its own proof: the board may show another one by now.
        let own = serving.status();
        let address = || {
            let status = own.borrow();
            let open = matches!(status.state, State::Up { .. } | State::Degraded { .. });
            status.url.clone().filter(|_| open)
        };
        let url = address();
        let due = match (&url, &next) {
            (Some(url), Some((last, at))) if url == last => Instant::now() >= *at,
            (url, _) => url.is_some(),
        };
        if let (Some(url), true, false) = (&url, due, serving.config.probe == Probe::Off) {
            let result = timeout(
                limits::PROBE,
                parts.prober.plain(&serving.config.probe, url, &serving.proof),
            );
            let result = match result.await {
                Ok(Ok(latency)) => Reached::Yes {
                    latency: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
                },
                Ok(Err(why)) => Reached::No { why },
                Err(_) => Reached::No {
                    why: format!("no answer within {} s", limits::PROBE.as_secs()),
                },
            };
            // A name that was just made is not known everywhere at once.
            let pause = match result {
                Reached::Yes { .. } => limits::PROBE_EVERY,
                Reached::No { .. } => SOON,
            };
            next = Some((url.clone(), Instant::now() + pause));
            let at = parts.clock.now();
            // Replaced or moved meanwhile, it says nothing of what is there now.
            let still = slot.upgrade().is_some_and(|slot| slot.serving().is(&serving));
            if still && address().as_ref() == Some(url) {
                board.reach(&name, Some(Reach { at, result }));
            }
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
