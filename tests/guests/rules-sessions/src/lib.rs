//! A chat backend that holds sessions and messages, and breaks the rule of `sessions` or `history` that the title of a session
//! names. The session's id begins with the rule. What must not arrive is called `WRONG`.

use nexus_plugin_api::FutureReader;
use nexus_plugin_api::caps::{clock, types::Error};
use nexus_plugin_api::chat::types::{
    AgentRequest, Answer, BackendConnection, Content, Event, Message, MessageWithParts, Part, Permission, RequestKind,
    Role, SessionInfo, SessionRef, SessionSnapshot, Turn, TurnState,
};
use nexus_plugin_api::chat::{self, Admission, Availability, CancelReason, Descriptor, Input, Options};
use nexus_plugin_api::job::{Job, Sender, channel};
use nexus_plugin_api::{history, log, sessions};
use std::cell::RefCell;

thread_local! {
    static SESSIONS: RefCell<Vec<SessionInfo>> = RefCell::default();
    static WORK: RefCell<Option<Sender<String>>> = RefCell::default();
}

struct Plugin;

impl chat::Guest for Plugin {
    async fn describe() -> Descriptor {
        Descriptor {
            title: "Sessions".to_owned(),
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
                    // Of sessions that nobody has.
                    running: vec![TurnState {
                        session: "ghost".to_owned(),
                        turn: Turn::Running,
                    }],
                    requests: vec![request("ghost")],
                };
                events.send(Event::Opened(opened)).await?;
                while let Some(session) = prompts.recv().await {
                    let turn = |turn| {
                        let session = session.clone();
                        Event::Turn(TurnState { session, turn })
                    };
                    events.send_all(vec![turn(Turn::Running), turn(Turn::Idle)]).await?;
                }
                Ok(())
            };
            let _: Option<Result<(), nexus_plugin_api::job::HostDisconnected>> = cancel.select(work).await;
            WORK.take();
            Ok(())
        })
    }

    async fn prompt(s: SessionRef, _: String, _: Vec<Input>, _: Options) -> Result<Admission, Error> {
        let Some(work) = WORK.with_borrow(Clone::clone) else {
            return Err(Error::Unavailable("It is not connected.".to_owned()));
        };
        let _: Result<(), String> = work.send(s.id).await;
        Ok(Admission::Admitted)
    }

    async fn cancel(_: SessionRef) -> Result<(), Error> {
        Ok(())
    }

    async fn reply(_: SessionRef, request: String, _: Answer) -> Result<(), Error> {
        Err(Error::NotFound(request))
    }
}

nexus_plugin_api::export_chat!(Plugin with sessions, history);

fn request(session: &str) -> AgentRequest {
    AgentRequest {
        id: "WRONG".to_owned(),
        session: session.to_owned(),
        requested_by: session.to_owned(),
        kind: RequestKind::Permission(Permission {
            subject: "WRONG".to_owned(),
            detail: String::new(),
            always: Vec::new(),
            changes: Vec::new(),
            details: Vec::new(),
            paths: Vec::new(),
            obeyed: Vec::new(),
        }),
        message: None,
        part: None,
        created_at: 1,
        ext: Vec::new(),
    }
}

fn info(id: &str, title: &str) -> SessionInfo {
    SessionInfo {
        ref_: SessionRef {
            workspace: String::new(),
            id: id.to_owned(),
        },
        parent: None,
        title: title.to_owned(),
        created_at: 1,
        updated_at: 1,
        archived: false,
        reverted: None,
        ext: Vec::new(),
    }
}

impl sessions::Guest for Plugin {
    /// Each three times, and some that are none.
    async fn list(_: String, limit: u32) -> Result<Vec<SessionInfo>, Error> {
        let mut all = vec![
            info("", "WRONG"),
            info("hidden\u{202e}", "WRONG"),
            info(&"i".repeat(513), "WRONG"),
        ];
        SESSIONS.with_borrow(|known| {
            for _ in 0..3 {
                all.extend(known.iter().cloned());
            }
        });
        if SESSIONS.with_borrow(|known| known.iter().any(|one| one.title == "too many")) {
            all.extend((0..limit + 50).map(|n| info(&format!("listed-{n:05}"), "listed")));
        }
        Ok(all)
    }

    async fn create(_: String, title: Option<String>) -> Result<SessionInfo, Error> {
        let title = title.unwrap_or_default();
        if let Some(id) = title.strip_prefix("as ") {
            return Ok(info(id, "WRONG"));
        }
        if title == "none" {
            return Ok(info("", "WRONG"));
        }
        let count = SESSIONS.with_borrow(Vec::len);
        let mut made = info(&format!("{}-{count}", title.replace(' ', "-")), &title);
        if title == "its own parent" {
            made.parent = Some(made.ref_.id.clone());
        }
        SESSIONS.with_borrow_mut(|all| all.push(made.clone()));
        Ok(made)
    }

    async fn rename(_: SessionRef, title: String) -> Result<(), Error> {
        match title.as_str() {
            "not found" => Err(Error::NotFound("It has no such session.".to_owned())),
            _ => Err(Error::Other("It renames nothing\u{202e}.".to_owned())),
        }
    }

    async fn delete(s: SessionRef) -> Result<(), Error> {
        match s.id.split_once('-') {
            Some(("kept", _)) => Err(Error::Unavailable("It is kept.".to_owned())),
            _ => Err(Error::NotFound("It has no such session.".to_owned())),
        }
    }
}

impl history::Guest for Plugin {
    async fn snapshot(s: SessionRef, before: Option<String>) -> Result<SessionSnapshot, Error> {
        let known = SESSIONS.with_borrow(|all| all.iter().find(|known| known.ref_.id == s.id).cloned());
        // The last one that anybody asks for is there: what is told of it may be anything.
        let known = known.ok_or_else(|| Error::NotFound("It has no such session.".to_owned()))?;
        let mut snapshot = SessionSnapshot {
            info: known.clone(),
            messages: vec![message(&s.id, "m", "m", "[kept]")],
            turn: Turn::Idle,
            requests: Vec::new(),
            before: None,
        };
        match known.title.as_str() {
            "another session" => snapshot.info = info("another", "WRONG"),
            "pages without end" => {
                log::warn(&format!("asked for the page {before:?}"));
                snapshot.messages = vec![message(&s.id, "page", "page", "[page]")];
                snapshot.before = Some("again".to_owned());
            }
            "foreign ids" => {
                snapshot.messages = vec![
                    message("another-session", "f1", "f1", "[of the session that was asked for]"),
                    message(&s.id, "f2", "another-message", "[of another message]"),
                    message(&s.id, "", "", "WRONG"),
                    message(&s.id, &"i".repeat(513), "f3", "WRONG"),
                    message(&s.id, "f2", "f2", "[twice]"),
                ];
            }
            "a turn that is none" => {
                snapshot.turn = Turn::Running;
                snapshot.requests = vec![request("another-session")];
            }
            _ => {}
        }
        Ok(snapshot)
    }
}

fn message(session: &str, id: &str, of: &str, text: &str) -> MessageWithParts {
    MessageWithParts {
        message: Message {
            id: id.to_owned(),
            session: session.to_owned(),
            role: Role::Assistant,
            created_at: 1,
            completed_at: Some(1),
            error: None,
            model: None,
            agent: None,
            usage: None,
            client_id: None,
            ext: Vec::new(),
        },
        parts: vec![Part {
            id: format!("{of}-text"),
            message: of.to_owned(),
            session: session.to_owned(),
            revision: 1,
            closed: true,
            content: Content::Text(text.to_owned()),
        }],
    }
}
