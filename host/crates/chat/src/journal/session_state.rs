//! The fold: what a session is after a number of events. Pure; the page and programs can do the same.

use super::entry::Seq;
use nexus_model::chat::{
    AgentRequest, Content, Event, Ext, FileChange, LastError, Message, Part, Role, SessionInfo, TodoItem, Turn,
};
use nexus_model::limits::{AGENT_REQUESTS, AGENT_REQUESTS_BYTES, JOURNAL_PART_BYTES, SESSION_BYTES, SESSION_ROW};
use serde::Serialize;

/// `FULL` is what a session says that takes no more.
pub(super) const FULL: &str = "This chat has reached the maximum size that Nexus stores. Anything after this \
    is not saved. To fix: start a new chat.";
/// `TOO_MANY_REQUESTS` is what one says in which too much waits.
pub(super) const TOO_MANY_REQUESTS: &str = "More requests are open than Nexus shows for one chat. To fix: \
    answer the ones that are shown, or stop the answer.";

/// `TOO_MANY_NOTES` is what one says whose plugin has noted too much of it.
pub(super) const TOO_MANY_NOTES: &str = "The chat plugin reports more values of its own than Nexus stores for one chat. \
    This is a bug of the plugin.";

/// `SessionState` is a session as of event number `seq`. JSON as in [`nexus_model::chat`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SessionState {
    /// `seq` is the number of the last event in it; 0: nobody wrote of the session.
    pub seq: Seq,
    /// `info` describes the session; `None`: nobody has introduced it.
    pub info: Option<SessionInfo>,
    /// `messages` are by time, then as they came.
    pub messages: Vec<MessageState>,
    /// `requests` wait for an answer.
    pub requests: Vec<AgentRequest>,
    /// `turn` is what the agent does.
    pub turn: Turn,
    /// `todo` is what the agent has set itself to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub todo: Vec<TodoItem>,
    /// `changes` are the files that the session has changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FileChange>,
    /// `notes` are what the backend's plugin says of the session that only it has a word for.
    #[serde(skip_serializing_if = "Ext::is_empty")]
    pub notes: Ext,
    /// `error` is what went wrong last, where no message says it.
    pub error: Option<LastError>,
    /// `removed`: the session was deleted, and nothing else of it is there.
    pub removed: bool,
    /// `bytes` is the size of messages and parts, with [`SESSION_ROW`] for each.
    #[serde(skip)]
    pub(super) bytes: usize,
}

/// `MessageState` is a message with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageState {
    /// `message` is the message itself.
    #[serde(flatten)]
    pub message: Message,
    /// `parts` are in the order in which they came.
    pub parts: Vec<Part>,
}

impl SessionState {
    /// Applies event number `seq`; one that was applied already changes nothing. False: nothing changed, and the event
    /// needs no number.
    pub fn advance(&mut self, seq: Seq, event: &Event) -> bool {
        if seq <= self.seq || !self.apply(event) {
            return false;
        }
        self.seq = seq;
        true
    }

    /// Applies an event. False: it changed nothing. A part or delta whose revision is not above the part's own is such.
    pub fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Session { info } => self.besides(|state| replace(&mut state.info, Some(info))),
            Event::SessionRemoved => {
                let was = self.removed;
                *self = Self {
                    seq: self.seq,
                    info: self.info.take(),
                    removed: true,
                    ..Self::default()
                };
                !was
            }
            Event::Message { message } => self.put_message(message),
            Event::MessageRemoved { message } => {
                let gone = self.message(message).map_or(0, MessageState::bytes);
                self.bytes = self.bytes.saturating_sub(gone);
                remove(&mut self.messages, |m| m.message.id == *message)
            }
            Event::Part { part } => self.put_part(part),
            Event::Delta {
                part,
                message,
                revision,
                text,
            } => self.add_text(part, message, *revision, text),
            Event::PartRemoved { message, part } => {
                let Some(m) = self.message_mut(message) else {
                    return false;
                };
                let gone: usize = m.parts.iter().filter(|p| p.id == *part).map(part_bytes).sum();
                let removed = remove(&mut m.parts, |p| p.id == *part);
                self.bytes = self.bytes.saturating_sub(gone);
                removed
            }
            Event::Request { request } => match self.requests.iter_mut().find(|a| a.id == request.id) {
                Some(known) => set(known, request),
                None => {
                    self.requests.push(request.clone());
                    true
                }
            },
            Event::RequestClosed { request } => remove(&mut self.requests, |a| a.id == *request),
            Event::Turn { turn } => {
                let cleared = *turn == Turn::Running && self.error.take().is_some();
                set(&mut self.turn, turn) || cleared
            }
            Event::Todo { items } => self.besides(|state| set(&mut state.todo, items)),
            Event::Changes { files } => self.besides(|state| set(&mut state.changes, files)),
            Event::Note { ext } => self.besides(|state| state.notes.put(ext)),
            Event::Error { message, text } => {
                let said = self.says(text);
                let about = message.as_ref().and_then(|id| self.message_mut(id));
                if let Some(known) = about {
                    return replace(&mut known.message.error, Some(text));
                }
                let trouble = LastError {
                    text: text.clone(),
                    message: message.clone(),
                };
                !said && replace(&mut self.error, Some(&trouble))
            }
        }
    }

    /// `refuses` says why this event is one too many, if it is: that is said in its place.
    pub(super) fn refuses(&self, event: &Event) -> Option<&'static str> {
        match event {
            Event::Message { .. } | Event::Part { .. } | Event::Delta { .. } => {
                (self.bytes.saturating_add(event.size()) > SESSION_BYTES).then_some(FULL)
            }
            Event::Request { request } if self.requests.iter().all(|known| known.id != request.id) => {
                let bytes: usize = self.requests.iter().map(AgentRequest::size).sum();
                let too_many = self.requests.len() >= AGENT_REQUESTS
                    || bytes.saturating_add(request.size()) > AGENT_REQUESTS_BYTES;
                (too_many && !self.requests.is_empty()).then_some(TOO_MANY_REQUESTS)
            }
            Event::Note { ext } => self.notes.with(ext).is_none().then_some(TOO_MANY_NOTES),
            _ => None,
        }
    }

    /// Fills in what an event leaves open and the session knows: a title, where the backend has none, is what people
    /// saw so far.
    pub(super) fn complete(&self, event: &mut Event) {
        if let (Event::Session { info }, Some(known)) = (event, &self.info)
            && info.title.is_empty()
        {
            info.title.clone_from(&known.title);
        }
    }

    /// Tells whether a backend says again, in another connection, how a part ended.
    pub(super) fn repeats(&self, event: &Event) -> bool {
        let Event::Part { part } = event else { return false };
        let known = self
            .message(&part.message)
            .and_then(|m| m.parts.iter().rev().find(|p| p.id == part.id));
        known.is_some_and(|known| known.closed && part.closed && known.content == part.content)
    }

    /// Finds a message. It looks at the last one first, for it is mostly the one.
    pub fn message(&self, id: &str) -> Option<&MessageState> {
        self.messages.iter().rev().find(|m| m.message.id == id)
    }

    fn message_mut(&mut self, id: &str) -> Option<&mut MessageState> {
        self.messages.iter_mut().rev().find(|m| m.message.id == id)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.messages.iter().flat_map(|m| &m.parts)
    }

    pub(super) fn part_ids(&self, message: &str) -> Vec<String> {
        self.message(message)
            .map(|m| m.parts.iter().map(|p| p.id.clone()).collect())
            .unwrap_or_default()
    }

    /// Tells whether the last answer says this itself.
    fn says(&self, text: &str) -> bool {
        let answer = self
            .messages
            .iter()
            .rev()
            .map(|m| &m.message)
            .find(|m| m.role != Role::User);
        answer.is_some_and(|answer| answer.error.as_deref() == Some(text))
    }

    /// Changes what a session holds besides its messages, and counts it.
    fn besides(&mut self, change: impl FnOnce(&mut Self) -> bool) -> bool {
        let before = self.besides_bytes();
        let changed = change(self);
        self.bytes = self.bytes.saturating_sub(before) + self.besides_bytes();
        changed
    }

    fn besides_bytes(&self) -> usize {
        let info = self.info.as_ref().map_or(0, |info| info.ext.size());
        let todo: usize = self.todo.iter().map(TodoItem::size).sum();
        let changes: usize = self.changes.iter().map(FileChange::size).sum();
        info + todo + changes + self.notes.size()
    }

    fn put_message(&mut self, message: &Message) -> bool {
        // Backends say it twice: once of the session, once of the message.
        if message.error.is_some() && message.error == self.error.as_ref().map(|error| error.text.clone()) {
            self.error = None;
        }
        let mut parts = Vec::new();
        let known = self.messages.iter().rfind(|m| m.message.id == message.id);
        self.bytes = self
            .bytes
            .saturating_sub(known.map_or(0, |known| message_bytes(&known.message)));
        self.bytes += message_bytes(message);
        if let Some(at) = self.messages.iter().rposition(|m| m.message.id == message.id)
            && let Some(known) = self.messages.get_mut(at)
        {
            if known.message.created_at == message.created_at {
                known.goes_on(message);
                return set(&mut known.message, message);
            }
            parts = self.messages.remove(at).parts; // it takes the place of its time
        }
        self.insert(MessageState {
            message: message.clone(),
            parts,
        });
        true
    }

    fn insert(&mut self, new: MessageState) {
        let at = self
            .messages
            .iter()
            .rposition(|m| m.message.created_at <= new.message.created_at);
        self.messages.insert(at.map_or(0, |at| at + 1), new);
    }

    /// Finds the message that a part came for; where it is not known yet, that is an empty one at the end.
    fn message_for_part(&mut self, id: &str) -> Option<&mut MessageState> {
        if self.message(id).is_none() {
            let created_at = self.messages.last().map_or(0, |m| m.message.created_at);
            let message = Message::new(id.to_owned(), Role::Assistant, created_at);
            self.bytes += message_bytes(&message);
            self.insert(MessageState {
                message,
                parts: Vec::new(),
            });
        }
        self.message_mut(id)
    }

    fn put_part(&mut self, part: &Part) -> bool {
        let Some(message) = self.message_for_part(&part.message) else {
            return false;
        };
        let before = match message.parts.iter_mut().rev().find(|p| p.id == part.id) {
            Some(known) if part.revision <= known.revision => return false,
            Some(known) => {
                let before = part_bytes(known);
                known.clone_from(part);
                before
            }
            None => {
                message.parts.push(part.clone());
                0
            }
        };
        self.bytes = self.bytes.saturating_sub(before) + part_bytes(part);
        true
    }

    fn add_text(&mut self, part: &str, message: &str, revision: u64, text: &str) -> bool {
        let Some(state) = self.message_for_part(message) else {
            return false;
        };
        let Some(known) = state.parts.iter_mut().rev().find(|p| p.id == part) else {
            let content = Content::Text { text: text.to_owned() };
            state.parts.push(Part {
                id: part.to_owned(),
                message: message.to_owned(),
                revision,
                closed: false,
                content,
            });
            self.bytes += SESSION_ROW + text.len();
            return true;
        };
        if known.closed || revision <= known.revision {
            return false;
        }
        match &mut known.content {
            // A part that grows without an end is dropped: nothing of it is shown or kept from there on, but the whole that
            // closes it.
            Content::Text { text: held } | Content::Reasoning { text: held }
                if held.len() + text.len() > JOURNAL_PART_BYTES =>
            {
                return false;
            }
            Content::Text { text: held } | Content::Reasoning { text: held } => held.push_str(text),
            Content::Tool(_) | Content::Attachment { .. } | Content::Compacted | Content::Other { .. } => {
                return false;
            }
        }
        known.revision = revision;
        self.bytes += text.len();
        true
    }
}

/// `part_bytes` is what a part counts in the bytes of a session.
pub(crate) fn part_bytes(part: &Part) -> usize {
    SESSION_ROW + part.content.size()
}

/// `message_bytes` is the same of a message.
pub(crate) fn message_bytes(message: &Message) -> usize {
    SESSION_ROW + message.size()
}

impl MessageState {
    fn bytes(&self) -> usize {
        message_bytes(&self.message) + self.parts.iter().map(part_bytes).sum::<usize>()
    }

    /// Opens again what was taken for interrupted and is written after all: a snapshot may have been older than the
    /// turn. What the host closed then, its last text, is open again, or all that follows of it would be lost.
    fn goes_on(&mut self, now: &Message) {
        let ended = now.completed_at.is_some() || now.error.is_some();
        if !self.message.interrupted || now.interrupted || ended {
            return;
        }
        if let Some(part) = self.parts.last_mut()
            && matches!(part.content, Content::Text { .. } | Content::Reasoning { .. })
        {
            part.closed = false;
        }
    }
}

fn set<T: PartialEq + Clone>(place: &mut T, value: &T) -> bool {
    let changed = place != value;
    if changed {
        place.clone_from(value);
    }
    changed
}

fn replace<T: PartialEq + Clone>(place: &mut Option<T>, value: Option<&T>) -> bool {
    let changed = place.as_ref() != value;
    if changed {
        *place = value.cloned();
    }
    changed
}

fn remove<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool) -> bool {
    let before = list.len();
    list.retain(|item| !is(item));
    list.len() != before
}
