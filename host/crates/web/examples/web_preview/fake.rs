//! The services of the web on a chat backend that pretends: for looking at the pages, and for the tests of the router.
//! Nothing here is in the product.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "fake_tunnel.rs"]
mod fake_tunnel;
#[path = "records.rs"]
mod records;
#[path = "world.rs"]
mod world;
#[allow(unused_imports)] // the preview needs fewer of them than the tests
pub use world::{ACCOUNT, PASSWORD, Setting, World};

use nexus_chat::ChatService;
use nexus_chat::journal::SessionState;
use nexus_model::chat::{
    Admission, AgentRequest, Content, Event, Message, Part, Role, SessionInfo, Snapshot, Tool, ToolState, Turn,
};
use nexus_model::time::{Clock as _, SystemClock};
use nexus_plugin_traits::{BackendEvent, Prompt};
use nexus_testkit::FakeChat;
use nexus_testkit::fake_chat::{EventStreams, Script, event, opened};
use nexus_web::Services;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

pub fn now() -> u64 {
    SystemClock.now()
}

pub struct Fakes {
    pub world: World,
    pub chat: Chat,
}

impl Fakes {
    pub async fn new(setting: Setting) -> Self {
        let (world, conversations) = World::new(setting).await;
        let chat = Chat {
            service: Arc::clone(&world.chat),
            conversations,
        };
        Self { world, chat }
    }
    pub fn services(&self) -> Services {
        self.world.services()
    }
}

/// The backend's side of the chat, and a look at what the service made of it.
pub struct Chat {
    pub service: Arc<ChatService>,
    conversations: Arc<Conversations>,
}

impl Chat {
    /// What the backend was sent.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.conversations.backend.prompts.lock().unwrap().clone()
    }
    /// A session of the backend, as soon as the service lists it.
    pub async fn add(&self, id: &str, title: &str) {
        self.conversations.add(info(id, title));
        let mut listed = self.service.sessions();
        let there = listed.wait_for(|list| list.iter().any(|root| root.info.id == id));
        tokio::time::timeout(Duration::from_secs(30), there)
            .await
            .unwrap()
            .unwrap();
    }
    /// Something happens in the backend, and the service has it.
    pub async fn push(&self, session: &str, event: Event) {
        self.push_all(session, vec![event]).await;
    }
    pub async fn push_all(&self, session: &str, events: Vec<Event>) {
        self.conversations.report(session, events);
        let told = unnumbered(self.conversations.sessions.lock().unwrap()[session].clone());
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let known = unnumbered(self.service.state(session).await.unwrap());
            if (&known.messages, &known.requests, &known.turn) == (&told.messages, &told.requests, &told.turn) {
                return;
            }
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "the service has not caught up: {known:?}, not {told:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Without the revisions of the parts: the service counts its own.
fn unnumbered(mut state: SessionState) -> SessionState {
    let parts = state.messages.iter_mut().flat_map(|known| &mut known.parts);
    parts.for_each(|part| part.revision = 0);
    state
}

fn info(id: &str, title: &str) -> SessionInfo {
    SessionInfo {
        id: id.into(),
        workspace: "/project".into(),
        parent: None,
        title: title.into(),
        created_at: now(),
        updated_at: now(),
        archived: false,
    }
}

/// What the backend has, and what it does by itself.
pub struct Conversations {
    backend: Arc<FakeChat>,
    sessions: Mutex<BTreeMap<String, SessionState>>,
    reports: mpsc::UnboundedSender<BackendEvent>,
    pace: Option<Duration>,
}

impl Conversations {
    /// `pace`: between two scripted events; none: a prompt has an empty turn.
    pub fn of(backend: Arc<FakeChat>, streams: EventStreams, pace: Option<Duration>) -> Arc<Self> {
        let (reports, reported) = mpsc::unbounded_channel();
        let conversations = Arc::new(Self {
            backend: Arc::clone(&backend),
            sessions: Mutex::default(),
            reports,
            pace,
        });
        *backend.script.lock().unwrap() = Some(Arc::new(Reactions(Arc::clone(&conversations))));
        tokio::spawn(speak(streams, reported));
        conversations
    }

    fn add(&self, info: SessionInfo) {
        self.report(&info.id.clone(), vec![Event::Session { info }]);
    }

    /// The backend has it, and says so.
    pub fn report(&self, session: &str, events: Vec<Event>) {
        let mut sessions = self.sessions.lock().unwrap();
        let state = sessions.entry(session.to_owned()).or_default();
        for event in &events {
            state.apply(event);
        }
        if let Some(info) = state.info.clone() {
            self.backend.has(Snapshot {
                info,
                messages: state
                    .messages
                    .iter()
                    .map(|known| (known.message.clone(), known.parts.clone()))
                    .collect(),
                turn: state.turn.clone(),
                requests: state.requests.clone(),
                before: None,
            });
        }
        for reported in events {
            let _ = self.reports.send(event(session, reported)); // the service may have ended
        }
    }

    fn turn(&self, session: &SessionInfo, turn: Turn) {
        self.report(&session.id, vec![Event::Turn { turn }]);
    }
}

/// Opens each stream that the service asks for, and says there what is reported.
async fn speak(mut streams: EventStreams, mut reported: mpsc::UnboundedReceiver<BackendEvent>) {
    while let Some(stream) = streams.recv().await {
        let _ = stream.send(opened("connection", &[])).await;
        loop {
            tokio::select! {
                biased;
                () = stream.closed() => break,
                Some(report) = reported.recv() => drop(stream.send(report).await),
                else => return,
            }
        }
    }
}

/// What the backend does when it is called.
struct Reactions(Arc<Conversations>);

impl Script for Reactions {
    fn prompted(&self, session: &SessionInfo, prompt: &Prompt) -> Admission {
        let known = |old: &Prompt| old.client_id == prompt.client_id && old.consent == prompt.consent;
        if self.0.backend.prompts.lock().unwrap().iter().any(known) {
            return Admission::Duplicate;
        }
        if prompt.text.contains("consent") && prompt.consent.is_none() {
            return Admission::ConsentNeeded {
                id: "hosted".into(),
                text: "No model is configured. opencode would use its public hosted model: what you write, and the \
                       files the agent reads, would be sent to its operator."
                    .into(),
            };
        }
        if prompt.text.contains("refuse") {
            return Admission::Refused("The backend has no model of that name.".into());
        }
        let (conversations, session) = (Arc::clone(&self.0), session.id.clone());
        let report = move |event| conversations.report(&session, vec![event]);
        if let Some(pace) = self.0.pace {
            tokio::spawn(super::script::answer(report, prompt.clone(), pace, now()));
        } else {
            report(message(&prompt.client_id, Role::User, Some(prompt.client_id.clone())));
            report(Event::Turn { turn: Turn::Running });
            report(Event::Turn { turn: Turn::Idle });
        }
        Admission::Admitted
    }
    fn canceled(&self, session: &SessionInfo) {
        self.0.turn(session, Turn::Idle);
    }
    fn replied(&self, session: &SessionInfo, request: &str) {
        let request = request.to_owned();
        self.0.report(&session.id, vec![Event::RequestClosed { request }]);
        self.0.turn(session, Turn::Idle);
    }
    fn created(&self, session: &SessionInfo) {
        self.0.add(session.clone());
    }
    fn renamed(&self, session: &SessionInfo, title: &str) {
        let title = title.to_owned();
        self.0.add(SessionInfo {
            title,
            ..session.clone()
        });
    }
    fn deleted(&self, session: &SessionInfo) {
        self.0.sessions.lock().unwrap().remove(&session.id);
        self.0.backend.snapshots.lock().unwrap().remove(&session.id);
        let _ = self.0.reports.send(event(&session.id, Event::SessionRemoved)); // as above
    }
}

/// For scripts.
pub fn message(id: &str, role: Role, client_id: Option<String>) -> Event {
    Event::Message {
        message: Message {
            id: id.into(),
            role,
            created_at: now(),
            completed_at: None,
            error: None,
            model: None,
            client_id,
            interrupted: false,
            waiting: None,
        },
    }
}

/// The message of the event is complete: one that is not, in a session without a turn, was interrupted.
pub fn done(mut event: Event) -> Event {
    if let Event::Message { message } = &mut event {
        message.completed_at = Some(now());
    }
    event
}

pub fn part(id: &str, message: &str, revision: u64, closed: bool, content: Content) -> Event {
    Event::Part {
        part: Part {
            id: id.into(),
            message: message.into(),
            revision,
            closed,
            content,
        },
    }
}

pub fn tool(state: ToolState, output: Option<&str>) -> Content {
    Content::Tool(Tool {
        name: "bash".into(),
        title: Some("cargo test --workspace".into()),
        state,
        input: r#"{"command":"cargo test --workspace","timeout":120000}"#.into(),
        output: output.map(Into::into),
        error: None,
        started_at: Some(now()),
        ended_at: None,
    })
}

pub fn permission(id: &str, session: &str) -> Event {
    Event::Request {
        request: AgentRequest {
            id: id.into(),
            requested_by: session.into(),
            permission: true,
            subject: "bash".into(),
            detail: "git push origin main".into(),
            always: vec!["git push *".into()],
            created_at: now(),
            ..AgentRequest::default()
        },
    }
}
