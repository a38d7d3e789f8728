//! What the operator says of the backend: stop, start, restart, or let another plugin take its place.
//!
//! Prompts that come meanwhile are held, and turns that run get time to finish; what had to be cut is marked as
//! interrupted and can be continued. Sessions of the plugin that went stay readable.

use super::shared::Shared;
use super::status::{ChatError, Phase};
use super::switch::{Backend, up};
use super::writing::settle_all;
use nexus_model::activity::Tone;
use nexus_model::chat::SessionId;
use nexus_model::limits;
use nexus_model::plugin::Availability;
use nexus_plugin_traits::StopProcesses;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(super) enum Order {
    Stop,
    Start,
    Restart,
    Swap(Backend),
}

/// An order, and who waits for it to be done.
pub(super) type Ordered = (Order, oneshot::Sender<Result<(), ChatError>>);

const LOOK: Duration = Duration::from_millis(100);

/// Holds prompts as long as it lives.
pub(super) struct Held<'a>(&'a Shared);

impl<'a> Held<'a> {
    pub(super) fn new(shared: &'a Shared, order: &Order) -> Self {
        shared.held.send_replace(true);
        let what = match order {
            Order::Stop => "stops".to_owned(),
            Order::Start | Order::Restart => "is started again".to_owned(),
            Order::Swap(next) => format!("makes room for {}", next.plugin),
        };
        let limit = limits::CHAT_DRAIN.as_secs();
        let pending = format!("It {what} as soon as no answer runs, in {limit} s at the latest.");
        shared.status.send_modify(|status| status.pending = Some(pending));
        Self(shared)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.status.send_modify(|status| status.pending = None);
        self.0.held.send_replace(false);
    }
}

/// Until no turn of the backend runs, or for as long as that may take.
pub(super) async fn quiet(shared: &Shared) {
    let running = || running(shared).next().is_some();
    let _ = tokio::time::timeout(limits::CHAT_DRAIN, async {
        while running() {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

fn running(shared: &Shared) -> impl Iterator<Item = SessionId> {
    let plugin = shared.shown().plugin;
    let sessions = shared.journal.unfinished().into_iter();
    let ours: Vec<_> = sessions
        .filter(|session| shared.listed(session).is_some_and(|listed| listed.backend == plugin))
        .collect();
    ours.into_iter()
}

/// Whether an order can be carried out at all. The backend goes on meanwhile.
pub(super) async fn check(order: &Order) -> Result<(), ChatError> {
    let Order::Swap(next) = order else { return Ok(()) };
    fit(next).await
}

/// Ends the backend and what belongs to it, and makes room for what is ordered. True: nothing is to run.
pub(super) async fn carry_out(shared: &Shared, stop_processes: &StopProcesses, order: Order) -> bool {
    let now = shared.primary();
    let title = shared.status.borrow().title.clone();
    // The example may be standing in: it ends too.
    let shown = Some(shared.shown()).filter(|shown| shown.plugin != now.plugin);
    shared.active.send_replace(None);
    for backend in shown.iter().chain([&now]) {
        backend.backend.stop().await;
        stop_processes(backend.plugin.clone()).await;
        settle_all(shared, &*shared.journal, &backend.plugin).await;
    }
    match order {
        Order::Start | Order::Restart => {
            shared.note(Tone::Busy, &format!("{title} is started again"));
            false
        }
        Order::Swap(next) => {
            let what = if next.plugin == now.plugin {
                "has its new settings"
            } else {
                "is the chat backend now"
            };
            let text = format!("{} {what}", next.plugin);
            shared.set_primary(next);
            shared.note(Tone::Good, &text);
            false
        }
        Order::Stop => {
            shared.note(Tone::Off, &format!("{title} was stopped"));
            shared.phase(Phase::Stopped);
            true
        }
    }
}

/// Its program is there: nobody is asked to give up a backend for one that cannot be.
async fn fit(next: &Backend) -> Result<(), ChatError> {
    let refused =
        |why: String| ChatError::Refused(format!("{} cannot take over; all is as before: {why}", next.plugin));
    up(&*next.backend).await.map_err(|failure| refused(failure.message))?;
    match next.backend.probe().await {
        Ok(Availability::Ready(_)) => Ok(()),
        Ok(Availability::Missing(hint) | Availability::Unsuitable(hint)) => {
            next.backend.stop().await;
            Err(refused(hint))
        }
        Err(error) => {
            next.backend.stop().await;
            Err(refused(error.to_string()))
        }
    }
}

/// Other orders have nothing to act on meanwhile, but a swap is one to start.
pub(super) async fn wait_for_start(shared: &Shared, orders: &mut mpsc::Receiver<Ordered>) {
    while let Some((order, done)) = orders.recv().await {
        let answer = match order {
            Order::Stop => Ok(()),
            Order::Start | Order::Restart => {
                let _ = done.send(Ok(()));
                return;
            }
            Order::Swap(next) => match fit(&next).await {
                // Other settings are no reason to start what was stopped.
                Ok(()) if next.plugin == shared.primary().plugin => {
                    next.backend.stop().await;
                    shared.set_primary(next);
                    Ok(())
                }
                Ok(()) => {
                    shared.set_primary(next);
                    let _ = done.send(Ok(()));
                    return;
                }
                Err(error) => Err(error),
            },
        };
        let _ = done.send(answer);
    }
}
