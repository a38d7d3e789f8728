//! A chat backend whose answers are what a server sends, so that whoever measures has both ends: each line of the response is
//! `SESSION ANSWER TEXT`, and TEXT is the next piece of that answer. The first line of an answer begins it, and one whose TEXT
//! is empty completes it. Prompts are admitted, and nothing else happens to them.

use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{
    Answer, BackendConnection, Content, Delta, Event, Message, Part, Role, SessionRef, Turn, TurnState,
};
use nexus_plugin_api::chat::{self, Admission, Availability, CancelReason, Descriptor, Failure, Input, Options};
use nexus_plugin_api::http::Request;
use nexus_plugin_api::job::{Events, HostDisconnected, Job, retry};
use nexus_plugin_api::{FutureReader, config};
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Settings {
    url: String,
}

struct Relay;

impl chat::Guest for Relay {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "Relay".to_owned(),
            example: false,
            refused: Vec::new(),
        }
    }

    async fn check_availability() -> Availability {
        Availability::ready("1")
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |mut events, mut cancel| {
            cancel.select(relay(&mut events)).await.unwrap_or(Ok(()))
        })
    }

    async fn prompt(_: SessionRef, _: String, _: Vec<Input>, _: Options) -> Result<Admission, Error> {
        Ok(Admission::Admitted)
    }

    async fn cancel(_: SessionRef) -> Result<(), Error> {
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(format!("Nothing waits for an answer to {request:?}.")))
    }
}

nexus_plugin_api::export_chat!(Relay);

/// Until the server ends its response.
async fn relay(events: &mut Events<Event>) -> Result<(), Failure> {
    let failed = |error: Error| retry(error.text());
    let settings: Settings = config().map_err(failed)?;
    let mut response = Request::get(settings.url).send().await.map_err(failed)?;
    let opened = BackendConnection {
        id: clock::now().to_string(),
        version: "1".to_owned(),
        running: Vec::new(),
        requests: Vec::new(),
    };
    if events.send(Event::Opened(opened)).await.is_err() {
        return Ok(());
    }
    let (mut answers, mut rest) = (BTreeMap::new(), Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        rest.extend(chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let mut words = line.trim_end_matches('\n').splitn(3, ' ');
            if let (Some(session), Some(answer), Some(text)) = (words.next(), words.next(), words.next()) {
                let answer = answers
                    .entry((session.to_owned(), answer.to_owned()))
                    .or_insert_with(|| Answering::new(session, answer));
                if answer.goes_on(events, text).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// An answer that grows.
struct Answering {
    session: String,
    message: String,
    begun: u64,
    /// Of its part, the last one.
    revision: u64,
    text: String,
}

impl Answering {
    fn new(session: &str, answer: &str) -> Self {
        Self {
            session: session.to_owned(),
            message: format!("{session}-{answer}"),
            begun: clock::now(),
            revision: 0,
            text: String::new(),
        }
    }

    async fn goes_on(&mut self, events: &mut Events<Event>, text: &str) -> Result<(), HostDisconnected> {
        if self.revision == 0 {
            events.send(self.turn(Turn::Running)).await?;
            events.send(self.message(None)).await?;
            events.send(self.part(false)).await?;
        }
        if text.is_empty() {
            events.send(self.part(true)).await?;
            events.send(self.message(Some(clock::now()))).await?;
            return events.send(self.turn(Turn::Idle)).await;
        }
        self.revision += 1;
        self.text.push_str(text);
        let delta = Delta {
            part: self.part_id(),
            message: self.message.clone(),
            session: self.session.clone(),
            revision: self.revision,
            text: text.to_owned(),
        };
        events.send(Event::Delta(delta)).await
    }

    fn turn(&self, turn: Turn) -> Event {
        Event::Turn(TurnState {
            session: self.session.clone(),
            turn,
        })
    }

    fn message(&self, completed_at: Option<u64>) -> Event {
        Event::Message(Message {
            id: self.message.clone(),
            session: self.session.clone(),
            role: Role::Assistant,
            created_at: self.begun,
            completed_at,
            error: None,
            model: None,
            agent: None,
            usage: None,
            client_id: None,
            ext: Vec::new(),
        })
    }

    fn part(&mut self, closed: bool) -> Event {
        self.revision += 1;
        Event::Part(Part {
            id: self.part_id(),
            message: self.message.clone(),
            session: self.session.clone(),
            revision: self.revision,
            closed,
            content: Content::Text(self.text.clone()),
        })
    }

    fn part_id(&self) -> String {
        format!("{}-text", self.message)
    }
}
