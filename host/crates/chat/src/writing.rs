//! How what a backend says is written down: once where it can be, again and again while a disk is full, and never again
//! where the record of its session is damaged.

use super::local;
use super::port::{JournalPort, StoreError};
use super::queue;
use super::shared::Shared;
use futures::future::BoxFuture;
use nexus_model::chat::{Epoch, Event, SessionEvent};
use nexus_model::limits;
use std::time::Duration;

const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// Events of one session, once.
pub(super) async fn write_one(
    shared: &Shared,
    journal: &dyn JournalPort,
    session: &str,
    events: &[SessionEvent],
) -> Result<(), StoreError> {
    let plain = |events: Vec<SessionEvent>| events.into_iter().map(|event| event.event).collect();
    if events.iter().any(|event| event.event == Event::SessionRemoved) {
        return journal.remove(session).await;
    }
    if !events.iter().any(local::concerns) {
        return journal.ingest(session, plain(events.to_vec())).await;
    }
    // Held for one try, as in `reconcile`.
    let mut local = shared.local.lock().await;
    let mut left = local.clone();
    let events = local::supersede(events.to_vec(), &mut left);
    journal.ingest(session, plain(events)).await?;
    *local = left;
    Ok(())
}

/// Nobody runs any turn of this plugin. What cannot be written down in time, because the disk is full say, is when the
/// plugin is connected the next time: neither an order nor the word that the backend failed waits for a disk.
pub(super) async fn settle_all(shared: &Shared, journal: &dyn JournalPort, plugin: &str) {
    let settled = tokio::time::timeout(limits::SETTLE, settle_each(shared, journal, plugin)).await;
    if settled.is_err() {
        tracing::error!(
            plugin,
            "answers that were cut could not be marked; they are when {plugin} is back"
        );
    }
}

async fn settle_each(shared: &Shared, journal: &dyn JournalPort, plugin: &str) {
    let nothing = Epoch {
        id: String::new(),
        version: String::new(),
        running: Vec::new(),
        asks: Vec::new(),
    };
    for session in journal.unfinished() {
        if shared.listed(&session).is_some_and(|listed| listed.backend == plugin) {
            if let Err(error) = insist(|| journal.settle(&session, &nothing)).await {
                tracing::error!(session, %error, "an answer that was cut could not be marked");
            }
            queue::leave(shared, &session, "The answer before it was cut, so this was not sent.").await;
        }
    }
}

/// Nothing is thrown away because a disk is full: the feed is held back until it is written. What is wrong with the data
/// of one session is not: it fails the same way each time.
pub(super) async fn insist<'a, T>(job: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut said = false;
    loop {
        match job().await {
            Err(StoreError::ReadOnly(why)) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(why, "the conversation is held back until it can be saved again");
                }
                tokio::time::sleep(JOURNAL_RETRY).await;
            }
            done => return done,
        }
    }
}
