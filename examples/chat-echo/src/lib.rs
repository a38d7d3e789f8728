//! An example of a chat backend: it repeats what you say. `session` is the logic; this file speaks the contract.
//!
//! The guest has one thread: what its functions share lies in a `thread_local`, and no borrow lives over an `await`. What the
//! others have for `events` goes through a channel, which wakes it.

pub mod session;

use nexus_plugin_api::caps::{clock, store, types::Error};
use nexus_plugin_api::chat::types::{
    Answer, BackendConnection, BackendError, Content, Delta, Event, Message, MessageWithParts, Part, Role, SessionInfo,
    SessionRef, SessionSnapshot, Turn, TurnState,
};
use nexus_plugin_api::chat::{
    self, Admission, Availability, CancelReason, CommandCall, Descriptor, Failure, Input, Options,
};
use nexus_plugin_api::job::{Cancel, Events, HostDisconnected, Job, Sender, channel, retry};
use nexus_plugin_api::{FutureReader, commands, config, history, sessions};
use session::Session;
use std::cell::RefCell;
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Config {
    /// `pause` is the time in milliseconds between two words.
    pause: u64,
}

/// `Work` is what the other functions have for `events`.
enum Work {
    /// `Changed`: the session has another name, or another prompt.
    Changed(SessionInfo),
    /// `Deleted`: the session is no more.
    Deleted(String),
    /// `Answer`: this turn of the session waits for its answer.
    Answer { session: String, turn: usize },
}

/// `WAITING` is how much work may wait; whoever has more waits too.
const WAITING: usize = 64;

/// `Shared` is what the functions of this instance share.
#[derive(Default)]
struct Shared {
    /// `work` leads to `events` while it is connected.
    work: Option<Sender<Work>>,
    /// `cancelled` are the sessions of which turns were canceled, with the number of the first turn that was not.
    cancelled: BTreeMap<String, usize>,
    /// `busy` is the session that is being answered.
    busy: Option<String>,
    count: u64,
}

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::default();
}

fn shared<T>(f: impl FnOnce(&mut Shared) -> T) -> T {
    SHARED.with(|shared| f(&mut shared.borrow_mut()))
}

struct Echo;

impl chat::Guest for Echo {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "Echo".to_owned(),
            example: true,
            refused: Vec::new(),
        }
    }

    async fn check_availability() -> Availability {
        Availability::ready(env!("CARGO_PKG_VERSION"))
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |events, cancel| {
            let result = run(events, cancel).await;
            shared(|s| *s = Shared::default());
            result
        })
    }

    async fn prompt(s: SessionRef, client_id: String, parts: Vec<Input>, _: Options) -> Result<Admission, Error> {
        connected()?;
        let mut text = String::new();
        for part in parts {
            match part {
                Input::Text(more) => text.push_str(&more),
                Input::Command(call) => match repeated(&call) {
                    Some(repeated) => text.push_str(&repeated),
                    None => {
                        return Ok(Admission::Refused(format!(
                            "The echo backend has no command /{}.",
                            call.name
                        )));
                    }
                },
                // The host sends no files to a plugin without `attachments` and `files`.
                Input::Attachment(_) | Input::File(_) => {
                    return Ok(Admission::Refused("The echo backend can only repeat text.".to_owned()));
                }
                Input::Other(ext) => {
                    return Ok(Admission::Refused(format!(
                        "The echo backend cannot repeat {:?}.",
                        ext.name
                    )));
                }
            }
        }
        // Kept first: after a restart the host finds the prompt here, and does not send it again.
        let now = clock::now();
        let asked = update(&s.id, |session| {
            session
                .ask(&client_id, &text, now)
                .then(|| (session.turns.len() - 1, info(session)))
        });
        let Some((turn, info)) = asked.await? else {
            return Ok(Admission::Duplicate);
        };
        let told = hand_over(Work::Changed(info)).await;
        if told && hand_over(Work::Answer { session: s.id, turn }).await {
            Ok(Admission::Admitted)
        } else {
            Ok(Admission::Unknown(
                "The connection ended before the echo backend could answer.".to_owned(),
            ))
        }
    }

    async fn cancel(s: SessionRef) -> Result<(), Error> {
        connected()?;
        let asked = load(&s.id).await?.turns.len();
        shared(|shared| shared.cancelled.insert(s.id, asked));
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(format!(
            "An echo asks nothing, so nothing waits for an answer to {request:?}."
        )))
    }
}

impl history::Guest for Echo {
    async fn snapshot(s: SessionRef, _before: Option<String>) -> Result<SessionSnapshot, Error> {
        let session = load(&s.id).await?;
        let busy = shared(|shared| shared.busy.as_ref() == Some(&s.id));
        let messages = (0..session.turns.len())
            .flat_map(|turn| said(&session, turn, 0))
            .map(|(message, part)| MessageWithParts {
                message,
                parts: vec![part],
            })
            .collect();
        let turn = if busy { Turn::Running } else { Turn::Idle };
        Ok(SessionSnapshot {
            info: info(&session),
            messages,
            turn,
            requests: Vec::new(),
            before: None,
        })
    }
}

impl sessions::Guest for Echo {
    async fn list(_workspace: String, limit: u32) -> Result<Vec<SessionInfo>, Error> {
        let mut found = Vec::new();
        for key in store::keys("session/".to_owned(), None).await? {
            if let Some(id) = key.strip_prefix("session/") {
                found.push(info(&load(id).await?));
            }
        }
        found.sort_by_key(|session| std::cmp::Reverse(session.updated_at));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn create(_workspace: String, title: Option<String>) -> Result<SessionInfo, Error> {
        let now = clock::now();
        let count = shared(|shared| {
            shared.count += 1;
            shared.count
        });
        let session = Session::new(format!("echo-{now}-{count}"), title, now);
        save(&session).await?;
        Ok(info(&session))
    }

    async fn rename(s: SessionRef, title: String) -> Result<(), Error> {
        let now = clock::now();
        let session = update(&s.id, |session| {
            session.title.clone_from(&title);
            session.updated_at = now;
            session.clone()
        })
        .await?;
        // Where nobody listens, the store has the name all the same.
        hand_over(Work::Changed(info(&session))).await;
        Ok(())
    }

    async fn delete(s: SessionRef) -> Result<(), Error> {
        // Before it waits: what is still to be answered finds no session.
        store::delete(key(&s.id)).await?;
        hand_over(Work::Deleted(s.id)).await;
        Ok(())
    }
}

impl commands::Guest for Echo {
    async fn list(_workspace: String) -> Result<Vec<commands::Command>, Error> {
        Ok(vec![commands::Command {
            name: REPEAT.to_owned(),
            description: "Repeats what follows, as often as you say.".to_owned(),
            arguments: Some("TIMES TEXT".to_owned()),
            ext: Vec::new(),
        }])
    }
}

nexus_plugin_api::export_chat!(Echo with sessions, history, commands);

/// `REPEAT` is the command of this backend; [`MOST`] is how often it repeats at most.
const REPEAT: &str = "repeat";
const MOST: usize = 20;

/// `repeated` is the text that a command makes; `None`: there is no such command.
fn repeated(call: &CommandCall) -> Option<String> {
    if call.name != REPEAT {
        return None;
    }
    let (times, text) = call.arguments.trim().split_once(' ').unwrap_or(("1", &call.arguments));
    let times = times.parse().unwrap_or(1).clamp(1, MOST);
    Some(vec![text.trim(); times].join(" "))
}

/// Reports what happens until the host cancels.
async fn run(mut events: Events<Event>, mut cancel: Cancel) -> Result<(), Failure> {
    let config: Config = config().map_err(|e| retry(e.text()))?;
    let started = clock::now();
    let connection = BackendConnection {
        // Nothing of the last instance goes on in this one.
        id: started.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    let work = async {
        // Before the host hears of the connection: its first prompt may come at once.
        let (sender, mut work) = channel(WAITING);
        shared(|shared| shared.work = Some(sender));
        events.send(Event::Opened(connection)).await?;
        while let Some(work) = work.recv().await {
            match work {
                Work::Changed(info) => events.send(Event::Session(info)).await?,
                Work::Deleted(id) => events.send(Event::SessionRemoved(id)).await?,
                Work::Answer { session, turn } => speak(&mut events, &session, turn, config.pause).await?,
            }
        }
        Ok(())
    };
    match cancel.select(work).await {
        // Cancelled, or the host has gone: both are a good end.
        None | Some(Err(HostDisconnected)) => Ok(()),
        Some(Ok(())) => Ok(()),
    }
}

/// Answers one prompt.
async fn speak(events: &mut Events<Event>, id: &str, turn: usize, pause: u64) -> Result<(), HostDisconnected> {
    if is_cancelled(id, turn) {
        return Ok(());
    }
    // A session that was deleted in between needs no answer.
    let Ok(mut session) = load(id).await else { return Ok(()) };
    let Some(prompt) = session.turns.get(turn).map(|t| t.prompt.clone()) else {
        return Ok(());
    };
    let running = |turn| {
        Event::Turn(TurnState {
            session: id.to_owned(),
            turn,
        })
    };
    shared(|s| s.busy = Some(id.to_owned()));
    events.send(running(Turn::Running)).await?;

    // Higher than whatever an instance before used: it began earlier.
    let mut revision = clock::now();
    for (message, part) in said(&session, turn, revision) {
        events.send(Event::Message(message)).await?;
        events.send(Event::Part(part)).await?;
    }
    for word in session::answer(&prompt) {
        if is_cancelled(id, turn) {
            break;
        }
        clock::sleep(pause).await;
        revision += 1;
        let (message, part) = (message_id(id, turn, "a"), part_id(id, turn, "a"));
        let delta = Delta {
            part,
            message,
            session: id.to_owned(),
            revision,
            text: word.clone(),
        };
        events.send(Event::Delta(delta)).await?;
        if let Some(turn) = session.turns.get_mut(turn) {
            turn.answer.push_str(&word);
        }
    }
    let now = clock::now();
    let spoken = session.turns.get(turn).map(|t| t.answer.clone()).unwrap_or_default();
    let kept = update(id, |session| {
        if let Some(turn) = session.turns.get_mut(turn) {
            turn.answer.clone_from(&spoken);
            turn.answered_at = Some(now);
        }
        session.updated_at = now;
        session.clone()
    });
    match kept.await {
        Ok(session) => {
            for (message, part) in said(&session, turn, revision + 1).into_iter().skip(1) {
                events.send(Event::Part(part)).await?;
                events.send(Event::Message(message)).await?;
            }
            events.send(Event::Session(info(&session))).await?;
        }
        // It was deleted while it spoke.
        Err(Error::NotFound(_)) => {}
        Err(e) => {
            let error = BackendError {
                session: Some(id.to_owned()),
                text: format!("Cannot store the answer: {}", e.text()),
            };
            events.send(Event::Error(error)).await?;
        }
    }
    shared(|s| s.busy = None);
    events.send(running(Turn::Idle)).await
}

/// `said` are the prompt and the answer of a turn as messages.
fn said(session: &Session, turn: usize, revision: u64) -> Vec<(Message, Part)> {
    let Some(t) = session.turns.get(turn) else {
        return Vec::new();
    };
    let both = [
        ("q", Role::User, &t.prompt, Some(t.asked_at), Some(t.client_id.clone())),
        ("a", Role::Assistant, &t.answer, t.answered_at, None),
    ];
    both.into_iter()
        .map(|(side, role, text, completed_at, client_id)| {
            let message = Message {
                id: message_id(&session.id, turn, side),
                session: session.id.clone(),
                role,
                created_at: t.asked_at,
                completed_at,
                error: None,
                model: None,
                agent: None,
                usage: None,
                client_id,
                ext: Vec::new(),
            };
            let part = Part {
                id: part_id(&session.id, turn, side),
                message: message.id.clone(),
                session: session.id.clone(),
                // In a snapshot: what is closed is newer than all that was said before.
                revision: if revision == 0 {
                    completed_at.map_or(1, |at| at + 1_000_000)
                } else {
                    revision
                },
                closed: completed_at.is_some(),
                content: Content::Text(text.clone()),
            };
            (message, part)
        })
        .collect()
}

fn message_id(session: &str, turn: usize, side: &str) -> String {
    format!("{session}-{turn:06}-{side}")
}

fn part_id(session: &str, turn: usize, side: &str) -> String {
    format!("{session}-{turn:06}-{side}-text")
}

fn info(session: &Session) -> SessionInfo {
    SessionInfo {
        ref_: SessionRef {
            workspace: String::new(),
            id: session.id.clone(),
        },
        parent: None,
        title: session.title.clone(),
        created_at: session.created_at,
        updated_at: session.updated_at,
        archived: false,
        reverted: None,
        ext: Vec::new(),
    }
}

fn connected() -> Result<(), Error> {
    if shared(|shared| shared.work.is_some()) {
        return Ok(());
    }
    Err(Error::Unavailable("The echo backend is not connected yet.".to_owned()))
}

/// Hands work to `events`, and waits while it has too much. `false`: nobody listens any more.
async fn hand_over(work: Work) -> bool {
    match shared(|shared| shared.work.clone()) {
        Some(sender) => sender.send(work).await.is_ok(),
        None => false,
    }
}

fn is_cancelled(session: &str, turn: usize) -> bool {
    shared(|shared| shared.cancelled.get(session).is_some_and(|first| turn < *first))
}

fn key(session: &str) -> String {
    format!("session/{session}")
}

async fn load(id: &str) -> Result<Session, Error> {
    decode(id, &read(id).await?)
}

async fn save(session: &Session) -> Result<(), Error> {
    store::set(key(&session.id), encode(session)?).await
}

/// Changes a session. Another function may do so at the same time, wherever one waits: then it is retried.
async fn update<T>(id: &str, change: impl Fn(&mut Session) -> T) -> Result<T, Error> {
    loop {
        let before = read(id).await?;
        let mut session = decode(id, &before)?;
        let result = change(&mut session);
        if store::compare_and_set(key(id), Some(before), encode(&session)?).await? {
            return Ok(result);
        }
    }
}

async fn read(id: &str) -> Result<Vec<u8>, Error> {
    let bytes = store::get(key(id)).await?;
    bytes.ok_or_else(|| Error::NotFound(format!("There is no session {id:?}.")))
}

fn decode(id: &str, bytes: &[u8]) -> Result<Session, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Other(format!("The session {id:?} is damaged in the store: {e}")))
}

fn encode(session: &Session) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(session).map_err(|e| Error::Other(e.to_string()))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn handed_over() -> bool {
        let work = pin!(hand_over(Work::Deleted("s".into())));
        match work.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(handed_over) => handed_over,
            Poll::Pending => panic!("there was room for it"),
        }
    }

    #[test]
    fn work_is_handed_over_only_while_the_connection_is_open() {
        assert!(!handed_over(), "not connected");
        let (sender, receiver) = channel(WAITING);
        shared(|shared| shared.work = Some(sender));
        assert!(handed_over());
        drop(receiver);
        assert!(!handed_over(), "the connection has ended");
        shared(|shared| *shared = Shared::default());
    }
}
