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

#[path = "events.rs"]
mod events;
#[path = "fake_sessions.rs"]
mod fake_sessions;
#[path = "fake_tunnel.rs"]
mod fake_tunnel;
#[path = "records.rs"]
mod records;
#[path = "script.rs"]
mod script;
#[path = "world.rs"]
mod world;
#[allow(unused_imports)] // the preview needs fewer of them than the tests
pub use events::{done, message, now, part};
#[allow(unused_imports)] // as above
pub use world::{ACCOUNT, PASSWORD, Setting, World};

use fake_sessions::FakeSessions;
use nexus_chat::ChatService;
use nexus_chat::journal::SessionState;
use nexus_model::chat::{Event, SessionInfo};
use nexus_plugin_traits::Prompt;
use nexus_web::Services;
use std::sync::Arc;
use std::time::Duration;

pub struct Fakes {
    pub world: World,
    pub chat: Chat,
}

impl Fakes {
    pub async fn new(setting: Setting) -> Self {
        let (world, fake_sessions) = World::new(setting).await;
        let chat = Chat {
            service: Arc::clone(&world.chat),
            fake_sessions,
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
    fake_sessions: Arc<FakeSessions>,
}

impl Chat {
    /// What the backend was sent.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.fake_sessions.prompts()
    }
    /// A session of the backend, as soon as the service lists it.
    pub async fn add(&self, id: &str, title: &str) {
        self.fake_sessions.add(info(id, title));
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
        self.fake_sessions.report(session, events);
        let told = unnumbered(self.fake_sessions.state(session));
        let caught_up = async || {
            let known = unnumbered(self.service.state(session).await.unwrap());
            (&known.messages, &known.requests, &known.turn) == (&told.messages, &told.requests, &told.turn)
        };
        nexus_testkit::wait::until_async("the service has what the backend reported", caught_up).await;
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
        reverted: None,
        ext: nexus_model::chat::Ext::default(),
    }
}
