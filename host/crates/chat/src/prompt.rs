//! A prompt on its way: shown at once, admitted once. One that comes while a turn runs waits for its end
//! ([`queue`](super::queue)).
//!
//! The record of what was admitted is the journal itself: a message with the prompt's client id. It is written before the
//! backend is asked, so a host that dies in between asks again with the same id when the client does, and the backend
//! (or the plugin, by looking it up) makes one turn of it.

use super::failed;
use super::local;
use super::port::{State, StoreError};
use super::queue::{self, waiting};
use super::shared::Shared;
use super::status::{ChatError, Phase};
use nexus_model::chat::{Admission, Content, Event, Message, Turn, Waiting, is_client_id};
use nexus_model::digest::{hex, sha256};
use nexus_model::limits;
use nexus_plugin_traits::{CallError, Prompt};
use std::sync::Arc;
use std::time::Duration;

/// How often the backend is asked again where its answer got lost.
const TRIES: u32 = 6;
/// A prompt that was on its way when the plugin fell may be what felled it. After so many falls it is not sent again by
/// itself, so that one prompt cannot use up the plugin's restarts.
const FALLS: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// For a backend that went away in between.
const BACK: Duration = Duration::from_secs(30);

/// `now`: it does not wait for the turn that runs.
pub(super) async fn run(
    shared: Arc<Shared>,
    session: String,
    mut prompt: Prompt,
    now: bool,
) -> Result<Admission, ChatError> {
    if !is_client_id(&prompt.client_id) {
        return Err(ChatError::Refused(
            "A client id is 1 to 128 of A-Z, a-z, 0-9, `_` and `-`.".to_owned(),
        ));
    }
    let gate = shared.prompt_gate(&session, &prompt.client_id);
    let _one_at_a_time = gate.lock().await;

    let state = shared.journal.state(&session).await.map_err(unwritten)?;
    let mut kept = false;
    for (message, parts) in &state.messages {
        if message.client_id.as_ref() != Some(&prompt.client_id) {
            continue;
        }
        if !local::is_local(message)
            || message.completed_at.is_some()
            || !now && shared.queue.holds(&session, &prompt.client_id)
        {
            return Ok(Admission::Duplicate);
        }
        kept = matches!(waiting(message), Some(Waiting::Turn | Waiting::Owner { .. }));
        if let Some(Content::Text { text }) = parts.first().map(|part| &part.content) {
            prompt.text.clone_from(text);
        }
    }
    if let Err(error) = shared.target(&session) {
        if kept {
            leave(&shared, &session, &prompt.client_id, &error.to_string()).await;
        }
        return Err(error);
    }
    if !now && (matches!(state.turn, Turn::Running | Turn::Retrying { .. }) || shared.queue.busy(&session)) {
        return wait(&shared, &session, prompt, &state).await;
    }
    shared.queue.remove(&session, &prompt.client_id);
    hand_over(&shared, &session, &prompt, &state, kept).await
}

/// Keeps it until the turn has ended.
async fn wait(shared: &Arc<Shared>, session: &str, prompt: Prompt, state: &State) -> Result<Admission, ChatError> {
    show(shared, session, &prompt, state, Waiting::Turn).await?;
    let client_id = prompt.client_id.clone();
    if !shared.queue.push(session, prompt) {
        withdraw(shared, session, &client_id).await;
        return Err(ChatError::Refused(format!(
            "{} messages wait for the answer that runs already. Send this one when it has ended.",
            limits::QUEUED_PROMPTS
        )));
    }
    // It may have ended just now.
    tokio::spawn(queue::advance(Arc::clone(shared), session.to_owned()));
    Ok(Admission::Admitted)
}

/// `kept`: it waited before, so it stays whatever comes of it.
async fn hand_over(
    shared: &Arc<Shared>,
    session: &str,
    prompt: &Prompt,
    state: &State,
    kept: bool,
) -> Result<Admission, ChatError> {
    let token = shared.queue.expect(session);
    if let Err(error) = show(shared, session, prompt, state, Waiting::Backend).await {
        shared.queue.met(session, Some(token));
        return Err(error);
    }
    let admission = ask(shared, session, prompt).await;
    if admission == Ok(Admission::Admitted) {
        let before = state.messages.iter().map(|(message, _)| message.clone()).collect();
        tokio::spawn(queue::watch(Arc::clone(shared), session.to_owned(), token, before));
    } else {
        shared.queue.met(session, Some(token));
    }
    let reason = match &admission {
        Ok(Admission::Admitted | Admission::Duplicate) => {
            mark(shared, session, prompt, Ok(())).await;
            return admission;
        }
        Ok(Admission::Unknown(why)) | Err(ChatError::GivenUp(why)) => {
            mark(shared, session, prompt, Err(why.clone())).await;
            return admission;
        }
        Ok(Admission::Refused(why) | Admission::ConsentNeeded { text: why, .. }) => why.clone(),
        Err(error) => error.to_string(),
    };
    if kept {
        leave(shared, session, &prompt.client_id, &reason).await;
        queue::leave(
            shared,
            session,
            "The message before it was not sent, so this was not either.",
        )
        .await;
    } else {
        withdraw(shared, session, &prompt.client_id).await;
    }
    admission
}

/// Takes back what was not handed over yet.
pub(super) async fn take_back(shared: &Shared, session: &str, client_id: &str) -> Result<(), ChatError> {
    let gate = shared.prompt_gate(session, client_id);
    let Ok(_alone) = gate.try_lock() else {
        return Err(ChatError::Refused(
            "It is being sent just now, and cannot be taken back any more.".to_owned(),
        ));
    };
    let state = shared.journal.state(session).await.map_err(unwritten)?;
    let id = local::message_id(client_id);
    let mut messages = state.messages.iter().map(|(message, _)| message);
    if !messages.any(|message| message.id == id && waiting(message).is_some()) {
        return Err(ChatError::NotFound(
            "There is no such message that waits: it was sent, or taken back.".to_owned(),
        ));
    }
    shared.queue.remove(session, client_id);
    withdraw(shared, session, client_id).await;
    Ok(())
}

/// It is its owner's from now on.
pub(super) async fn leave(shared: &Shared, session: &str, client_id: &str, reason: &str) {
    let reason = reason.to_owned();
    change(shared, session, client_id, |message| {
        message.waiting = Some(Waiting::Owner { reason });
    })
    .await;
}

async fn ask(shared: &Shared, session: &str, prompt: &Prompt) -> Result<Admission, ChatError> {
    let (mut tries, mut falls) = (0, 0);
    loop {
        wait_while_held(shared).await;
        let (backend, info) = match shared.target(session) {
            Ok(target) => target,
            // It is open whether an earlier try arrived.
            Err(error) if tries > 0 => return Ok(Admission::Unknown(error.to_string())),
            Err(error) => return Err(error),
        };
        let lost = match backend.prompt(&info, prompt.clone()).await {
            Ok(Admission::Unknown(why)) => why,
            Ok(admission) => return Ok(admission),
            Err(error @ CallError::Crashed(_)) => {
                falls += 1;
                if falls >= FALLS {
                    return Err(ChatError::GivenUp(format!(
                        "It was sent {FALLS} times, and each time {error}. It is not sent again by itself; it may have \
                         arrived all the same."
                    )));
                }
                error.to_string()
            }
            Err(error @ (CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Other(_))) => error.to_string(),
            Err(error) => return Err(failed(error)),
        };
        tries += 1;
        if tries >= TRIES {
            return Ok(Admission::Unknown(lost));
        }
        tracing::info!(
            session,
            why = lost,
            "asking the backend again whether it has the prompt"
        );
        tokio::time::sleep(FIRST_PAUSE * 2u32.pow(tries - 1)).await;
        wait_until_open(shared).await;
    }
}

/// The backend is about to stop or to change: what is asked now is asked of the one that comes.
async fn wait_while_held(shared: &Shared) {
    let mut held = shared.held.subscribe();
    if !*held.borrow() {
        return;
    }
    let _ = tokio::time::timeout(limits::CHAT_DRAIN * 2, held.wait_for(|held| !held)).await;
    if shared.status.borrow().phase != Phase::Stopped {
        wait_until_open(shared).await;
    }
}

async fn wait_until_open(shared: &Shared) {
    let mut active = shared.active.subscribe();
    let _ = tokio::time::timeout(BACK, active.wait_for(|a| a.as_ref().is_some_and(|a| a.open))).await;
}

async fn show(
    shared: &Shared,
    session: &str,
    prompt: &Prompt,
    state: &State,
    waiting: Waiting,
) -> Result<(), ChatError> {
    // It comes after all that is there, also where a clock was set back.
    let others = state.messages.iter().map(|(message, _)| message);
    let others = others.filter(|message| message.client_id.as_ref() != Some(&prompt.client_id));
    let newest = others.map(|message| message.created_at + 1).max().unwrap_or(0);
    let mut message = local::message(&prompt.client_id, shared.clock.now().max(newest));
    message.waiting = Some(waiting);
    let part = local::part(&prompt.client_id, &prompt.text);
    let mut events = vec![Event::Message { message }, Event::Part { part }];
    if let Some(mut info) = shared.listed(session).map(|listed| listed.info)
        && info.title.is_empty()
        && info.parent.is_none()
    {
        info.title = first_words(&prompt.text);
        events.push(Event::Session { info });
    }
    let mut local = shared.local.lock().await;
    shared.journal.append(session, events).await.map_err(unwritten)?;
    local.insert((session.to_owned(), prompt.client_id.clone()));
    Ok(())
}

/// A title for a chat that its backend gave none.
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

/// Whether the backend has it, on the message that is shown, unless the backend's own has taken its place.
async fn mark(shared: &Shared, session: &str, prompt: &Prompt, arrived: Result<(), String>) {
    let now = shared.clock.now();
    change(shared, session, &prompt.client_id, |message| {
        message.waiting = None;
        match arrived {
            Ok(()) => (message.completed_at, message.error) = (Some(now), None),
            Err(why) => message.error = Some(format!("It is not known whether the backend has this. {why}")),
        }
    })
    .await;
}

/// Changes the message that is shown for a prompt, unless the backend's own has taken its place.
async fn change(shared: &Shared, session: &str, client_id: &str, change: impl FnOnce(&mut Message)) {
    let key = (session.to_owned(), client_id.to_owned());
    let local = shared.local.lock().await;
    let Ok(state) = shared.journal.state(session).await else {
        return;
    };
    let id = local::message_id(client_id);
    let Some((mut message, _)) = state.messages.into_iter().find(|(message, _)| message.id == id) else {
        return;
    };
    // One that an earlier run of the host left is nobody's but its owner's.
    if !local.contains(&key) && message.waiting.is_none() {
        return;
    }
    change(&mut message);
    log(shared.journal.append(session, vec![Event::Message { message }]).await);
}

async fn withdraw(shared: &Shared, session: &str, client_id: &str) {
    let mut local = shared.local.lock().await;
    local.remove(&(session.to_owned(), client_id.to_owned()));
    // Where the backend's own took its place there is none of this id.
    let removed = Event::MessageRemoved {
        message: local::message_id(client_id),
    };
    log(shared.journal.append(session, vec![removed]).await);
}

pub(super) fn log(result: Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "the journal could not be written");
    }
}

/// Nothing is sent that could not be kept.
pub(super) fn unwritten(error: StoreError) -> ChatError {
    match error {
        // Of this chat, and for good.
        StoreError::Database(_) => ChatError::Refused(error.to_string()),
        other => ChatError::Unavailable(other.to_string()),
    }
}

/// The same for the same interrupted message.
pub(super) fn continue_id(message: &str) -> String {
    let mut digest = hex(&sha256(&[message.as_bytes()]));
    digest.truncate(32);
    format!("continue-{digest}")
}
