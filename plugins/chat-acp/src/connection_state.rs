//! The open connection to the agent: what its messages do.
//!
//! All sessions share one agent. Each of its sessions belongs to one chat of the host, or waits for one (a spare, which was
//! opened to see what the agent offers).

use crate::agent::Agent;
use crate::chat::{Chat, close_requests, closed, titled};
use crate::content::Files;
use crate::offers::{Offers, What};
use crate::permission::{self, Asked, Waiting};
use crate::rpc::{self, Message, RpcError};
use crate::turn::{self, End, Spent, Turn};
use crate::wire::{PermissionAsked, Prompted, SessionList, Update};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::chat::types::{Event, SessionRef};
use nexus_plugin_api::job::Sender;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// `SESSIONS` is how many sessions of the agent are known at once that no prompt of ours began; [`REQUESTS`] is how many
/// requests of one chat may wait.
const SESSIONS: usize = 16;
const REQUESTS: usize = 64;
/// `ENDED` is how many turns that have ended are kept, for what comes late.
const ENDED: usize = 16;

/// `Outgoing` is a line for the agent.
pub struct Outgoing {
    pub line: Vec<u8>,
    /// `written` is told when the agent has it.
    pub written: Option<Sender<()>>,
}

/// `Waiter` waits for an answer of the agent.
enum Waiter {
    Call(Sender<Result<Value, RpcError>>),
    /// `Turn` is the end of this chat's turn.
    Turn(String),
    /// `Titles` are the names of the agent's sessions, for this chat.
    Titles(String),
}

/// `Session` is a session of the agent.
#[derive(Debug, Default)]
struct Session {
    chat: Option<String>,
    offers: Offers,
}

/// `Connection` is the connection to the agent that runs.
pub struct Connection {
    /// `agent` is what it said of itself; `None`: it has not yet.
    pub agent: Option<Agent>,
    pub outgoing: Sender<Outgoing>,
    pub events: Sender<Vec<Event>>,
    waiters: BTreeMap<u64, Waiter>,
    requests: u64,
    chats: BTreeMap<String, Chat>,
    sessions: BTreeMap<String, Session>,
    /// `latest` is the session that was opened last in each folder.
    latest: BTreeMap<String, String>,
    /// `spares` are the sessions that wait for a chat in their folder.
    spares: BTreeMap<String, String>,
    pub files: Files,
    /// `busy` is what is being done, each for as long as somebody holds it.
    busy: BTreeMap<String, Weak<()>>,
    ids: u64,
    /// `stuck`: the agent does not read what it is sent.
    pub stuck: bool,
}

/// `Output` is what follows from a message: events for the host, and what the log says.
#[derive(Debug, Default)]
pub struct Output {
    pub events: Vec<Event>,
    pub warnings: Vec<String>,
}

impl Connection {
    pub fn new(outgoing: Sender<Outgoing>, events: Sender<Vec<Event>>) -> Self {
        Self {
            agent: None,
            outgoing,
            events,
            waiters: BTreeMap::new(),
            requests: 0,
            chats: BTreeMap::new(),
            sessions: BTreeMap::new(),
            latest: BTreeMap::new(),
            spares: BTreeMap::new(),
            files: Files::default(),
            busy: BTreeMap::new(),
            ids: 0,
            stuck: false,
        }
    }

    /// `id` is unique in all chats, in all connections: `now` tells them apart.
    pub fn id(&mut self, now: u64) -> String {
        self.ids += 1;
        format!("acp-{now}-{:04}", self.ids)
    }

    /// `begin` notes that something is being done for as long as the result is held. `None`: it is already.
    pub fn begin(&mut self, what: &str) -> Option<Rc<()>> {
        self.busy.retain(|_, held| held.strong_count() > 0);
        if self.busy.contains_key(what) {
            return None;
        }
        let held = Rc::new(());
        self.busy.insert(what.to_owned(), Rc::downgrade(&held));
        Some(held)
    }

    fn await_answer(&mut self, method: &str, params: &Value, waiter: Waiter) -> Vec<u8> {
        self.requests += 1;
        self.waiters.insert(self.requests, waiter);
        rpc::request(self.requests, method, params)
    }

    /// `call` is the line of a request whose answer `sender` is given.
    pub fn call(&mut self, method: &str, params: &Value, sender: Sender<Result<Value, RpcError>>) -> Vec<u8> {
        self.await_answer(method, params, Waiter::Call(sender))
    }

    fn send(&mut self, line: Vec<u8>) {
        self.stuck |= self.outgoing.try_send(Outgoing { line, written: None }).is_err();
    }

    fn agent(&self) -> Agent {
        self.agent.clone().unwrap_or_default()
    }

    // ---- Sessions

    pub fn chat(&self, chat: &str) -> Option<&Chat> {
        self.chats.get(chat)
    }

    /// Keeps what the agent says of a session that was opened in a folder. One that was there before says less of what a new
    /// one has.
    pub fn opened(&mut self, session: &str, folder: &str, answer: Value, new: bool) {
        let opened = serde_json::from_value(answer).unwrap_or_default();
        self.sessions
            .entry(session.to_owned())
            .or_default()
            .offers
            .opened(opened);
        if new || !self.latest.contains_key(folder) {
            self.latest.insert(folder.to_owned(), session.to_owned());
        }
    }

    /// Gives a chat a session of the agent. `replaying`: it is to be loaded, and is not to be used before [`Self::loaded`].
    pub fn bind(&mut self, chat: &SessionRef, folder: &str, session: &str, replaying: bool) {
        self.sessions.entry(session.to_owned()).or_default().chat = Some(chat.id.clone());
        let bound = Chat {
            agent_session: session.to_owned(),
            workspace: chat.workspace.clone(),
            folder: folder.to_owned(),
            turn: None,
            requests: BTreeMap::new(),
            spent: Spent::default(),
            replaying,
            preface: None,
            listed_title: None,
        };
        self.chats.insert(chat.id.clone(), bound);
        if !replaying {
            self.ask_titles(&chat.id);
        }
    }

    /// Has the next prompt of a chat begin with a block of content.
    pub fn begin_with(&mut self, chat: &str, preface: Value) {
        if let Some(known) = self.chats.get_mut(chat) {
            known.preface = Some(preface);
        }
    }

    /// Notes that a session was loaded, or, where it was not, takes it from its chat.
    pub fn loaded(&mut self, chat: &str, loaded: bool) {
        if loaded {
            if let Some(known) = self.chats.get_mut(chat) {
                known.replaying = false;
            }
            self.ask_titles(chat);
        } else if let Some(known) = self.chats.remove(chat) {
            self.sessions.remove(&known.agent_session);
        }
    }

    pub fn keep_spare(&mut self, folder: &str, session: &str) {
        self.spares.insert(folder.to_owned(), session.to_owned());
    }

    pub fn take_spare(&mut self, folder: &str) -> Option<String> {
        self.spares.remove(folder)
    }

    /// `offers` are those of the session that was opened last in a folder.
    pub fn offers(&self, folder: &str) -> Option<&Offers> {
        self.sessions
            .get(self.latest.get(folder)?)
            .map(|session| &session.offers)
    }

    /// `chat_offers` are those of a chat's session.
    pub fn chat_offers(&self, chat: &str) -> Option<&Offers> {
        let session = &self.chats.get(chat)?.agent_session;
        self.sessions.get(session).map(|session| &session.offers)
    }

    pub fn session_offers(&mut self, session: &str) -> &mut Offers {
        &mut self.sessions.entry(session.to_owned()).or_default().offers
    }

    fn ask_titles(&mut self, chat: &str) {
        let lists = self
            .agent
            .as_ref()
            .is_some_and(|agent| agent.can.session_capabilities.list.is_some());
        let Some(folder) = self.chats.get(chat).map(|chat| chat.folder.clone()).filter(|_| lists) else {
            return;
        };
        let line = self.await_answer("session/list", &json!({"cwd": folder}), Waiter::Titles(chat.to_owned()));
        self.send(line);
    }

    // ---- Turns

    pub fn is_running(&self, chat: &str) -> bool {
        self.chats
            .get(chat)
            .and_then(|chat| chat.turn.as_ref())
            .is_some_and(Turn::running)
    }

    /// Begins a turn: the line of its prompt, and the events that introduce it.
    pub fn begin_turn(&mut self, chat: &str, blocks: &[Value], now: u64) -> Option<(Vec<u8>, Vec<Event>)> {
        self.forget_ended();
        let id = self.id(now);
        let known = self.chats.get_mut(chat)?;
        let (turn, mut events) = Turn::begin(chat, &known.folder, id, now);
        known.turn = Some(turn);
        let blocks: Vec<&Value> = known.preface.iter().chain(blocks).collect();
        let params = json!({"sessionId": known.agent_session, "prompt": blocks});
        known.preface = None;
        events.extend(self.say_who(chat));
        let line = self.await_answer("session/prompt", &params, Waiter::Turn(chat.to_owned()));
        Some((line, events))
    }

    fn forget_ended(&mut self) {
        let ended = self
            .chats
            .values_mut()
            .filter(|chat| chat.turn.as_ref().is_some_and(|turn| !turn.running()));
        let mut ended: Vec<_> = ended.collect();
        let many = ended.len().saturating_sub(ENDED);
        ended.sort_by_key(|chat| chat.turn.as_ref().map(Turn::began));
        for chat in ended.into_iter().take(many) {
            chat.turn = None;
        }
    }

    /// Ends a turn that the agent will not answer, as one whose prompt did not reach it.
    pub fn abandon(&mut self, chat: &str, now: u64) -> Vec<Event> {
        self.waiters
            .retain(|_, waiter| !matches!(waiter, Waiter::Turn(waiting) if waiting == chat));
        self.end_turn(chat, End::default(), now)
    }

    /// Stops a turn: closes its requests, and tells the agent.
    pub fn cancel(&mut self, chat: &str) -> Vec<Event> {
        let Some(known) = self.chats.get_mut(chat) else {
            return Vec::new();
        };
        let Some(turn) = known.turn.as_mut().filter(|turn| turn.running()) else {
            return Vec::new();
        };
        turn.cancel();
        let session = known.agent_session.clone();
        let (events, answers) = close_requests(chat, known);
        answers.into_iter().for_each(|line| self.send(line));
        self.send(rpc::notification("session/cancel", &json!({"sessionId": session})));
        events
    }

    fn end_turn(&mut self, chat: &str, mut end: End, now: u64) -> Vec<Event> {
        let Some(known) = self.chats.get_mut(chat) else {
            return Vec::new();
        };
        end.cost = known.spent.since();
        let (mut events, answers) = close_requests(chat, known);
        if let Some(turn) = &mut known.turn {
            events.extend(turn.end(end, &mut self.files, now));
        }
        answers.into_iter().for_each(|line| self.send(line));
        events
    }

    fn say_who(&mut self, chat: &str) -> Vec<Event> {
        let Some(known) = self.chats.get_mut(chat) else {
            return Vec::new();
        };
        let offers = self.sessions.get(&known.agent_session).map(|session| &session.offers);
        let current = |what| offers.and_then(|offers| offers.current(what));
        let (model, mode) = (current(What::Model), current(What::Mode));
        match known.turn.as_mut().filter(|turn| turn.running()) {
            Some(turn) => turn.by(model, mode),
            None => Vec::new(),
        }
    }

    // ---- Requests of the agent

    /// Answers a request of the agent: `with` makes the answer, and says whether the owner did not allow the call.
    ///
    /// # Errors
    /// `not-found`: it waits no longer. `invalid`: it is no answer to this request.
    pub fn answer(
        &mut self,
        chat: &str,
        request: &str,
        with: impl FnOnce(&Waiting) -> Result<(Value, bool), String>,
    ) -> Result<Event, Error> {
        let gone = || Error::NotFound("This request waits no longer.".to_owned());
        let known = self.chats.get_mut(chat).ok_or_else(gone)?;
        let waiting = known.requests.get(request).ok_or_else(gone)?;
        let (result, rejected) = with(waiting).map_err(Error::Invalid)?;
        let line = rpc::answer(&waiting.id, &result);
        if let Some(turn) = known.turn.as_mut().filter(|_| rejected) {
            turn.reject(&waiting.call);
        }
        known.requests.remove(request);
        self.send(line);
        Ok(closed(chat, request))
    }

    fn permission(&mut self, id: Value, params: Value, now: u64) -> Vec<Event> {
        let asked: PermissionAsked = serde_json::from_value(params).unwrap_or_default();
        let request = self.id(now);
        let chat = self
            .sessions
            .get(&asked.session_id)
            .and_then(|session| session.chat.clone());
        let known = chat.as_ref().and_then(|chat| self.chats.get_mut(chat));
        let running = known.and_then(|known| {
            let turn = known.turn.as_mut().filter(|turn| turn.running())?;
            Some((turn, &mut known.requests, &known.folder))
        });
        let (Some(chat), Some((turn, requests, folder))) = (&chat, running) else {
            self.send(rpc::refusal(
                &id,
                rpc::INTERNAL,
                "No prompt of this session is being answered.",
            ));
            return Vec::new();
        };
        if turn.is_cancelled() {
            self.send(rpc::answer(&id, &permission::cancelled()));
            return Vec::new();
        }
        if requests.len() >= REQUESTS {
            self.send(rpc::refusal(
                &id,
                rpc::INTERNAL,
                "Too many requests wait for an answer already.",
            ));
            return Vec::new();
        }
        let call = asked.tool_call.tool_call_id.clone();
        let mut events = turn.tool(asked.tool_call, &mut self.files, now);
        let Some(call) = turn.call(&call) else { return events };
        let made = permission::request(Asked {
            id: request.clone(),
            session: chat,
            folder,
            call,
            rpc: id.clone(),
            options: asked.options,
            now,
        });
        match made {
            Ok((made, waiting)) => {
                requests.insert(request, waiting);
                events.push(Event::Request(made));
            }
            Err(why) => self.send(rpc::refusal(&id, rpc::INTERNAL, &why)),
        }
        events
    }

    /// Takes back what the agent does not want to know any more.
    fn withdrawn(&mut self, id: &Value) -> Vec<Event> {
        for (name, chat) in &mut self.chats {
            let found = chat.requests.iter().find(|(_, waiting)| waiting.id == *id);
            if let Some(request) = found.map(|(request, _)| request.clone()) {
                chat.requests.remove(&request);
                let events = vec![closed(name, &request)];
                self.send(rpc::refusal(id, rpc::CANCELLED, "The request was taken back."));
                return events;
            }
        }
        Vec::new()
    }

    // ---- What the agent sends

    /// Takes a message of the agent.
    pub fn received(&mut self, message: Message, now: u64) -> Output {
        let mut output = Output::default();
        match message {
            Message::Response { id, result } => match self.waiters.remove(&id) {
                // Whoever asked may have stopped waiting.
                Some(Waiter::Call(sender)) => drop(sender.try_send(result)),
                Some(Waiter::Turn(chat)) => {
                    output.events = self.prompted(&chat, result, now);
                    self.ask_titles(&chat);
                }
                Some(Waiter::Titles(chat)) => output.events = self.titles(&chat, result.unwrap_or_default()),
                None => output
                    .warnings
                    .push(format!("The agent answered a request that nobody made: {id}")),
            },
            Message::Request { id, method, params } => match method.as_str() {
                "session/request_permission" => output.events = self.permission(id, params, now),
                _ => self.send(rpc::refusal(
                    &id,
                    rpc::METHOD_NOT_FOUND,
                    &format!("Nexus does not offer {method}."),
                )),
            },
            Message::Notification { method, mut params } => match method.as_str() {
                "session/update" => {
                    let session = params
                        .get("sessionId")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned();
                    let update = params.get_mut("update").map(Value::take).unwrap_or_default();
                    match Update::read(update) {
                        Ok(update) => output.events = self.update(&session, update, now),
                        Err(why) => output
                            .warnings
                            .push(format!("An update of the agent was left out: {why}")),
                    }
                }
                "$/cancel_request" => {
                    output.events = self.withdrawn(params.get("requestId").unwrap_or(&Value::Null));
                }
                _ => {}
            },
        }
        output
    }

    fn prompted(&mut self, chat: &str, result: Result<Value, RpcError>, now: u64) -> Vec<Event> {
        let cancelled = self
            .chats
            .get(chat)
            .and_then(|chat| chat.turn.as_ref())
            .is_some_and(Turn::is_cancelled);
        let end = match result {
            Ok(answer) => {
                let prompted: Prompted = serde_json::from_value(answer).unwrap_or_default();
                End {
                    error: turn::stopped(&prompted.stop_reason),
                    usage: prompted.usage,
                    cost: None,
                }
            }
            // Some agents call it an error that they were stopped.
            Err(_) if cancelled => End::default(),
            Err(error) => End {
                error: Some(self.agent().words(&error)),
                ..End::default()
            },
        };
        self.end_turn(chat, end, now)
    }

    fn titles(&mut self, chat: &str, answer: Value) -> Vec<Event> {
        let Some(known) = self.chats.get_mut(chat) else {
            return Vec::new();
        };
        let list: SessionList = serde_json::from_value(answer).unwrap_or_default();
        let here = list
            .sessions
            .into_iter()
            .find(|session| session.session_id == known.agent_session);
        let Some(title) = here.and_then(|session| session.title).filter(|title| !title.is_empty()) else {
            return Vec::new();
        };
        // The first one is what it was called before anything happened in it, mostly a date.
        let before = known.listed_title.replace(title.clone());
        let changed = before.is_some_and(|before| before != title);
        if changed {
            vec![titled(chat, known, title)]
        } else {
            Vec::new()
        }
    }

    fn update(&mut self, session: &str, update: Update, now: u64) -> Vec<Event> {
        if !self.sessions.contains_key(session) {
            let nobodys = self.sessions.values().filter(|session| session.chat.is_none()).count();
            if session.is_empty() || nobodys >= SESSIONS {
                return Vec::new();
            }
        }
        let offers = &mut self.sessions.entry(session.to_owned()).or_default().offers;
        let update = match update {
            Update::Commands(commands) => {
                offers.commands(commands);
                return Vec::new();
            }
            Update::Mode(mode) => {
                offers.mode(mode);
                None
            }
            Update::Options(options) => {
                offers.options(options);
                None
            }
            other => Some(other),
        };
        let Some(chat) = self.sessions.get(session).and_then(|session| session.chat.clone()) else {
            return Vec::new();
        };
        let Some(update) = update else {
            return self.say_who(&chat);
        };
        let Some(known) = self.chats.get_mut(&chat).filter(|chat| !chat.replaying) else {
            return Vec::new();
        };
        let files = &mut self.files;
        match (update, &mut known.turn) {
            (Update::Message(chunk), Some(turn)) => turn.text(chunk, files),
            (Update::Thought(chunk), Some(turn)) => turn.reasoning(chunk, files),
            (Update::Tool(call), Some(turn)) if !call.tool_call_id.is_empty() => turn.tool(*call, files, now),
            (Update::Plan(entries), _) => vec![turn::todo(&chat, entries)],
            (Update::Title(title), _) if !title.is_empty() => vec![titled(&chat, known, title)],
            (Update::Usage(usage), _) => {
                known.spent.update(usage.cost);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
#[path = "connection_state_tests.rs"]
mod tests;
