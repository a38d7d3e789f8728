//! Bringing our record of a session to what the backend says after a connection opened.
//!
//! The backend owns its history, with one exception: what was streaming when it died is not in its database (seen with
//! opencode). So an answer that neither ended nor runs any more is *interrupted*: our text of it is kept, and its tools
//! that ran have failed. Everything else is as the backend has it.

use super::session_state::{MessageState, SessionState};
use nexus_model::chat::{BackendConnection, Content, Event, Message, Part, Role, Snapshot, ToolState, Turn};

const INTERRUPTED: &str = "interrupted";

/// `reconcile` has the events that bring `state` to `snapshot`, whose revisions are lifted already; empty: it is there.
pub(super) fn reconcile(state: &SessionState, snapshot: &Snapshot) -> Vec<Event> {
    let running = snapshot.turn != Turn::Idle;
    let mut events = Vec::new();
    if state.info.as_ref() != Some(&snapshot.info) {
        events.push(Event::Session {
            info: snapshot.info.clone(),
        });
    }
    let last = snapshot.messages.iter().map(|(m, _)| m.id.as_str()).next_back();
    for (message, parts) in &snapshot.messages {
        let live = running && last == Some(message.id.as_str());
        known(state.message(&message.id), message, parts, live, &mut events);
    }
    absent(state, snapshot, running, &mut events);
    for request in &state.requests {
        if !snapshot.requests.iter().any(|a| a.id == request.id) {
            events.push(Event::RequestClosed {
                request: request.id.clone(),
            });
        }
    }
    for request in &snapshot.requests {
        if !state.requests.contains(request) {
            events.push(Event::Request {
                request: request.clone(),
            });
        }
    }
    // How it ended is seen from the last message as it is after all that.
    let mut after = state.clone();
    for event in &events {
        after.apply(event);
    }
    turn(&after, &snapshot.turn, &mut events);
    events
}

/// `settle` is as [`reconcile`], for turn and requests only, from what the backend said when the connection opened.
pub(super) fn settle(state: &SessionState, session: &str, connection: &BackendConnection) -> Vec<Event> {
    let mut events = Vec::new();
    let requests = || {
        connection
            .requests
            .iter()
            .filter(|(id, _)| id == session)
            .map(|(_, request)| request)
    };
    for request in &state.requests {
        if !requests().any(|a| a.id == request.id) {
            events.push(Event::RequestClosed {
                request: request.id.clone(),
            });
        }
    }
    for request in requests() {
        if !state.requests.contains(request) {
            events.push(Event::Request {
                request: request.clone(),
            });
        }
    }
    let theirs = connection
        .running
        .iter()
        .find(|(id, _)| id == session)
        .map_or(Turn::Idle, |(_, turn)| turn.clone());
    let mut after = state.clone();
    if theirs == Turn::Idle {
        for message in &state.messages {
            if ours_alone(message) {
                interrupt(message, &mut events);
            }
        }
        for event in &events {
            after.apply(event);
        }
    }
    turn(&after, &theirs, &mut events);
    events
}

fn ended(message: &Message) -> bool {
    message.completed_at.is_some() || message.error.is_some()
}

/// Tells whether it is an answer that did not end as far as we know.
fn ours_alone(message: &MessageState) -> bool {
    message.message.role != Role::User && !ended(&message.message)
}

fn turn(state: &SessionState, theirs: &Turn, events: &mut Vec<Event>) {
    let was_open = state.turn != Turn::Idle;
    let wanted = if *theirs == Turn::Idle {
        match state.messages.last().map(|m| &m.message) {
            Some(m) if m.role != Role::User && !ended(m) => Turn::Interrupted,
            Some(m) if m.role == Role::User && was_open => Turn::Interrupted, // asked, and never answered
            _ => Turn::Idle,
        }
    } else {
        theirs.clone()
    };
    if state.turn != wanted {
        events.push(Event::Turn { turn: wanted });
    }
}

/// Takes a message that the backend has; `live`: it is being written.
fn known(ours: Option<&MessageState>, theirs: &Message, parts: &[Part], live: bool, events: &mut Vec<Event>) {
    let dead = theirs.role != Role::User && !ended(theirs) && !live;
    let mut message = theirs.clone();
    message.interrupted = dead;
    if let Some(ours) = ours {
        message.client_id = message.client_id.or_else(|| ours.message.client_id.clone());
    }
    if ours.map(|m| &m.message) != Some(&message) {
        events.push(Event::Message { message });
    }
    for part in parts {
        let ours = ours.and_then(|m| m.parts.iter().find(|p| p.id == part.id));
        if let Some(part) = merge(ours, part, dead) {
            events.push(Event::Part { part });
        }
    }
    let Some(ours) = ours else { return };
    for part in ours
        .parts
        .iter()
        .filter(|p| !parts.iter().any(|theirs| theirs.id == p.id))
    {
        if dead {
            events.extend(closed(part).map(|part| Event::Part { part }));
        } else if theirs.completed_at.is_some() {
            events.push(Event::PartRemoved {
                message: part.message.clone(),
                part: part.id.clone(),
            });
        }
    }
}

/// `merge` is what one part shall be; `None`: as it is.
fn merge(ours: Option<&Part>, theirs: &Part, dead: bool) -> Option<Part> {
    let Some(ours) = ours else {
        return if dead {
            Some(closed(theirs).unwrap_or_else(|| theirs.clone()))
        } else {
            Some(theirs.clone())
        };
    };
    // Of this connection, and newer: the snapshot was on its way while we heard more.
    let stale = theirs.revision <= ours.revision;
    let keep = stale || ours.content == theirs.content || loses(&ours.content, theirs, dead);
    let mut part = if keep { ours.clone() } else { theirs.clone() };
    part.revision = part.revision.max(ours.revision + 1);
    if dead && let Some(closed) = closed(&part) {
        part = Part {
            revision: part.revision,
            ..closed
        };
    } else if keep && !stale && theirs.closed && ours.content == theirs.content {
        part.closed = true;
    }
    ((&part.content, part.closed) != (&ours.content, ours.closed)).then_some(part)
}

/// Tells whether taking theirs would lose something that only we have.
fn loses(ours: &Content, theirs: &Part, dead: bool) -> bool {
    match (ours, &theirs.content) {
        (Content::Text { text: ours }, Content::Text { text })
        | (Content::Reasoning { text: ours }, Content::Reasoning { text }) => {
            // A part that is closed in an answer that goes on or has ended is the backend's last word.
            let open = dead || !theirs.closed;
            open && ours.len() >= text.len()
        }
        (Content::Tool(ours), Content::Tool(tool)) => stage(ours.state) > stage(tool.state),
        _ => false,
    }
}

fn stage(state: ToolState) -> u8 {
    match state {
        ToolState::Pending => 0,
        ToolState::Running => 1,
        ToolState::Completed | ToolState::Failed | ToolState::Rejected => 2,
    }
}

/// `closed` is the part as it ends when its answer was interrupted; `None`: it is so already.
fn closed(part: &Part) -> Option<Part> {
    let mut ended = part.clone();
    ended.closed = true;
    if let Content::Tool(tool) = &mut ended.content
        && stage(tool.state) < 2
    {
        tool.state = ToolState::Failed;
        tool.error = Some(INTERRUPTED.into());
    }
    ended.revision += 1;
    ((&ended.content, ended.closed) != (&part.content, part.closed)).then_some(ended)
}

/// Takes our messages that the backend does not have.
fn absent(state: &SessionState, snapshot: &Snapshot, running: bool, events: &mut Vec<Event>) {
    let times = || snapshot.messages.iter().map(|(m, _)| m.created_at);
    // Without `before` the snapshot reaches back to the beginning.
    let from = if snapshot.before.is_some() {
        times().min()
    } else {
        Some(0)
    };
    let newest = times().max();
    for ours in &state.messages {
        let at = ours.message.created_at;
        if snapshot.messages.iter().any(|(m, _)| m.id == ours.message.id) || from.is_none_or(|from| at < from) {
            continue;
        }
        if ours_alone(ours) {
            if !running {
                interrupt(ours, events); // the backend lost it, we did not
            }
        } else if newest.is_some_and(|newest| at < newest) && !ours.message.interrupted {
            events.push(Event::MessageRemoved {
                message: ours.message.id.clone(),
            });
        }
        // Newer than all it has: it lost it, or the snapshot is older than what we heard. Either way it stays.
    }
}

fn interrupt(ours: &MessageState, events: &mut Vec<Event>) {
    if !ours.message.interrupted {
        events.push(Event::Message {
            message: Message {
                interrupted: true,
                ..ours.message.clone()
            },
        });
    }
    events.extend(ours.parts.iter().filter_map(closed).map(|part| Event::Part { part }));
}
