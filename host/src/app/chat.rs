//! The chat service behind the web's [`ChatApi`]: a shim until the web uses the service as it is.

use futures::FutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use nexus_chat::ChatService;
use nexus_chat::journal::{Item, SessionState as Folded};
use nexus_model::chat::{Admission, AgentRequest, Answer, Root, SessionInfo};
use nexus_web::ApiError;
use nexus_web::port::{Backend, ChatApi, Frame, Prompt, Reply, SessionState};
use std::sync::Arc;
use tokio::sync::watch;

pub(super) struct ChatAdapter(pub(super) Arc<ChatService>);

fn state(folded: Folded) -> Option<SessionState> {
    Some(SessionState {
        seq: folded.seq,
        info: folded.info?,
        messages: folded.messages.into_iter().map(|m| (m.message, m.parts)).collect(),
        turn: folded.turn,
        requests: folded.requests,
        error: folded.error,
    })
}

impl ChatApi for ChatAdapter {
    fn plugins(&self) -> Vec<String> {
        self.0.plugins()
    }
    fn busy(&self) -> usize {
        self.0.busy()
    }
    fn is_example(&self, plugin: &str) -> bool {
        self.0.is_example(plugin)
    }
    fn stop(&self) -> Reply<'_, ()> {
        async move { Ok(self.0.stop().await?) }.boxed()
    }
    fn start(&self) -> Reply<'_, ()> {
        async move { Ok(self.0.start().await?) }.boxed()
    }
    fn restart(&self) -> Reply<'_, ()> {
        async move { Ok(self.0.restart().await?) }.boxed()
    }
    fn swap<'a>(&'a self, plugin: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.swap(plugin).await?) }.boxed()
    }
    fn backend(&self) -> watch::Receiver<Backend> {
        self.0.backend()
    }
    fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.0.sessions()
    }
    fn list_opened(&self) {
        self.0.list_opened();
    }
    fn create<'a>(&'a self, title: Option<String>, request: Option<&'a str>) -> Reply<'a, SessionInfo> {
        async move { Ok(self.0.create(title, request).await?) }.boxed()
    }
    fn rename<'a>(&'a self, session: &'a str, title: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.rename(session, title).await?) }.boxed()
    }
    fn delete<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.delete(session).await?) }.boxed()
    }
    fn subscribe<'a>(&'a self, session: &'a str, from: Option<u64>) -> Reply<'a, BoxStream<'static, Frame>> {
        async move {
            let subscription = self.0.subscribe(session, from).await?;
            let frames = futures::stream::unfold(subscription, |mut subscription| async move {
                let frame = match subscription.next().await.ok()? {
                    Item::State(folded) => Frame::State(Box::new(state(*folded)?)),
                    Item::Event(entry) => Frame::Event {
                        seq: entry.seq,
                        event: entry.event.clone(),
                    },
                };
                Some((frame, subscription))
            });
            Ok(frames.boxed())
        }
        .boxed()
    }
    fn state<'a>(&'a self, session: &'a str) -> Reply<'a, SessionState> {
        async move {
            let found = state(self.0.state(session).await?);
            found.ok_or_else(|| ApiError::NotFound("There is no such conversation.".to_owned()))
        }
        .boxed()
    }
    fn prompt<'a>(&'a self, session: &'a str, prompt: Prompt) -> Reply<'a, Admission> {
        let now = prompt.now;
        let prompt = nexus_chat::Prompt {
            client_id: prompt.client_id,
            text: prompt.text,
            model: None,
            consent: prompt.consent,
        };
        async move { Ok(self.0.prompt(session, prompt, now).await?) }.boxed()
    }
    fn take_back<'a>(&'a self, session: &'a str, client_id: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.take_back(session, client_id).await?) }.boxed()
    }
    fn continue_interrupted<'a>(&'a self, session: &'a str) -> Reply<'a, Admission> {
        async move { Ok(self.0.continue_interrupted(session).await?) }.boxed()
    }
    fn cancel<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.0.cancel(session).await?) }.boxed()
    }
    fn asked<'a>(&'a self, session: &'a str, request: &'a str) -> Reply<'a, Option<AgentRequest>> {
        async move { Ok(self.0.asked(session, request).await?) }.boxed()
    }
    fn reply<'a>(&'a self, session: &'a str, request: &'a str, answer: Answer) -> Reply<'a, ()> {
        async move { Ok(self.0.reply(session, request, answer).await?) }.boxed()
    }
    fn install(&self) -> Reply<'_, ()> {
        async move { Ok(self.0.install()?) }.boxed()
    }
}
