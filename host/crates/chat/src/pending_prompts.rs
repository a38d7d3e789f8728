//! A prompt is shown at once, as a message that only the journal has. When the backend shows the same prompt (known by
//! its client id) under an id of its own, that one takes its place.

use crate::journal::{MessageState, SessionState};
use nexus_model::chat::{Content, Event, Message, Part, Role, SessionEvent, SessionId, Snapshot, Waiting};
use nexus_model::time::Millis;
use nexus_plugin_traits::Prompt;
use std::collections::HashSet;

/// `PendingPrompts` are prompts (session, client id) of this run of the host that the backend has not shown yet.
pub(crate) type PendingPrompts = HashSet<(SessionId, String)>;

/// `OWN` begins the ids of messages that only the host has.
const OWN: &str = "local-";

pub(crate) fn message_id(client_id: &str) -> String {
    format!("{OWN}{client_id}")
}

/// Tells whether a message of this id is one that only the host has.
pub(crate) fn is_own_id(message: &str) -> bool {
    message.starts_with(OWN)
}

pub(crate) fn is_pending(message: &Message) -> bool {
    message.role == Role::User
        && message
            .client_id
            .as_deref()
            .is_some_and(|id| message.id == message_id(id))
}

/// Makes the message of a prompt; `completed_at`: the backend has it.
pub(crate) fn message(client_id: &str, now: Millis) -> Message {
    Message {
        client_id: Some(client_id.to_owned()),
        ..Message::new(message_id(client_id), Role::User, now)
    }
}

/// `parts` are the text and the files of a prompt.
pub(crate) fn parts(prompt: &Prompt) -> Vec<Part> {
    let message = message_id(&prompt.client_id);
    let part = |id: String, content: Content| Part {
        id,
        message: message.clone(),
        revision: 1,
        closed: true,
        content,
    };
    let text = part(format!("{message}-text"), Content::Text { text: prompt.shown() });
    let files = prompt.attachments.iter().enumerate().map(|(at, kept)| {
        let content = Content::Attachment(kept.clone());
        part(format!("{message}-file-{at}"), content)
    });
    std::iter::once(text).chain(files).collect()
}

/// `restored` is the prompt that a message was made of, where its client sends no more than the id again.
pub(crate) fn restored(known: &MessageState, prompt: &mut Prompt) {
    for part in &known.parts {
        if let (Content::Text { text }, None) = (&part.content, &known.message.options.command) {
            prompt.text.clone_from(text);
        }
    }
    prompt.attachments = (known.parts.iter())
        .filter_map(|part| match &part.content {
            Content::Attachment(kept) => Some(kept.clone()),
            _ => None,
        })
        .collect();
    prompt.options.clone_from(&known.message.options);
}

/// Puts the removal of a local message before the message that takes its place.
pub(crate) fn supersede(events: Vec<SessionEvent>, pending: &mut PendingPrompts) -> Vec<SessionEvent> {
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        if let Event::Message { message } = &event.event
            && let Some(client_id) = shown_prompt(message)
            && pending.remove(&(event.session.clone(), client_id.to_owned()))
        {
            let removed = Event::MessageRemoved {
                message: message_id(client_id),
            };
            out.push(SessionEvent {
                session: event.session.clone(),
                event: removed,
            });
        }
        out.push(event);
    }
    out
}

/// Tells whether an event could be such a message.
pub(crate) fn concerns(event: &SessionEvent) -> bool {
    matches!(&event.event, Event::Message { message } if shown_prompt(message).is_some())
}

fn shown_prompt(message: &Message) -> Option<&str> {
    message
        .client_id
        .as_deref()
        .filter(|_| message.role == Role::User && !is_pending(message))
}

/// `given_back` is a prompt of an earlier run that nobody sends any more, as its owner's; `None`: it is not one.
fn given_back(message: &Message, being_sent: bool) -> Option<Message> {
    let owned = matches!(message.waiting, Some(Waiting::Owner { .. }));
    let left = !being_sent && message.completed_at.is_none() && message.error.is_none() && !owned;
    left.then(|| Message {
        waiting: Some(Waiting::Owner {
            cause: "Nexus stopped before this message was sent.".to_owned(),
            fix: None,
        }),
        ..message.clone()
    })
}

/// `left` gives prompts of an earlier run back to their owner, where the backend has no snapshot that would show them.
pub(crate) fn left(known: &SessionState, pending: &PendingPrompts) -> Vec<Event> {
    let session = known.info.as_ref().map(|info| info.id.clone()).unwrap_or_default();
    let own = known
        .messages
        .iter()
        .map(|known| &known.message)
        .filter(|message| is_pending(message));
    let left = own.filter_map(|message| {
        let key = (session.clone(), message.client_id.clone().unwrap_or_default());
        given_back(message, pending.contains(&key))
    });
    left.map(|message| Event::Message { message }).collect()
}

/// Keeps local messages in the snapshot, and returns the events for those that it has under another id.
pub(crate) fn keep(snapshot: &mut Snapshot, known: &SessionState, pending: &mut PendingPrompts) -> Vec<Event> {
    let mut superseded = Vec::new();
    let session = snapshot.info.id.clone();
    for known in known.messages.iter().filter(|known| is_pending(&known.message)) {
        let (message, parts) = (&known.message, &known.parts);
        let key = (session.clone(), message.client_id.clone().unwrap_or_default());
        if snapshot.messages.iter().any(|(m, _)| m.client_id == message.client_id) {
            pending.remove(&key);
            superseded.push(Event::MessageRemoved {
                message: message.id.clone(),
            });
            continue;
        }
        let message = given_back(message, pending.contains(&key)).unwrap_or_else(|| message.clone());
        let at = snapshot
            .messages
            .partition_point(|(m, _)| m.created_at <= message.created_at);
        snapshot.messages.insert(at, (message, parts.clone()));
    }
    superseded
}
