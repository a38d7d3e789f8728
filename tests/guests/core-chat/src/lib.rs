//! A chat backend that has nothing but the core interface: no sessions, no history, no questions. It keeps nothing, and
//! answers with the messages as the host gives them back.

use nexus_plugin_api::FutureReader;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{
    Answer, BackendConnection, Content, Event, Message, Part, Role, SessionRef, Turn, TurnState,
};
use nexus_plugin_api::chat::{self, Admission, Availability, CancelReason, Descriptor, Input, Options, transcript};
use nexus_plugin_api::job::{Job, Sender, channel};
use std::cell::RefCell;

thread_local! {
    /// Leads to `events` while it is connected: a session that has a prompt, and the prompt's id.
    static WORK: RefCell<Option<Sender<(String, String)>>> = RefCell::default();
}

struct Core;

impl chat::Guest for Core {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "Core".to_owned(),
            example: false,
            refused: Vec::new(),
        }
    }

    async fn check_availability() -> Availability {
        Availability::ready("1")
    }

    async fn events(cancel: FutureReader<CancelReason>) -> Job<Event> {
        chat::job(cancel, async |mut events, mut cancel| {
            let (sender, mut prompts) = channel(8);
            WORK.with_borrow_mut(|work| *work = Some(sender));
            let work = async {
                let opened = BackendConnection {
                    id: clock::now().to_string(),
                    version: "1".to_owned(),
                    running: Vec::new(),
                    requests: Vec::new(),
                };
                events.send(Event::Opened(opened)).await?;
                while let Some((session, prompt)) = prompts.recv().await {
                    for event in answer(&session, &prompt).await {
                        events.send(event).await?;
                    }
                }
                Ok(())
            };
            // A host that has gone and one that cancels: both are a good end.
            let _: Option<Result<(), nexus_plugin_api::job::HostDisconnected>> = cancel.select(work).await;
            WORK.take();
            Ok(())
        })
    }

    async fn prompt(s: SessionRef, client_id: String, _: Vec<Input>, _: Options) -> Result<Admission, Error> {
        let Some(work) = WORK.with_borrow(Clone::clone) else {
            return Err(Error::Unavailable("The core backend is not connected yet.".to_owned()));
        };
        Ok(match work.send((s.id, client_id)).await {
            Ok(()) => Admission::Admitted,
            Err(_) => Admission::Unknown("The connection has ended.".to_owned()),
        })
    }

    async fn cancel(_: SessionRef) -> Result<(), Error> {
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(format!("Nothing waits for an answer to {request:?}.")))
    }
}

nexus_plugin_api::export_chat!(Core);

/// One answer: who said what until now.
async fn answer(session: &str, prompt: &str) -> [Event; 4] {
    let text = match transcript::read(session.to_owned(), None, 100).await {
        Ok(utterances) => utterances
            .iter()
            .map(|u| format!("{}: {}", if u.role == Role::User { "user" } else { "core" }, u.text))
            .collect::<Vec<_>>()
            .join(" | "),
        Err(e) => format!("error: {}", e.text()),
    };
    let now = clock::now();
    let (session, message) = (session.to_owned(), format!("{prompt}-answer"));
    let turn = |turn| {
        Event::Turn(TurnState {
            session: session.clone(),
            turn,
        })
    };
    [
        turn(Turn::Running),
        Event::Message(Message {
            id: message.clone(),
            session: session.clone(),
            role: Role::Assistant,
            created_at: now,
            completed_at: Some(now),
            error: None,
            model: None,
            agent: None,
            usage: None,
            client_id: None,
            ext: Vec::new(),
        }),
        Event::Part(Part {
            id: format!("{message}-text"),
            message,
            session: session.clone(),
            revision: now,
            closed: true,
            content: Content::Text(text),
        }),
        turn(Turn::Idle),
    ]
}
