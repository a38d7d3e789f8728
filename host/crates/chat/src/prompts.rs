//! A prompt on its way: shown at once, admitted once. One that comes while a turn runs waits for its end
//! ([`queue`](crate::queue)).
//!
//! The record of what was admitted is the journal itself: a message with the prompt's client id. It is written before the
//! backend is asked, so a host that dies in between asks again with the same id when the client does, and the backend
//! (or the plugin, by looking it up) makes one turn of it.

use crate::attachments;
use crate::backend_status::Phase;
use crate::error::ChatError;
use crate::journal::{MessageState, SessionState};
use crate::pending_prompts::{is_pending, message_id, restored};
use crate::prompt_messages::{log, return_all, return_to_owner, set_delivery, show, waiting, withdraw};
use crate::shared::Shared;
use futures::future::BoxFuture;
use nexus_model::chat::{Admission, Event, Feature, MessageId, Role, SessionId, Turn, Waiting, is_client_id};
use nexus_model::digest::{hex, sha256};
use nexus_model::time::Millis;
use nexus_model::{backoff, limits};
use nexus_plugin_traits::{CallError, ChatBackend, Prompt};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// `TRIES` is how often the backend is asked again where its answer got lost.
const TRIES: u32 = 6;
/// `CRASHES` is the number of crashes after which a prompt is not sent again by itself. One that was on its way when
/// the plugin crashed may be the cause, and must not use up the plugin's restarts.
const CRASHES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// `BACK` is how long a backend is waited for that became unavailable in between.
const BACK: Duration = Duration::from_secs(30);

/// `Context` is what the session says of a prompt and of the turn that it would come into.
struct Context {
    /// `admitted`: the backend has it, or had.
    admitted: bool,
    /// `shown`: the journal shows it, and the backend does not have it.
    shown: bool,
    /// `kept`: it waited before, so it stays whatever comes of it.
    kept: bool,
    /// `known` is the message that is shown for it.
    known: Option<MessageState>,
    turn_runs: bool,
    /// `earliest` is the time of a message that comes after all that are there, also where a clock was set back.
    earliest: Millis,
    /// `answers` are those that are there.
    answers: HashSet<MessageId>,
}

impl Context {
    fn of(state: &SessionState, client_id: &str) -> Self {
        let mut context = Self {
            admitted: false,
            shown: false,
            kept: false,
            known: None,
            turn_runs: runs(&state.turn),
            earliest: 0,
            answers: answers(state).cloned().collect(),
        };
        for known in &state.messages {
            let message = &known.message;
            if message.client_id.as_deref() != Some(client_id) {
                context.earliest = context.earliest.max(message.created_at + 1);
                continue;
            }
            if !is_pending(message) || message.completed_at.is_some() {
                context.admitted = true;
                continue;
            }
            context.shown = true;
            context.kept = matches!(waiting(message), Some(Waiting::Turn | Waiting::Owner { .. }));
            context.known = Some(known.clone());
        }
        context
    }
}

fn runs(turn: &Turn) -> bool {
    matches!(turn, Turn::Running | Turn::Retrying { .. })
}

fn answers(state: &SessionState) -> impl Iterator<Item = &MessageId> {
    let answers = state.messages.iter().map(|known| &known.message);
    answers
        .filter(|message| message.role != Role::User)
        .map(|message| &message.id)
}

/// Sends a prompt. With `now`, it does not wait for the turn that runs.
pub(crate) async fn run(
    shared: Arc<Shared>,
    session: String,
    mut prompt: Prompt,
    now: bool,
) -> Result<Admission, ChatError> {
    if !is_client_id(&prompt.client_id) {
        return Err(ChatError::Refused(
            "A client id must be 1 to 128 characters of A-Z, a-z, 0-9, `_` and `-`.".to_owned(),
        ));
    }
    let lock = shared.prompt_lock(&session, &prompt.client_id);
    let _one_at_a_time = lock.lock().await;

    let look = |state: &SessionState| Context::of(state, &prompt.client_id);
    let context = shared.journal.look(&session, look).await?;
    let queued = !now && shared.queue.holds(&session, &prompt.client_id);
    if context.admitted || context.shown && queued {
        return Ok(Admission::Duplicate);
    }
    match &context.known {
        Some(known) => restored(known, &mut prompt),
        None => prompt.attachments = attachments::uploaded(&shared, &session, &prompt.attachments).await?,
    }
    let target = shared.target(&session);
    if let Err(error) = target.and_then(|(backend, _)| takes(&*backend, &prompt)) {
        if context.kept {
            return_to_owner(&shared, &session, &prompt.client_id, &error.to_string()).await;
        }
        return Err(error);
    }
    if !now && (context.turn_runs || shared.queue.busy(&session)) {
        return wait(&shared, &session, prompt, &context).await;
    }
    shared.queue.remove(&session, &prompt.client_id);
    hand_over(&shared, &session, &prompt, context).await
}

/// Refuses what the backend has no interface for: it would be lost on the way.
fn takes(backend: &dyn ChatBackend, prompt: &Prompt) -> Result<(), ChatError> {
    let features = backend.features();
    let options = &prompt.options;
    let wanted = [
        (
            options.command.is_some(),
            Feature::Commands,
            "has no commands",
            "`command`",
        ),
        (
            !prompt.attachments.is_empty(),
            Feature::Attachments,
            "takes no files with a prompt",
            "`attachments`",
        ),
        (
            !options.files.is_empty(),
            Feature::Files,
            "cannot be pointed at files",
            "`files`",
        ),
        (
            options.model.is_some() || options.variant.is_some(),
            Feature::Models,
            "does not let you choose the model",
            "`model` and `variant`",
        ),
        (
            options.agent.is_some(),
            Feature::Agents,
            "has no agents to choose from",
            "`agent`",
        ),
    ];
    match wanted
        .iter()
        .find(|(wants, which, ..)| *wants && !features.contains(which))
    {
        None => Ok(()),
        Some((.., lack, keys)) => Err(ChatError::Refused(format!(
            "{} {lack}. To fix: send the prompt without {keys}.",
            backend.title()
        ))),
    }
}

/// Keeps the prompt until the turn has ended.
async fn wait(shared: &Arc<Shared>, session: &str, prompt: Prompt, context: &Context) -> Result<Admission, ChatError> {
    show(shared, session, &prompt, context.earliest, Waiting::Turn).await?;
    let client_id = prompt.client_id.clone();
    if !shared.queue.push(session, prompt) {
        withdraw(shared, session, &client_id).await;
        return Err(ChatError::Refused(format!(
            "{} messages are already queued behind the running answer. Send this one when the answer is finished.",
            limits::QUEUED_PROMPTS
        )));
    }
    // It may have ended just now.
    tokio::spawn(advance(Arc::clone(shared), session.to_owned()));
    Ok(Admission::Admitted)
}

async fn hand_over(
    shared: &Arc<Shared>,
    session: &str,
    prompt: &Prompt,
    context: Context,
) -> Result<Admission, ChatError> {
    let token = shared.queue.expect(session);
    if let Err(error) = show(shared, session, prompt, context.earliest, Waiting::Backend).await {
        shared.queue.turn_started(session, Some(token));
        return Err(error);
    }
    let admission = ask(shared, session, prompt).await;
    if admission == Ok(Admission::Admitted) {
        tokio::spawn(expect_turn(
            Arc::clone(shared),
            session.to_owned(),
            token,
            context.answers,
        ));
    } else {
        shared.queue.turn_started(session, Some(token));
    }
    let cause = match &admission {
        Ok(Admission::Admitted | Admission::Duplicate) => {
            set_delivery(shared, session, prompt, Ok(())).await;
            return admission;
        }
        Ok(Admission::Unknown(cause)) | Err(ChatError::Unconfirmed(cause)) => {
            set_delivery(shared, session, prompt, Err(cause.clone())).await;
            return admission;
        }
        Ok(Admission::Refused(cause) | Admission::ConsentNeeded { text: cause, .. }) => cause.clone(),
        Err(error) => error.to_string(),
    };
    if context.kept {
        return_to_owner(shared, session, &prompt.client_id, &cause).await;
        let cause = "The previous message was not sent.";
        return_all(shared, session, cause).await;
    } else {
        withdraw(shared, session, &prompt.client_id).await;
    }
    admission
}

/// Takes back what was not handed over yet.
pub(crate) async fn take_back(shared: &Shared, session: &str, client_id: &str) -> Result<(), ChatError> {
    let lock = shared.prompt_lock(session, client_id);
    let Ok(_alone) = lock.try_lock() else {
        return Err(ChatError::Refused(
            "The message is already being sent and can no longer be withdrawn.".to_owned(),
        ));
    };
    let id = message_id(client_id);
    let waits = |state: &SessionState| {
        let known = state.message(&id);
        known.is_some_and(|known| waiting(&known.message).is_some())
    };
    if !shared.journal.look(session, waits).await? {
        return Err(ChatError::NotFound(
            "This message is not queued: it was sent or withdrawn.".to_owned(),
        ));
    }
    shared.queue.remove(session, client_id);
    withdraw(shared, session, client_id).await;
    Ok(())
}

async fn ask(shared: &Shared, session: &str, prompt: &Prompt) -> Result<Admission, ChatError> {
    let (mut tries, mut crashes) = (0, 0);
    // Once: where they are gone at a later try, the prompt may have arrived all the same.
    let files = attachments::contents(shared, session, prompt).await?;
    loop {
        wait_while_paused(shared).await;
        let (backend, info) = match shared.target(session) {
            Ok(target) => target,
            // It is open whether an earlier try arrived.
            Err(error) if tries > 0 => return Ok(Admission::Unknown(error.to_string())),
            Err(error) => return Err(error),
        };
        let lost = match backend.prompt(&info, prompt.clone(), files.clone()).await {
            Ok(Admission::Unknown(cause)) => cause,
            Ok(admission) => return Ok(admission),
            Err(error @ CallError::Crashed(_)) => {
                crashes += 1;
                if crashes >= CRASHES {
                    return Err(ChatError::Unconfirmed(format!(
                        "The message was sent {CRASHES} times, and each time {error}. Nexus does not send it again; the \
                         backend may have received it."
                    )));
                }
                error.to_string()
            }
            Err(error @ (CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Other(_))) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        tries += 1;
        if tries >= TRIES {
            return Ok(Admission::Unknown(lost));
        }
        tracing::info!(
            session,
            cause = lost,
            "checking again whether the backend has the prompt"
        );
        tokio::time::sleep(backoff::pause(FIRST_PAUSE, limits::RESTART_MAX, tries)).await;
        wait_until_open(shared).await;
    }
}

/// Waits while the backend is about to stop or to change: what is asked now is asked of the one that comes.
async fn wait_while_paused(shared: &Shared) {
    let mut paused = shared.paused.subscribe();
    if !*paused.borrow() {
        return;
    }
    let _ = tokio::time::timeout(limits::CHAT_DRAIN * 2, paused.wait_for(|paused| !paused)).await;
    if shared.status.borrow().phase != Phase::Stopped {
        wait_until_open(shared).await;
    }
}

async fn wait_until_open(shared: &Shared) {
    let mut active = shared.active.subscribe();
    let _ = tokio::time::timeout(BACK, active.wait_for(|a| a.as_ref().is_some_and(|a| a.open))).await;
}

/// Acts on a turn that changed, once that is written.
pub(crate) fn turned(shared: &Arc<Shared>, session: &str, turn: &Turn) {
    match turn {
        Turn::Running | Turn::Retrying { .. } => {
            shared.queue.turn_started(session, None);
        }
        Turn::Idle | Turn::Interrupted if shared.queue.busy(session) => {
            tokio::spawn(advance(Arc::clone(shared), session.to_owned()));
        }
        Turn::Idle | Turn::Interrupted => {}
    }
}

/// Hands over what waits, where no turn runs.
fn advance(shared: Arc<Shared>, session: SessionId) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Ok(turn) = shared.journal.look(&session, |state| state.turn.clone()).await else {
            return;
        };
        match turn {
            Turn::Running | Turn::Retrying { .. } => {}
            Turn::Interrupted => {
                let cause = "The previous answer was interrupted.";
                return_all(&shared, &session, cause).await;
            }
            Turn::Idle => {
                if let Some(prompt) = shared.queue.next(&session) {
                    // What became of it is on its message.
                    let _ = run(shared, session, prompt, true).await;
                }
            }
        }
    })
}

/// Says so where the turn of a prompt that was handed over does not begin. `before` are the answers that were there.
async fn expect_turn(shared: Arc<Shared>, session: String, token: u64, before: HashSet<MessageId>) {
    tokio::time::sleep(limits::UNANSWERED).await;
    if !shared.queue.turn_started(&session, Some(token)) {
        return;
    }
    let begun = |state: &SessionState| {
        state.turn != Turn::Idle || state.error.is_some() || answers(state).any(|id| !before.contains(id))
    };
    let begun = shared.journal.look(&session, begun).await;
    match begun {
        Err(_) => return,
        Ok(true) => return advance(shared, session).await,
        Ok(false) => {}
    }
    let title = shared.status.borrow().title.clone();
    let text = format!(
        "{title} accepted this message but did not start to answer within {} s. Send it again; if that does not help, \
         start a new chat.",
        limits::UNANSWERED.as_secs()
    );
    tracing::warn!(session, "{text}");
    let error = Event::Error { message: None, text };
    log(shared.journal.append(&session, vec![error]).await);
    let cause = "The previous message was not answered.";
    return_all(&shared, &session, cause).await;
}

/// `continue_id` is the client id of the prompt that continues a message: the same for the same interrupted message.
pub(crate) fn continue_id(message: &str) -> String {
    let mut digest = hex(&sha256(&[message.as_bytes()]));
    digest.truncate(32);
    format!("continue-{digest}")
}
