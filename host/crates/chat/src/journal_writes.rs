//! How what a backend says is written down: once where it can be, again and again while a disk is full, and never again
//! where the record of its session is damaged.

use crate::journal::Journal;
use crate::pending_prompts;
use crate::prompt_messages::return_all;
use crate::shared::Shared;
use nexus_model::chat::{BackendConnection, Event, SessionEvent};
use nexus_model::limits;
use nexus_store::StoreError;
use std::time::Duration;

const JOURNAL_RETRY: Duration = Duration::from_secs(1);

/// Writes events of one session, in one try.
pub(crate) async fn write_one(
    shared: &Shared,
    journal: &Journal,
    session: &str,
    events: &[SessionEvent],
) -> Result<(), StoreError> {
    let plain = |events: Vec<SessionEvent>| events.into_iter().map(|event| event.event).collect();
    if events.iter().any(|event| event.event == Event::SessionRemoved) {
        return journal.remove(session).await;
    }
    if !events.iter().any(pending_prompts::concerns) {
        return journal.ingest(session, plain(events.to_vec())).await.map(drop);
    }
    // Locked for one try, as in the event pump's `reconcile`.
    let mut pending = shared.pending_prompts.lock().await;
    let mut left = pending.clone();
    let events = pending_prompts::supersede(events.to_vec(), &mut left);
    journal.ingest(session, plain(events)).await?;
    *pending = left;
    Ok(())
}

/// Marks the turns of a plugin that nobody runs any more. What cannot be written down in time, because the disk is full say, is when the
/// plugin is connected the next time: neither a command nor the report that the backend failed waits for a disk.
pub(crate) async fn settle_all(shared: &Shared, journal: &Journal, plugin: &str) {
    let settled = tokio::time::timeout(limits::SETTLE, settle_each(shared, journal, plugin)).await;
    if settled.is_err() {
        tracing::error!(
            plugin,
            "cannot mark interrupted answers; they are marked when {plugin} reconnects"
        );
    }
}

async fn settle_each(shared: &Shared, journal: &Journal, plugin: &str) {
    let nothing = BackendConnection {
        id: String::new(),
        version: String::new(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    for session in journal.unfinished() {
        if shared.listed(&session).is_some_and(|listed| listed.backend == plugin) {
            if let Err(error) = insist(|| journal.settle(&session, &nothing)).await {
                tracing::error!(session, %error, "cannot mark an interrupted answer");
            }
            return_all(shared, &session, "The previous answer was interrupted.").await;
        }
    }
}

/// Tries a write again for as long as the disk is full: nothing is thrown away for that. What is wrong with the data of one
/// session is returned: it fails the same way each time.
pub(crate) async fn insist<T, F: Future<Output = Result<T, StoreError>>>(job: impl Fn() -> F) -> Result<T, StoreError> {
    let mut said = false;
    loop {
        match job().await {
            Err(StoreError::ReadOnly(cause)) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(cause, "the session is paused until it can be saved again");
                }
                tokio::time::sleep(JOURNAL_RETRY).await;
            }
            done => return done,
        }
    }
}
