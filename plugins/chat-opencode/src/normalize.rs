//! opencode's events as events of the contract: a state machine without I/O.
//!
//! opencode keeps the text of an answer in memory until a part ends, and says it once, as deltas. So the text is kept here, from the one
//! upstream stream, and `snapshot_part` gives it to snapshots. What has to be done in answer to an event comes out as
//! [`Action`]s; the shell does them.
//!
//! Revisions start at the time of the instance, in microseconds, and count up. Fewer than 1,000 changes happen in a
//! millisecond, so the next instance's are higher than all before (an adopted process keeps its connection),
//! and a closed part's revision can be told from the time it ended (see [`closed_revision`]).

use crate::folders::Folders;
use crate::stream_event::{self, Envelope};
use crate::watchdog::Watchdog;
use crate::{convert, permission_request, wire};
use nexus_plugin_api::chat::types::{
    AgentRequest, BackendError, Content, Delta, Event, Message, MessageRef, Part, PartRef, RequestRef, Role,
    SessionChanges, SessionInfo, TodoList, Turn, TurnState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

mod calls;
mod changes;
mod sessions;
mod todos;

use calls::Calls;
use changes::Changes;
pub use changes::Page;
use todos::ReadTodos;

/// `Action` is what the plugin must do after an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `Abort`: the turn of this session must be stopped; the user is told why.
    Abort { session: String, why: String },
    /// `Reject`: a stale request must be rejected.
    Reject { request: String },
    /// `Rename`: opencode changed a title that the owner has just set.
    Rename { session: String, title: String },
    /// `Reverted`: the messages from this one on were reverted, or (none) the revert was undone.
    Reverted {
        session: String,
        revert: Option<wire::Revert>,
    },
    /// `Fetch`: the text of this message has a gap: read the message, and pass it to `restore`.
    Fetch { session: String, message: String },
}

#[derive(Debug, Default)]
pub struct Output {
    pub events: Vec<Event>,
    pub actions: Vec<Action>,
}

/// `OpenPart` is a part that is not closed.
#[derive(Debug)]
struct OpenPart {
    session: String,
    message: String,
    content: Content,
    revision: u64,
    /// `gap`: some deltas were missed, so no more are added until a full text comes.
    gap: bool,
}

#[derive(Debug)]
pub struct Normalizer {
    folders: Folders,
    revision: u64,
    sessions: BTreeMap<String, SessionInfo>,
    turns: BTreeMap<String, Turn>,
    /// `messages` are the messages of running sessions, as last sent.
    messages: BTreeMap<String, Message>,
    open: BTreeMap<String, OpenPart>,
    /// `abandoned` are the parts that a failed attempt left, with their session.
    abandoned: BTreeMap<String, String>,
    calls: Calls,
    changes: Changes,
    todos: ReadTodos,
    /// `read` are the sessions of which every turn was read since the host was last told what they have changed.
    read: BTreeSet<String>,
    requests: BTreeMap<String, AgentRequest>,
    last_error: BTreeMap<String, String>,
    /// `names` are the titles that the owner has just set: session → (title, time).
    names: BTreeMap<String, (String, u64)>,
    reverts: BTreeMap<String, wire::Revert>,
    watchdog: Watchdog,
}

impl Normalizer {
    /// `started`: when this instance began, milliseconds. `folders`: those whose events are applied.
    pub fn new(started: u64, folders: Folders) -> Self {
        Self {
            folders,
            revision: started.saturating_mul(1000),
            sessions: BTreeMap::new(),
            turns: BTreeMap::new(),
            messages: BTreeMap::new(),
            open: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            calls: Calls::default(),
            changes: Changes::default(),
            todos: ReadTodos::default(),
            read: BTreeSet::new(),
            requests: BTreeMap::new(),
            last_error: BTreeMap::new(),
            names: BTreeMap::new(),
            reverts: BTreeMap::new(),
            watchdog: Watchdog::default(),
        }
    }

    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// `folder` is where a session works, as opencode names it; the configured folder for a session that is not known.
    pub fn folder(&self, session: &str) -> &str {
        let info = self.sessions.get(session);
        let folder = info.and_then(|info| self.folders.of(&info.ref_.workspace));
        folder.unwrap_or_else(|| self.folders.first())
    }

    /// `interrupted` marks the open parts as incomplete after a lost connection; running sessions and open requests
    /// must be read again.
    pub fn interrupted(&mut self) {
        self.open.values_mut().for_each(|open| open.gap = true);
        self.changes.interrupted();
        self.todos.clear();
        self.read.clear();
        self.turns.clear();
        self.requests.clear();
    }

    /// Remembers a session, for its place in the tree.
    pub fn learn(&mut self, info: SessionInfo) {
        self.sessions.insert(info.ref_.id.clone(), info);
    }

    /// `unknown_session` is a session that must be read before this event can be assigned to its root.
    pub fn unknown_session(&self, event: &Envelope) -> Option<String> {
        let session = match &event.event {
            stream_event::Event::Permission(permission) => &permission.session,
            stream_event::Event::Question(question) => &question.session,
            _ => return None,
        };
        self.is_watched(&event.directory)
            .then(|| self.unknown_ancestor(session))?
    }

    /// `unknown_ancestor` is the nearest of a session and its ancestors that is not known.
    pub fn unknown_ancestor(&self, session: &str) -> Option<String> {
        let mut id = session.to_owned();
        for _ in 0..=self.sessions.len() {
            match self.sessions.get(&id) {
                None => return Some(id),
                Some(info) => id = info.parent.clone()?,
            }
        }
        None
    }

    pub fn root(&self, session: &str) -> String {
        let mut id = session.to_owned();
        // A cycle cannot be, but must not hang.
        for _ in 0..self.sessions.len() {
            match self.sessions.get(&id).and_then(|info| info.parent.clone()) {
                Some(parent) => id = parent,
                None => break,
            }
        }
        id
    }

    /// `opened` takes the state at the start of a connection, and returns it in the contract's form.
    pub fn opened(
        &mut self,
        statuses: &wire::Statuses,
        permissions: &[wire::Permission],
        questions: &[wire::Question],
        now: u64,
    ) -> (Vec<TurnState>, Vec<AgentRequest>) {
        let running: Vec<TurnState> = statuses
            .iter()
            .map(|(id, s)| TurnState {
                session: id.clone(),
                turn: convert::turn(s),
            })
            .collect();
        for state in &running {
            self.turns.insert(state.session.clone(), state.turn.clone());
        }
        let mut requests: Vec<AgentRequest> = permissions.iter().map(|p| self.permission(p, now)).collect();
        requests.extend(questions.iter().map(|q| self.question(q, now)));
        for request in &requests {
            self.requests.insert(request.id.clone(), request.clone());
        }
        (running, requests)
    }

    pub fn permission(&self, p: &wire::Permission, now: u64) -> AgentRequest {
        let created = self.requests.get(&p.id).map_or(now, |request| request.created_at);
        let called = self.calls.get(p.tool.as_ref());
        let call = permission_request::Call {
            part: called.map(|c| c.part.clone()),
            input: called.and_then(|c| c.input.clone()),
        };
        let folder = self.folders.of(&p.directory).unwrap_or_else(|| self.folders.first());
        permission_request::permission(p, self.root(&p.session), call, folder, created)
    }

    pub fn question(&self, q: &wire::Question, now: u64) -> AgentRequest {
        let created = self.requests.get(&q.id).map_or(now, |request| request.created_at);
        let part = self.calls.get(q.tool.as_ref()).map(|c| c.part.clone());
        convert::question(q, self.root(&q.session), part, created)
    }

    /// `unknown_call` is a permission request whose tool call is not known completely: opencode may send the request
    /// before the call.
    pub fn unknown_call(&self, event: &Envelope) -> Option<wire::Permission> {
        match &event.event {
            stream_event::Event::Permission(p) if self.is_watched(&p.directory) && self.call_is_unknown(p) => {
                Some((**p).clone())
            }
            _ => None,
        }
    }

    pub fn call_is_unknown(&self, p: &wire::Permission) -> bool {
        p.tool.is_some() && self.calls.get(p.tool.as_ref()).is_none_or(|c| c.input.is_none())
    }

    /// `read` takes a page of a session's messages, the newest page first. `revert`: what was taken back of them. False: some that
    /// has to be known is on the pages before.
    pub fn read(&mut self, session: &str, page: Page<'_>, revert: Option<&wire::Revert>) -> bool {
        let complete = self.changes.read(session, page);
        if complete {
            self.read.insert(session.to_owned());
        }
        if let Some(revert) = revert {
            // What an event reported of it is newer.
            self.reverts.entry(session.to_owned()).or_insert_with(|| revert.clone());
        }
        complete
    }

    /// `read_back` begins to read the pages before the newest one of a session. `None`: that is not needed, or is being done.
    pub fn read_back(&mut self, session: &str) -> Option<Rc<()>> {
        self.changes.read_back(session)
    }

    /// `reads` tells whether no event was missed since that reading began.
    pub fn reads(&self, session: &str, token: &Rc<()>) -> bool {
        self.changes.reads(session, token)
    }

    /// `ask_todo`: opencode is being asked what the agent has set itself to do in a session.
    pub fn ask_todo(&mut self, session: &str) {
        self.todos.ask(session);
    }

    /// `read_todo` takes what opencode has answered.
    pub fn read_todo(&mut self, session: &str, items: &[wire::Todo]) {
        self.todos.answered(session, convert::todo(items));
    }

    /// `news` are the events for what snapshots have brought to light beside what is in them: it may have changed while
    /// nobody listened.
    pub fn news(&mut self) -> Vec<Event> {
        let mut out = Output::default();
        let todos = self.todos.take().into_iter();
        let todos = todos.map(|(session, items)| Event::Todo(TodoList { session, items }));
        out.events.extend(todos);
        for session in std::mem::take(&mut self.read) {
            self.tell_changes(&session, &mut out);
        }
        out.events
    }

    /// `learn_calls` remembers the tool calls of a message that was read.
    pub fn learn_calls(&mut self, message: &wire::WithParts) {
        message.parts.iter().for_each(|part| self.calls.learn(part));
    }

    /// `snapshot_part` is a part for a snapshot, with the text that opencode itself has not stored yet. `None`: the
    /// part is not shown.
    pub fn snapshot_part(&self, part: &wire::Part, message: &wire::Message) -> Option<Part> {
        if self.abandoned.contains_key(&part.id) {
            return None;
        }
        let content = convert::content(part, self.folder(&part.session))?;
        let closed = convert::is_complete(part) || message.role == "user" || message.time.completed.is_some();
        let at = part.time.end.or(part.state.as_ref().and_then(|s| s.time.end));
        let at = wire::millis(at.or(message.time.completed).or(message.time.created)).unwrap_or_default();
        let (content, revision) = match self.open.get(&part.id) {
            _ if closed => {
                if matches!(&content, Content::Text(t) | Content::Reasoning(t) if t.is_empty()) {
                    return None;
                }
                (content, closed_revision(at))
            }
            Some(open) => (open.content.clone(), open.revision),
            // Its text is known to nobody but, perhaps, the host: anything the host has is newer.
            None => (content, 1),
        };
        Some(Part {
            id: part.id.clone(),
            message: part.message.clone(),
            session: part.session.clone(),
            revision,
            closed,
            content,
        })
    }

    /// `restore` applies the whole of a message whose text had a gap.
    pub fn restore(&mut self, message: &wire::WithParts) -> Output {
        let mut out = Output::default();
        for part in &message.parts {
            self.part(part, &mut out);
        }
        self.close_message(&message.info, &mut out, true);
        out
    }

    /// `folder` is where an event is from; none is the name of no folder.
    fn is_watched(&self, folder: &str) -> bool {
        !folder.is_empty() && self.folders.of(folder).is_some()
    }

    /// `apply` applies one event of the stream, which is from a folder. An unknown event changes nothing.
    pub fn apply(&mut self, event: stream_event::Event, folder: &str, now: u64) -> Output {
        use stream_event::Event as E;
        let mut out = Output::default();
        if !self.is_watched(folder) {
            return out;
        }
        match event {
            E::Delta(delta) => self.delta(delta, &mut out),
            E::Part(part) => self.part(&part, &mut out),
            E::PartRemoved { session, message, part } => {
                self.open.remove(&part);
                out.events.push(Event::PartRemoved(PartRef { session, message, part }));
            }
            E::Message(info) => self.message(&info, now, &mut out),
            E::MessageRemoved { session, message } => {
                self.open.retain(|_, open| open.message != message);
                self.messages.remove(&message);
                self.changes.removed(&session, &message);
                self.tell_changes(&session, &mut out);
                out.events.push(Event::MessageRemoved(MessageRef { session, message }));
            }
            E::SessionCreated(info) => {
                self.changes.begun(&info.id);
                self.session(&info, now, &mut out);
            }
            E::SessionUpdated(info) => self.session(&info, now, &mut out),
            E::SessionDeleted(id) => {
                self.remove_session(&id);
                self.sessions.remove(&id);
                self.requests.retain(|_, request| request.requested_by != id);
                out.events.push(Event::SessionRemoved(id));
            }
            E::Status { session, status } => self.status(&session, &status, &mut out),
            E::Idle(session) => self.turn(&session, Turn::Idle, &mut out),
            E::Error { session, error } => self.error(session, &error, &mut out),
            E::Permission(permission) => {
                let request = self.permission(&permission, now);
                self.open_request(request, &mut out);
            }
            E::Question(question) => {
                let request = self.question(&question, now);
                self.open_request(request, &mut out);
            }
            E::RequestClosed { session, request } => {
                let known = self.requests.remove(&request);
                let session = known.map_or_else(|| self.root(&session), |known| known.session);
                out.events.push(Event::RequestClosed(RequestRef { session, request }));
            }
            E::Todo { session, items } => {
                let items = convert::todo(&items);
                self.todos.outdated(&session);
                out.events.push(Event::Todo(TodoList { session, items }));
            }
            E::Other => {}
        }
        out
    }

    fn status(&mut self, session: &str, status: &wire::Status, out: &mut Output) {
        let turn = convert::turn(status);
        if let Turn::Retrying(_) = turn {
            self.drop_unfinished(session, out);
        }
        self.turn(session, turn, out);
    }

    /// `drop_unfinished` removes the parts that a failed attempt left; opencode starts new parts and never mentions
    /// these again.
    fn drop_unfinished(&mut self, session: &str, out: &mut Output) {
        let unfinished: Vec<String> = self
            .open
            .iter()
            .filter(|(_, o)| o.session == session)
            .map(|(id, _)| id.clone())
            .collect();
        for id in unfinished {
            if let Some(open) = self.open.remove(&id) {
                self.abandoned.insert(id.clone(), open.session.clone());
                out.events.push(Event::PartRemoved(PartRef {
                    session: open.session,
                    message: open.message,
                    part: id,
                }));
            }
        }
    }

    fn turn(&mut self, session: &str, turn: Turn, out: &mut Output) {
        let idle = turn == Turn::Idle;
        if idle {
            self.watchdog.idle(session);
            self.close_requests(session, out);
        } else {
            self.last_error.remove(session);
        }
        if self.turns.get(session) == Some(&turn) {
            return;
        }
        self.turns.insert(session.to_owned(), turn.clone());
        if idle {
            // After an abort idle comes before the last parts; those are known by what they say of themselves.
            self.messages
                .retain(|_, m| m.session != session || m.completed_at.is_none());
            self.calls.forget(session);
        }
        out.events.push(Event::Turn(TurnState {
            session: session.to_owned(),
            turn,
        }));
    }

    /// `close_requests` closes the requests of an idle session: after an abort, opencode keeps them without an event.
    fn close_requests(&mut self, session: &str, out: &mut Output) {
        let stale: Vec<AgentRequest> = self
            .requests
            .values()
            .filter(|request| request.requested_by == session)
            .cloned()
            .collect();
        for request in stale {
            self.requests.remove(&request.id);
            out.actions.push(Action::Reject {
                request: request.id.clone(),
            });
            out.events.push(Event::RequestClosed(RequestRef {
                session: request.session,
                request: request.id,
            }));
        }
    }

    fn error(&mut self, session: Option<String>, fault: &wire::ErrorInfo, out: &mut Output) {
        if fault.aborted() {
            return; // The user's own doing; the message says it too.
        }
        let words = fault.text();
        let key = session.clone().unwrap_or_default();
        if self.last_error.get(&key) != Some(&words) {
            self.last_error.insert(key, words.clone());
            out.events.push(Event::Error(BackendError { session, text: words }));
        }
    }

    fn message(&mut self, info: &wire::Message, now: u64, out: &mut Output) {
        if let Some(why) = self.watchdog.message(info, now) {
            out.events.push(Event::Error(BackendError {
                session: Some(info.session.clone()),
                text: why.clone(),
            }));
            out.actions.push(Action::Abort {
                session: info.session.clone(),
                why,
            });
        }
        let message = convert::message(info, None);
        let done = info.time.completed.is_some();
        if done {
            self.close_message(info, out, false);
        }
        if self.messages.get(&info.id) != Some(&message) {
            self.messages.insert(info.id.clone(), message.clone());
            out.events.push(Event::Message(message));
        }
        self.changes.learn(info);
        self.tell_changes(&info.session, out);
    }

    fn tell_changes(&mut self, session: &str, out: &mut Output) {
        if let Some(files) = self.changes.news(session, self.reverts.get(session)) {
            out.events.push(Event::Changes(SessionChanges {
                session: session.to_owned(),
                files,
            }));
        }
    }

    /// `close_message` closes the parts of a completed message. `restored`: the message was read completely just now.
    fn close_message(&mut self, info: &wire::Message, out: &mut Output, restored: bool) {
        let open: Vec<String> = self
            .open
            .iter()
            .filter(|(_, o)| o.message == info.id)
            .map(|(id, _)| id.clone())
            .collect();
        let gap = open.iter().any(|id| self.open.get(id).is_some_and(|o| o.gap));
        if gap && !restored {
            out.actions.push(Action::Fetch {
                session: info.session.clone(),
                message: info.id.clone(),
            });
            return;
        }
        for id in open {
            if let Some(open) = self.open.remove(&id) {
                let revision = self.next_revision();
                let (message, session, content) = (open.message, open.session, open.content);
                out.events.push(Event::Part(Part {
                    id,
                    message,
                    session,
                    revision,
                    closed: true,
                    content,
                }));
            }
        }
        self.abandoned.retain(|_, session| *session != info.session);
    }

    fn part(&mut self, part: &wire::Part, out: &mut Output) {
        if part.call.is_some() && part.kind == "tool" {
            self.calls.learn(part);
            self.watchdog.tool(&part.session);
        }
        let Some(content) = convert::content(part, self.folder(&part.session)) else {
            return;
        };
        if self.abandoned.contains_key(&part.id) {
            // An abort while it waits to try again makes the last attempt's text final after all.
            if !convert::is_complete(part) || part.text.is_empty() {
                return;
            }
            self.abandoned.remove(&part.id);
        }
        let user = self.messages.get(&part.message).is_some_and(|m| m.role == Role::User);
        let closed = user || convert::is_complete(part);
        let revision = self.next_revision();
        if closed {
            self.open.remove(&part.id);
        } else {
            let (session, message) = (part.session.clone(), part.message.clone());
            self.open.insert(
                part.id.clone(),
                OpenPart {
                    session,
                    message,
                    content: content.clone(),
                    revision,
                    gap: false,
                },
            );
        }
        out.events.push(Event::Part(Part {
            id: part.id.clone(),
            message: part.message.clone(),
            session: part.session.clone(),
            revision,
            closed,
            content,
        }));
    }

    fn delta(&mut self, delta: stream_event::Delta, out: &mut Output) {
        let stream_event::Delta {
            part,
            field,
            text: more,
        } = delta;
        if field != "text" {
            return;
        }
        let revision = self.next_revision();
        // A part whose beginning was missed says its whole text when it ends.
        let Some(open) = self.open.get_mut(&part).filter(|open| !open.gap) else {
            return;
        };
        match &mut open.content {
            Content::Text(text) | Content::Reasoning(text) => text.push_str(&more),
            _ => return,
        }
        open.revision = revision;
        let (message, session) = (open.message.clone(), open.session.clone());
        out.events.push(Event::Delta(Delta {
            part,
            message,
            session,
            revision,
            text: more,
        }));
    }

    fn open_request(&mut self, request: AgentRequest, out: &mut Output) {
        if !self.requests.contains_key(&request.id) {
            self.requests.insert(request.id.clone(), request.clone());
            out.events.push(Event::Request(request));
        }
    }

    fn remove_session(&mut self, session: &str) {
        self.open.retain(|_, open| open.session != session);
        self.messages.retain(|_, m| m.session != session);
        self.abandoned.retain(|_, s| s != session);
        self.calls.forget(session);
        self.changes.forget(session);
        self.todos.outdated(session);
        self.read.remove(session);
        self.turns.remove(session);
        self.last_error.remove(session);
        self.names.remove(session);
        self.reverts.remove(session);
        self.watchdog.idle(session);
    }

    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }
}

/// `closed_revision` is the revision of a part that ended at `at`: the same at each call, and above the earlier ones of
/// the part.
pub fn closed_revision(at: u64) -> u64 {
    at.saturating_mul(1000).saturating_add(999)
}
