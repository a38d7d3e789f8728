//! A prompt on its way: shown at once, admitted once.
//!
//! The record of what was admitted is the journal itself: a message with the prompt's client id. It is written before the
//! backend is asked, so a host that dies in between asks again with the same id when the client does, and the backend
//! (or the plugin, by looking it up) makes one turn of it.

use super::failed;
use super::local;
use super::shared::Shared;
use super::status::{ChatError, Phase};
use crate::limits;
use crate::model::chat::{Admission, Event};
use crate::runtime::port::{CallError, Prompt};
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

pub(super) async fn run(shared: Arc<Shared>, session: String, prompt: Prompt) -> Result<Admission, ChatError> {
    if !is_client_id(&prompt.client_id) {
        return Err(ChatError::Refused(
            "A client id is 1 to 128 of A-Z, a-z, 0-9, `_` and `-`.".to_owned(),
        ));
    }
    let gate = shared.prompt_gate(&session, &prompt.client_id);
    let _one_at_a_time = gate.lock().await;

    shared.target(&session)?;
    let state = shared.journal.state(&session).await.map_err(ChatError::Unavailable)?;
    let known = state.messages.iter().map(|(message, _)| message);
    let mut same = known.filter(|message| message.client_id.as_ref() == Some(&prompt.client_id));
    if same.any(|message| !local::is_local(message) || message.completed_at.is_some()) {
        return Ok(Admission::Duplicate);
    }
    show(&shared, &session, &prompt).await?;
    let admission = ask(&shared, &session, &prompt).await;
    match &admission {
        Ok(Admission::Admitted | Admission::Duplicate) => mark(&shared, &session, &prompt, Ok(())).await,
        Ok(Admission::Unknown(why)) | Err(ChatError::GivenUp(why)) => {
            mark(&shared, &session, &prompt, Err(why.clone())).await;
        }
        Ok(Admission::Refused(_) | Admission::ConsentNeeded { .. }) | Err(_) => {
            withdraw(&shared, &session, &prompt.client_id).await;
        }
    }
    admission
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

async fn show(shared: &Shared, session: &str, prompt: &Prompt) -> Result<(), ChatError> {
    let message = local::message(&prompt.client_id, shared.clock.now());
    let part = local::part(&prompt.client_id, &prompt.text);
    let mut local = shared.local.lock().await;
    let events = vec![Event::Message { message }, Event::Part { part }];
    shared
        .journal
        .append(session, events)
        .await
        .map_err(ChatError::Unavailable)?;
    local.insert((session.to_owned(), prompt.client_id.clone()));
    Ok(())
}

/// Whether the backend has it, on the message that is shown, unless the backend's own has taken its place.
async fn mark(shared: &Shared, session: &str, prompt: &Prompt, arrived: Result<(), String>) {
    let key = (session.to_owned(), prompt.client_id.clone());
    let local = shared.local.lock().await;
    if !local.contains(&key) {
        return;
    }
    let Ok(state) = shared.journal.state(session).await else {
        return;
    };
    let id = local::message_id(&prompt.client_id);
    let Some((message, _)) = state.messages.into_iter().find(|(message, _)| message.id == id) else {
        return;
    };
    let mut message = message;
    match arrived {
        Ok(()) => (message.completed_at, message.error) = (Some(shared.clock.now()), None),
        Err(why) => message.error = Some(format!("It is not known whether the backend has this. {why}")),
    }
    log(shared.journal.append(session, vec![Event::Message { message }]).await);
}

async fn withdraw(shared: &Shared, session: &str, client_id: &str) {
    let mut local = shared.local.lock().await;
    if local.remove(&(session.to_owned(), client_id.to_owned())) {
        let removed = Event::MessageRemoved {
            message: local::message_id(client_id),
        };
        log(shared.journal.append(session, vec![removed]).await);
    }
}

fn log(result: Result<(), String>) {
    if let Err(error) = result {
        tracing::error!(error, "the journal could not be written");
    }
}

fn is_client_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The same for the same interrupted message.
pub(super) fn continue_id(message: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(message.as_bytes());
    let digest = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("continue-{}", digest.collect::<String>())
}
