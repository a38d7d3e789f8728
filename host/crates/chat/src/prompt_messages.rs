//! The messages by which the journal shows prompts: written, changed and removed as the prompts are sent.

use crate::error::ChatError;
use crate::pending_prompts::{self, is_pending};
use crate::shared::Shared;
use nexus_model::chat::{Event, Feature, Message, Waiting};
use nexus_model::time::Millis;
use nexus_model::trouble::cause_and_fix;
use nexus_plugin_traits::Prompt;
use nexus_store::StoreError;

/// `waiting` is what a message of the host waits for.
pub(crate) fn waiting(message: &Message) -> Option<&Waiting> {
    message.waiting.as_ref().filter(|_| is_pending(message))
}

/// Shows a prompt. `earliest` is the time of a message that comes after all that are there.
pub(crate) async fn show(
    shared: &Shared,
    session: &str,
    prompt: &Prompt,
    earliest: Millis,
    waiting: Waiting,
) -> Result<(), ChatError> {
    let mut message = pending_prompts::message(&prompt.client_id, shared.clock.now().max(earliest));
    message.waiting = Some(waiting);
    message.options.clone_from(&prompt.options);
    let parts = pending_prompts::parts(prompt).into_iter();
    let mut events = vec![Event::Message { message }];
    events.extend(parts.map(|part| Event::Part { part }));
    if let Some(known) = shared.listed(session).map(|listed| listed.info) {
        let mut info = known.clone();
        if info.title.is_empty() && info.parent.is_none() {
            info.title = first_words(&prompt.shown());
        }
        // Of a session that the host made, nobody else says when it was last used.
        let made_here = shared
            .target(session)
            .is_ok_and(|(backend, _)| !backend.features().contains(&Feature::Sessions));
        if made_here {
            info.updated_at = info.updated_at.max(shared.clock.now());
        }
        if info != known {
            events.push(Event::Session { info });
        }
    }
    let mut pending = shared.pending_prompts.lock().await;
    shared.journal.append(session, events).await?;
    pending.insert((session.to_owned(), prompt.client_id.clone()));
    Ok(())
}

/// `first_words` are a title for a chat that its backend gave none.
fn first_words(text: &str) -> String {
    const LENGTH: usize = 60;
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    if line.chars().count() <= LENGTH {
        return line.to_owned();
    }
    let cut: String = line.chars().take(LENGTH).collect();
    // Not within a word, where there are words.
    let whole = cut.rfind(char::is_whitespace).filter(|at| *at > LENGTH / 2);
    let words = whole.and_then(|at| cut.get(..at)).unwrap_or(&cut);
    format!("{}…", words.trim_end())
}

/// Says on the message whether the backend has the prompt.
pub(crate) async fn set_delivery(shared: &Shared, session: &str, prompt: &Prompt, arrived: Result<(), String>) {
    let now = shared.clock.now();
    change(shared, session, &prompt.client_id, |message| {
        message.waiting = None;
        match arrived {
            Ok(()) => (message.completed_at, message.error) = (Some(now), None),
            Err(cause) => message.error = Some(format!("It is unknown whether the backend has this message. {cause}")),
        }
    })
    .await;
    // Without a history it shows the message under no id of its own: this one stays.
    let features = shared.active.borrow().as_ref().map(|active| active.backend.features());
    if features.is_some_and(|features| !features.contains(&Feature::History)) {
        let key = (session.to_owned(), prompt.client_id.clone());
        shared.pending_prompts.lock().await.remove(&key);
    }
}

/// Leaves a prompt to its owner, who sends it again or takes it back.
pub(crate) async fn return_to_owner(shared: &Shared, session: &str, client_id: &str, text: &str) {
    let (cause, fix) = cause_and_fix(text);
    let (cause, fix) = (cause.to_owned(), fix.map(str::to_owned));
    change(shared, session, client_id, |message| {
        message.waiting = Some(Waiting::Owner { cause, fix });
    })
    .await;
}

/// Leaves all prompts that wait for a turn to their owner.
pub(crate) async fn return_all(shared: &Shared, session: &str, cause: &str) {
    for waiting in shared.queue.drain(session) {
        return_to_owner(shared, session, &waiting.client_id, cause).await;
    }
}

/// Changes the message that is shown for a prompt, unless the backend's own has taken its place.
async fn change(shared: &Shared, session: &str, client_id: &str, change: impl FnOnce(&mut Message)) {
    let key = (session.to_owned(), client_id.to_owned());
    let pending = shared.pending_prompts.lock().await;
    let id = pending_prompts::message_id(client_id);
    let found = shared
        .journal
        .look(session, |state| state.message(&id).map(|known| known.message.clone()));
    let Ok(Some(mut message)) = found.await else {
        return;
    };
    // One that an earlier run of the host left is nobody's but its owner's.
    if !pending.contains(&key) && message.waiting.is_none() {
        return;
    }
    change(&mut message);
    log(shared.journal.append(session, vec![Event::Message { message }]).await);
}

pub(crate) async fn withdraw(shared: &Shared, session: &str, client_id: &str) {
    let mut pending = shared.pending_prompts.lock().await;
    pending.remove(&(session.to_owned(), client_id.to_owned()));
    // Where the backend's own took its place there is none of this id.
    let removed = Event::MessageRemoved {
        message: pending_prompts::message_id(client_id),
    };
    log(shared.journal.append(session, vec![removed]).await);
}

/// Logs a write that failed and that nobody waits for.
pub(crate) fn log<T>(result: Result<T, StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "cannot write the journal");
    }
}
