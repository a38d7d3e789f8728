//! A chat backend that behaves, until a prompt says otherwise:
//!
//! * the name of an [`attack`]: admitted, begins to answer, and then does that; what it survives, it tells. `call trap` and
//!   so on: within the call of `prompt` itself, before it is admitted.
//! * `flood`, `delta-flood`: events without an end, of one part again or of one that grows. `stream N`: N pieces, one every
//!   20 ms, each with the time of its sending. `fast N`: N numbered words, without a pause.
//! * `garbage`: all that the contract says no plugin does, within its own session. `forge SESSION`: events for that one.
//! * `process`: makes sure that its process runs, and answers with `started PID` or `adopted PID`; `other-process`: the
//!   same with another name.
//!
//! Anything else is repeated. What is kept lies in the store, so that a crash loses only the running turn.

#[path = "../../attack.rs"]
mod attack;
mod garbage;

use nexus_plugin_api::caps::{clock, store, types::Error};
use nexus_plugin_api::chat::types::{
    Answer, BackendConnection, BackendError, Content, Delta, Event, Message, MessageWithParts, Part, Role, SessionInfo,
    SessionRef, SessionSnapshot, Turn, TurnState,
};
use nexus_plugin_api::chat::{self, Admission, Availability, CancelReason, Descriptor, Failure, Input, Options};
use nexus_plugin_api::job::{Cancel, Events, HostDisconnected, Job};
use nexus_plugin_api::process::Outcome;
use nexus_plugin_api::{FutureReader, config, history, sessions};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

#[derive(Serialize, Deserialize)]
struct Session {
    id: String,
    title: String,
    created_at: u64,
    turns: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    client_id: String,
    prompt: String,
    answer: String,
    at: u64,
    done: bool,
}

#[derive(Deserialize)]
struct Settings {
    start: String,
}

/// Both ends, kept for ever.
fn open_stream() {
    std::mem::forget(chat::__world::wit_stream::new::<Event>());
}

#[derive(Default)]
struct Shared {
    connected: bool,
    queue: VecDeque<(String, usize)>,
    cancelled: BTreeSet<String>,
    busy: Option<String>,
}

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::default();
}

fn shared<T>(f: impl FnOnce(&mut Shared) -> T) -> T {
    SHARED.with(|shared| f(&mut shared.borrow_mut()))
}

pub struct Plugin;

impl chat::Guest for Plugin {
    async fn describe() -> Descriptor {
        Descriptor {
            title: match config::<Settings>().unwrap().start.as_str() {
                "huge" => "h".repeat(100 << 20),
                "long" => "l".repeat(8 << 20),
                attack => {
                    attack::perform(attack, open_stream).await;
                    "hostile".to_owned()
                }
            },
            example: false,
            refused: Vec::new(),
        }
    }

    async fn check_availability() -> Availability {
        Availability::ready("0.1.0")
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |events, cancel| {
            let result = run(events, cancel).await;
            shared(|s| *s = Shared::default());
            result
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, _: Options) -> Result<Admission, Error> {
        if !shared(|s| s.connected) {
            return Err(Error::Unavailable("not connected yet".to_owned()));
        }
        let text = parts.into_iter().map(|part| match part {
            Input::Text(text) => text,
            Input::Other(ext) => ext.value,
            // It exports none of the interfaces by which these come.
            Input::Attachment(_) | Input::File(_) | Input::Command(_) => String::new(),
        });
        let prompt = text.collect::<String>();
        if let Some(attack) = prompt.strip_prefix("call ") {
            attack::perform(attack, open_stream).await;
        }
        let mut session = load(&s.id).await?;
        if session.turns.iter().any(|turn| turn.client_id == client_id) {
            return Ok(Admission::Duplicate);
        }
        let at = clock::now();
        session.turns.push(Kept {
            client_id,
            prompt,
            answer: String::new(),
            at,
            done: false,
        });
        save(&session).await?;
        shared(|shared| {
            shared.cancelled.remove(&s.id);
            shared.queue.push_back((s.id, session.turns.len() - 1));
        });
        Ok(Admission::Admitted)
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        shared(|shared| {
            shared.queue.retain(|(session, _)| *session != s.id);
            shared.cancelled.insert(s.id);
        });
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(request))
    }
}

impl history::Guest for Plugin {
    async fn snapshot(s: SessionRef, _before: Option<String>) -> Result<SessionSnapshot, Error> {
        let session = load(&s.id).await?;
        let busy = shared(|shared| shared.busy.as_ref() == Some(&s.id));
        let messages = (0..session.turns.len()).flat_map(|turn| messages_of(&session, turn, 1));
        Ok(SessionSnapshot {
            info: info(&session),
            messages: messages
                .map(|(message, part)| MessageWithParts {
                    message,
                    parts: vec![part],
                })
                .collect(),
            turn: if busy { Turn::Running } else { Turn::Idle },
            requests: Vec::new(),
            before: None,
        })
    }
}

impl sessions::Guest for Plugin {
    async fn list(_workspace: String, _limit: u32) -> Result<Vec<SessionInfo>, Error> {
        let mut found = Vec::new();
        for key in store::keys("session-".to_owned(), None).await? {
            found.push(info(&load(&key).await?));
        }
        Ok(found)
    }

    async fn create(_workspace: String, title: Option<String>) -> Result<SessionInfo, Error> {
        let created_at = clock::now();
        let count = store::keys("session-".to_owned(), None).await?.len();
        let id = format!("session-{created_at}-{count}");
        let session = Session {
            id,
            title: title.unwrap_or_default(),
            created_at,
            turns: Vec::new(),
        };
        save(&session).await?;
        Ok(info(&session))
    }

    async fn rename(s: SessionRef, title: String) -> Result<(), Error> {
        let session = load(&s.id).await?;
        save(&Session { title, ..session }).await
    }

    async fn delete(s: SessionRef) -> Result<(), Error> {
        store::delete(s.id).await
    }
}

#[cfg(target_family = "wasm")]
nexus_plugin_api::export_chat!(Plugin with sessions, history);

async fn run(mut events: Events<Event>, mut cancel: Cancel) -> Result<(), Failure> {
    let connection = BackendConnection {
        id: clock::now().to_string(),
        version: "0.1.0".to_owned(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    let work = async {
        events.send(Event::Opened(connection)).await?;
        shared(|shared| shared.connected = true);
        loop {
            match shared(|shared| shared.queue.pop_front()) {
                Some((session, turn)) => speak(&mut events, &session, turn).await?,
                None => clock::sleep(10).await,
            }
        }
    };
    // The end of the type's choices: it never ends by itself.
    let _: Option<Result<(), HostDisconnected>> = cancel.select(work).await;
    Ok(())
}

/// One turn.
async fn speak(events: &mut Events<Event>, id: &str, turn: usize) -> Result<(), HostDisconnected> {
    let Ok(mut session) = load(id).await else { return Ok(()) };
    shared(|shared| shared.busy = Some(id.to_owned()));
    events.send(state(id, Turn::Running)).await?;
    for (message, part) in messages_of(&session, turn, 1) {
        events.send(Event::Message(message)).await?;
        events.send(Event::Part(part)).await?;
    }
    let mut talk = Talk {
        session: id.to_owned(),
        turn,
        revision: 1,
        said: String::new(),
    };
    let prompt = session.turns[turn].prompt.clone();
    talk.say(events, "heard: ").await?;
    match prompt.as_str() {
        "flood" => talk.flood(events, false).await?,
        "delta-flood" => talk.flood(events, true).await?,
        "garbage" => {
            garbage::send(events, id, &name(id, turn, Role::Assistant)).await?;
            talk.say(events, "sent").await?;
        }
        "process" => talk.say(events, &sleeping("sleep").await).await?,
        "other-process" => talk.say(events, &sleeping("other").await).await?,
        other => {
            if let Some(session) = other.strip_prefix("forge ") {
                garbage::forge(events, session).await?;
                talk.say(events, "sent").await?;
            } else if let Some(count) = other.strip_prefix("stream ") {
                for _ in 0..count.parse::<u32>().unwrap_or(0) {
                    clock::sleep(20).await;
                    talk.say(events, &format!("{}\n", clock::now())).await?;
                }
            } else if let Some(count) = other.strip_prefix("fast ") {
                for n in 0..count.parse::<u32>().unwrap_or(0) {
                    talk.say(events, &format!("word{n} ")).await?;
                }
            } else {
                let words = attack::perform(other, open_stream).await;
                talk.say(events, words.as_deref().unwrap_or(other)).await?;
            }
        }
    }
    session.turns[turn].answer.clone_from(&talk.said);
    session.turns[turn].done = true;
    let kept = save(&session).await;
    for (message, part) in messages_of(&session, turn, talk.revision + 1).into_iter().skip(1) {
        events.send(Event::Part(part)).await?;
        events.send(Event::Message(message)).await?;
    }
    if let Err(error) = kept {
        let error = BackendError {
            session: Some(id.to_owned()),
            text: format!("{error:?}"),
        };
        events.send(Event::Error(error)).await?;
    }
    shared(|shared| shared.busy = None);
    events.send(state(id, Turn::Idle)).await
}

/// The answer that grows.
struct Talk {
    session: String,
    turn: usize,
    revision: u64,
    said: String,
}

impl Talk {
    async fn say(&mut self, events: &mut Events<Event>, text: &str) -> Result<(), HostDisconnected> {
        self.revision += 1;
        self.said.push_str(text);
        let delta = self.delta(text);
        events.send(delta).await
    }

    fn delta(&self, text: &str) -> Event {
        let message = name(&self.session, self.turn, Role::Assistant);
        Event::Delta(Delta {
            part: format!("{message}-text"),
            message,
            session: self.session.clone(),
            revision: self.revision,
            text: text.to_owned(),
        })
    }

    /// Until the turn is cancelled.
    async fn flood(&mut self, events: &mut Events<Event>, growing: bool) -> Result<(), HostDisconnected> {
        while !shared(|shared| shared.cancelled.contains(&self.session)) {
            let mut batch = Vec::new();
            for _ in 0..64 {
                self.revision += 1;
                batch.push(if growing {
                    self.delta(&"x".repeat(1024))
                } else {
                    let mut part = part(&self.session, self.turn, Role::Assistant, self.revision);
                    part.content = Content::Text("x".repeat(1024));
                    Event::Part(part)
                });
            }
            events.send_all(batch).await?;
        }
        Ok(())
    }
}

async fn sleeping(name: &str) -> String {
    match attack::sleeping(name).await {
        Ok(running) if running.outcome == Outcome::Started => format!("started {}", running.pid),
        Ok(running) => format!("adopted {}", running.pid),
        Err(error) => attack::words(error),
    }
}

fn state(session: &str, turn: Turn) -> Event {
    Event::Turn(turn_of(session, turn))
}

fn turn_of(session: &str, turn: Turn) -> TurnState {
    TurnState {
        session: session.to_owned(),
        turn,
    }
}

fn name(session: &str, turn: usize, role: Role) -> String {
    let side = if role == Role::User { "q" } else { "z" };
    format!("{session}-{turn:04}-{side}")
}

fn part(session: &str, turn: usize, role: Role, revision: u64) -> Part {
    let message = name(session, turn, role);
    Part {
        id: format!("{message}-text"),
        message,
        session: session.to_owned(),
        revision,
        closed: false,
        content: Content::Text(String::new()),
    }
}

fn messages_of(session: &Session, turn: usize, revision: u64) -> [(Message, Part); 2] {
    let kept = &session.turns[turn];
    [Role::User, Role::Assistant].map(|role| {
        let (text, closed, client_id) = match role {
            Role::User => (&kept.prompt, true, Some(kept.client_id.clone())),
            _ => (&kept.answer, kept.done, None),
        };
        let message = Message {
            id: name(&session.id, turn, role),
            session: session.id.clone(),
            role,
            created_at: kept.at,
            completed_at: closed.then_some(kept.at),
            error: None,
            model: None,
            agent: None,
            usage: None,
            client_id,
            ext: Vec::new(),
        };
        let part = Part {
            closed,
            content: Content::Text(text.clone()),
            ..part(&session.id, turn, role, revision)
        };
        (message, part)
    })
}

fn info(session: &Session) -> SessionInfo {
    SessionInfo {
        title: session.title.clone(),
        created_at: session.created_at,
        updated_at: session.turns.last().map_or(session.created_at, |turn| turn.at),
        ..info_of(&session.id)
    }
}

fn info_of(session: &str) -> SessionInfo {
    SessionInfo {
        ref_: SessionRef {
            workspace: String::new(),
            id: session.to_owned(),
        },
        parent: None,
        title: String::new(),
        created_at: 0,
        updated_at: 0,
        archived: false,
        reverted: None,
        ext: Vec::new(),
    }
}

async fn load(id: &str) -> Result<Session, Error> {
    let bytes = store::get(id.to_owned()).await?;
    let bytes = bytes.ok_or_else(|| Error::NotFound(format!("there is no session {id}")))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::Other(e.to_string()))
}

async fn save(session: &Session) -> Result<(), Error> {
    let bytes = serde_json::to_vec(session).map_err(|e| Error::Other(e.to_string()))?;
    store::set(session.id.clone(), bytes).await
}
