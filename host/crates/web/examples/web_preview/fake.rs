//! Services that pretend: for looking at the pages, and for the tests of the router. Nothing here is in the product.
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
pub use world::{ACCOUNT, PASSWORD, World};

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use nexus_model::chat::{
    Admission, AgentRequest, Answer, Content, Event, Message, Part, Role, Root, SessionInfo, Tool, ToolState, Turn,
};
use nexus_model::time::{Clock as _, SystemClock};
use nexus_web::port::{Backend, ChatApi, Frame, Install, Missing, Phase, Prompt, Reply, SessionState};
use nexus_web::{ApiError, Services};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

pub fn now() -> u64 {
    SystemClock.now()
}

#[derive(Clone)]
pub struct Fakes {
    pub world: Arc<World>,
    pub chat: Arc<FakeChat>,
}

impl Fakes {
    /// `owner`: an account exists. `pace`: between two scripted events; none: prompts are taken and not answered.
    pub async fn new(owner: bool, pace: Option<Duration>) -> Self {
        Self {
            world: Arc::new(World::new(owner).await),
            chat: Arc::new(FakeChat::new(pace)),
        }
    }
    pub fn services(&self) -> Services {
        let world = &self.world;
        Services {
            auth: Arc::clone(&world.auth),
            chat: Arc::<FakeChat>::clone(&self.chat),
            tunnels: Arc::clone(&world.tunnels),
            plugins: world.plugins.clone(),
            reload: Arc::clone(&world.reload),
            activity: Arc::clone(&world.activity),
            log: Arc::clone(&world.log),
            host: Arc::clone(&world.host),
        }
    }
}

// ---- chat ----------------------------------------------------------------------------------------------------

pub struct FakeChat {
    pub backend: watch::Sender<Backend>,
    pub list: watch::Sender<Arc<Vec<Root>>>,
    shared: Arc<Shared>,
    pub prompts: Mutex<Vec<(String, Prompt)>>,
    pub answers: Mutex<Vec<(String, Answer)>>,
    pace: Option<Duration>,
}

#[derive(Default)]
struct Shared {
    sessions: Mutex<HashMap<String, Vec<Event>>>,
    changed: watch::Sender<u64>,
}

impl Shared {
    fn push(&self, session: &str, event: Event) {
        self.sessions
            .lock()
            .unwrap()
            .entry(session.into())
            .or_default()
            .push(event);
        self.changed.send_modify(|n| *n += 1);
    }
}

const PLUGIN: &str = "chat-opencode";

impl FakeChat {
    fn new(pace: Option<Duration>) -> Self {
        Self {
            backend: watch::Sender::new(Backend {
                plugin: PLUGIN.into(),
                title: "opencode".into(),
                version: Some("1.18.33".into()),
                rules: Some("Asks before: commands, edits; allowed without asking: reading web pages".to_owned()),
                example: false,
                phase: Phase::Up,
                pending: None,
                missing: None,
                unsaved: None,
            }),
            list: watch::Sender::new(Arc::default()),
            shared: Arc::default(),
            prompts: Mutex::default(),
            answers: Mutex::default(),
            pace,
        }
    }
    pub fn add(&self, id: &str, title: &str) -> SessionInfo {
        let info = SessionInfo {
            id: id.into(),
            workspace: "/project".into(),
            parent: None,
            title: title.into(),
            created_at: now(),
            updated_at: now(),
            archived: false,
        };
        self.shared.push(id, Event::Session { info: info.clone() });
        let root = Root {
            info: info.clone(),
            backend: PLUGIN.into(),
        };
        self.list.send_modify(|list| Arc::make_mut(list).insert(0, root));
        info
    }
    pub fn push(&self, session: &str, event: Event) {
        self.shared.push(session, event);
    }
    pub fn set_missing(&self) {
        self.backend.send_modify(|backend| {
            backend.title = "Echo".into();
            backend.example = true;
            backend.version = Some("0.1.0".into());
            backend.missing = Some(Missing {
                title: "opencode".into(),
                hint:
                    "It is not on the PATH. Install it with `npm install -g opencode-ai@1.18.33`, or let Nexus do it."
                        .into(),
                install: Install::Offered {
                    label: "Install opencode 1.18.33".into(),
                },
            });
        });
    }
}

fn fold(events: &[Event]) -> SessionState {
    let mut messages: Vec<(Message, Vec<Part>)> = Vec::new();
    let (mut info, mut turn, mut requests) = (None, Turn::Idle, Vec::<AgentRequest>::new());
    for event in events.iter().cloned() {
        match event {
            Event::Session { info: new } => info = Some(new),
            Event::Message { message } => match messages.iter_mut().find(|(old, _)| old.id == message.id) {
                Some((old, _)) => *old = message,
                None => messages.push((message, Vec::new())),
            },
            Event::Part { part } => {
                if let Some((_, parts)) = messages.iter_mut().find(|(message, _)| message.id == part.message) {
                    match parts.iter_mut().find(|old| old.id == part.id) {
                        Some(old) => *old = part,
                        None => parts.push(part),
                    }
                }
            }
            Event::Delta {
                part,
                revision,
                text: more,
                ..
            } => {
                let part = messages
                    .iter_mut()
                    .flat_map(|(_, parts)| parts)
                    .find(|old| old.id == part);
                if let Some(part) = part
                    && let Content::Text { text } | Content::Reasoning { text } = &mut part.content
                {
                    text.push_str(&more);
                    part.revision = revision;
                }
            }
            Event::Request { request } => requests.push(request),
            Event::RequestClosed { request } => requests.retain(|old| old.id != request),
            Event::Turn { turn: new } => turn = new,
            _ => {}
        }
    }
    SessionState {
        seq: events.len() as u64,
        info: info.expect("a session starts with its info"),
        messages,
        turn,
        requests,
        error: None,
    }
}

impl ChatApi for FakeChat {
    fn backend(&self) -> watch::Receiver<Backend> {
        self.backend.subscribe()
    }
    fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.list.subscribe()
    }
    fn list_opened(&self) {}
    fn create<'a>(&'a self, title: Option<String>, _: Option<&'a str>) -> Reply<'a, SessionInfo> {
        let id = format!("ses_{}", &nexus_model::time::random_token().unwrap()[..8]);
        let info = self.add(&id, &title.unwrap_or_default());
        async move { Ok(info) }.boxed()
    }
    fn rename<'a>(&'a self, session: &'a str, title: &'a str) -> Reply<'a, ()> {
        self.list.send_modify(|list| {
            for root in Arc::make_mut(list).iter_mut().filter(|root| root.info.id == session) {
                root.info.title = title.into();
                let info = root.info.clone();
                self.shared.push(session, Event::Session { info });
            }
        });
        async move { Ok(()) }.boxed()
    }
    fn delete<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        self.shared.push(session, Event::SessionRemoved);
        self.list
            .send_modify(|list| Arc::make_mut(list).retain(|root| root.info.id != session));
        async move { Ok(()) }.boxed()
    }
    fn subscribe<'a>(&'a self, session: &'a str, from: Option<u64>) -> Reply<'a, BoxStream<'static, Frame>> {
        let (shared, session) = (self.shared.clone(), session.to_owned());
        async move {
            let first = match shared.sessions.lock().unwrap().get(&session) {
                None => return Err(ApiError::NotFound("There is no such chat.".into())),
                Some(events) => from.is_none().then(|| fold(events)),
            };
            let last = first.as_ref().map_or(from.unwrap_or(0), |state| state.seq);
            let state = stream::iter(first.map(|state| Frame::State(Box::new(state))));
            let changed = shared.changed.subscribe();
            let events = stream::unfold(
                (shared, session, last, changed),
                |(shared, session, last, mut changed)| async move {
                    loop {
                        let event = shared.sessions.lock().unwrap()[&session].get(last as usize).cloned();
                        if let Some(event) = event {
                            return Some((
                                Frame::Event { seq: last + 1, event },
                                (shared, session, last + 1, changed),
                            ));
                        }
                        changed.changed().await.ok()?;
                    }
                },
            );
            Ok(state.chain(events).boxed())
        }
        .boxed()
    }
    fn state<'a>(&'a self, session: &'a str) -> Reply<'a, SessionState> {
        let state = self
            .shared
            .sessions
            .lock()
            .unwrap()
            .get(session)
            .map(|events| fold(events));
        async move { state.ok_or_else(|| ApiError::NotFound("There is no such chat.".into())) }.boxed()
    }
    fn take_back<'a>(&'a self, session: &'a str, client_id: &'a str) -> Reply<'a, ()> {
        let message = format!("local-{client_id}");
        self.push(session, Event::MessageRemoved { message });
        async move { Ok(()) }.boxed()
    }
    fn prompt<'a>(&'a self, session: &'a str, prompt: Prompt) -> Reply<'a, Admission> {
        let mut prompts = self.prompts.lock().unwrap();
        let admission = if prompts.iter().any(|(_, old)| old.client_id == prompt.client_id) {
            Admission::Duplicate
        } else if prompt.text.contains("consent") && prompt.consent.is_none() {
            Admission::ConsentNeeded {
                id: "hosted".into(),
                text: "No model is configured. opencode would use its public hosted model: what you write, and the \
                       files the agent reads, would be sent to its operator."
                    .into(),
            }
        } else if prompt.text.contains("refuse") {
            Admission::Refused("The backend has no model of that name.".into())
        } else {
            prompts.push((session.into(), prompt.clone()));
            if let Some(pace) = self.pace {
                let (shared, session) = (self.shared.clone(), session.to_owned());
                tokio::spawn(super::script::answer(
                    move |event| shared.push(&session, event),
                    prompt,
                    pace,
                    now(),
                ));
            }
            Admission::Admitted
        };
        async move { Ok(admission) }.boxed()
    }
    fn continue_interrupted<'a>(&'a self, session: &'a str) -> Reply<'a, Admission> {
        let client_id = format!(
            "continue-{}",
            fold(&self.shared.sessions.lock().unwrap()[session]).messages.len()
        );
        self.prompt(
            session,
            Prompt {
                client_id,
                text: "Continue.".into(),
                consent: None,
                now: true,
            },
        )
    }
    fn cancel<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        self.push(session, Event::Turn { turn: Turn::Idle });
        async move { Ok(()) }.boxed()
    }
    fn reply<'a>(&'a self, session: &'a str, request: &'a str, answer: Answer) -> Reply<'a, ()> {
        self.answers.lock().unwrap().push((request.into(), answer));
        self.push(
            session,
            Event::RequestClosed {
                request: request.into(),
            },
        );
        self.push(session, Event::Turn { turn: Turn::Idle });
        async move { Ok(()) }.boxed()
    }
    fn asked<'a>(&'a self, session: &'a str, request: &'a str) -> Reply<'a, Option<AgentRequest>> {
        let state = self
            .shared
            .sessions
            .lock()
            .unwrap()
            .get(session)
            .map(|events| fold(events));
        let asked = state.and_then(|state| state.requests.into_iter().find(|asked| asked.id == request));
        async move { Ok(asked) }.boxed()
    }
    fn plugins(&self) -> Vec<String> {
        vec!["chat-opencode".to_owned(), "chat-echo".to_owned()]
    }
    fn stop(&self) -> Reply<'_, ()> {
        self.backend.send_modify(|backend| backend.phase = Phase::Stopped);
        async { Ok(()) }.boxed()
    }
    fn start(&self) -> Reply<'_, ()> {
        self.backend.send_modify(|backend| backend.phase = Phase::Up);
        async { Ok(()) }.boxed()
    }
    fn restart(&self) -> Reply<'_, ()> {
        self.start()
    }
    fn swap<'a>(&'a self, plugin: &'a str) -> Reply<'a, ()> {
        let why = format!("{plugin} is the chat backend already.");
        async move { Err(ApiError::Refused(why)) }.boxed()
    }
    fn install(&self) -> Reply<'_, ()> {
        self.backend.send_modify(|backend| {
            if let Some(missing) = &mut backend.missing {
                missing.install = Install::Running {
                    what: "Installing opencode 1.18.33 with npm…".into(),
                };
            }
        });
        async move { Ok(()) }.boxed()
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

/// What a test has to say about a browser that is not there any more.
pub fn ids(list: &[Root]) -> HashSet<String> {
    list.iter().map(|root| root.info.id.clone()).collect()
}
