//! A chat backend as a component.

use crate::capabilities::Mask;
use crate::runtime::actor::{Exports, Handle, refused as error_of};
use crate::runtime::feed::Feeder;
use crate::runtime::state::State;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::{clip, convert, leads, refused};
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::trouble::Trouble;
use nexus_model::{chat, plugin};
use nexus_plugin_api::host::caps::types::Error;
use nexus_plugin_api::host::chat::ChatBackend as Bindings;
use nexus_plugin_api::host::chat::exports::nexus::plugin::chat::{Descriptor, Guest};
use nexus_plugin_api::host::sessions::OptionalSessions;
use nexus_plugin_api::host::sessions::exports::nexus::plugin::sessions::Guest as Sessions;
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{Call, CallError, ChatBackend, Feed, Prompt, Supervised};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use wasmtime::component::{Accessor, Instance};

pub(crate) struct ChatExports {
    pub(crate) chat: Guest,
    sessions: Option<Sessions>,
}

impl Exports for ChatExports {
    type Facts = Descriptor;

    fn find(store: &mut wasmtime::Store<State>, instance: &Instance) -> wasmtime::Result<Self> {
        Ok(Self {
            chat: Bindings::new(&mut *store, instance)?.nexus_plugin_chat().clone(),
            // Whether it has it was found when it was loaded; here its absence is no error.
            sessions: OptionalSessions::new(&mut *store, instance)
                .ok()
                .map(|o| o.nexus_plugin_sessions().clone()),
        })
    }

    fn refused(facts: &Descriptor, mask: &Mask) -> Vec<plugin::Refusal> {
        refused::read(&facts.ext, mask)
    }

    fn facts<'a>(&'a self, a: &'a Accessor<State>) -> BoxFuture<'a, wasmtime::Result<Descriptor>> {
        Box::pin(self.chat.call_describe(a))
    }
}

pub(crate) struct WasmChat {
    supervisor: Arc<Supervisor<ChatExports>>,
    workspace: PathBuf,
    /// What the plugin said about itself last, for the time when it is down.
    facts: Mutex<Option<Descriptor>>,
    /// One feed at a time: a second one waits for the end of the first.
    feeding: Arc<tokio::sync::Mutex<()>>,
}

impl WasmChat {
    pub(crate) fn new(supervisor: Supervisor<ChatExports>, workspace: PathBuf) -> Self {
        Self {
            supervisor: Arc::new(supervisor),
            workspace,
            facts: Mutex::default(),
            feeding: Arc::default(),
        }
    }

    fn facts<T>(&self, read: impl FnOnce(&Descriptor) -> T) -> Option<T> {
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = self.supervisor.current() {
            *known = Some(handle.facts);
        }
        known.as_ref().map(read)
    }

    /// A call whose own result may be an error of the plugin.
    async fn ask<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a ChatExports) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let answer = self.supervisor.call(call).await?;
        answer.map_err(|e| error_of(e, self.supervisor.context()))
    }

    /// A call of the optional interface.
    async fn ask_sessions<T, F>(&self, what: &'static str, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<State>, &'a Sessions) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let answer = self.supervisor.call(|a, e: &ChatExports| match &e.sessions {
            Some(sessions) => {
                let answer = call(a, sessions);
                Box::pin(async { answer.await.map(Some) })
            }
            None => Box::pin(async { Ok(None) }),
        });
        let answer = answer.await?.ok_or(CallError::Unsupported(what))?;
        answer.map_err(|e| error_of(e, self.supervisor.context()))
    }

    fn workspace(&self) -> String {
        self.workspace.display().to_string()
    }
}

impl Supervised for WasmChat {
    fn status(&self) -> watch::Receiver<plugin::Status> {
        self.supervisor.status()
    }
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        Some(self.supervisor.measured())
    }
    fn broken(&self) -> Option<Trouble> {
        self.supervisor.broken()
    }
    fn refused(&self) -> Vec<plugin::Refusal> {
        self.supervisor.refused()
    }
    fn start(&self) {
        self.supervisor.start();
    }
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.supervisor.stop()
    }
}

impl ChatBackend for WasmChat {
    fn title(&self) -> String {
        self.facts(|f| convert::titled(f.title.clone(), self.supervisor.name()))
            .unwrap_or_else(|| self.supervisor.name().to_owned())
    }

    fn is_example(&self) -> bool {
        self.facts(|f| f.example).unwrap_or(false)
    }

    fn probe(&self) -> Call<'_, plugin::Availability> {
        Box::pin(async {
            let answer = self
                .supervisor
                .call(|a, e: &ChatExports| Box::pin(e.chat.call_probe(a)))
                .await?;
            Ok(convert::availability(answer, &self.supervisor.context().mask))
        })
    }

    fn events(&self) -> mpsc::Receiver<Feed> {
        let (to, events) = mpsc::channel(limits::CHAT_EVENTS);
        let feeder = Feeder::new(Arc::clone(&self.supervisor), to, self.workspace.clone());
        let turn = Arc::clone(&self.feeding);
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            feeder.run().await;
        });
        events
    }

    fn prompt<'a>(&'a self, session: &'a chat::SessionInfo, prompt: Prompt) -> Call<'a, chat::Admission> {
        let session = convert::session_ref(session);
        let (id, parts, options) = convert::prompt(prompt);
        Box::pin(async {
            let answer = self
                .ask(|a, e| Box::pin(e.chat.call_prompt(a, session, id, parts, options)))
                .await?;
            Ok(convert::admission(answer, &self.supervisor.context().mask))
        })
    }

    fn cancel<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()> {
        let session = convert::session_ref(session);
        Box::pin(self.ask(|a, e| Box::pin(e.chat.call_cancel(a, session))))
    }

    fn reply<'a>(&'a self, session: &'a chat::SessionInfo, ask: &'a str, answer: chat::Answer) -> Call<'a, ()> {
        let (session, ask, answer) = (convert::session_ref(session), ask.to_owned(), convert::answer(answer));
        Box::pin(self.ask(|a, e| Box::pin(e.chat.call_reply(a, session, ask, answer))))
    }

    fn snapshot<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<String>) -> Call<'a, chat::Snapshot> {
        let session = convert::session_ref(session);
        Box::pin(async {
            let mut answer = self
                .ask(|a, e| Box::pin(e.chat.call_snapshot(a, session, before)))
                .await?;
            leads::add(&mut answer.asks, &self.workspace).await;
            Ok(convert::snapshot(answer, &self.supervisor.context().mask))
        })
    }

    fn sessions(&self, limit: u32) -> Call<'_, Vec<chat::SessionInfo>> {
        let workspace = self.workspace();
        Box::pin(async move {
            let answer = self.ask_sessions("list sessions", move |a, s| Box::pin(s.call_list(a, workspace, limit)));
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let listed = clip::list(answer.await?, most).into_iter().map(convert::session_info);
            Ok(listed.filter(clip::is_session).collect())
        })
    }

    fn create(&self, title: Option<String>) -> Call<'_, chat::SessionInfo> {
        let workspace = self.workspace();
        Box::pin(async {
            let answer = self.ask_sessions("create sessions", |a, s| Box::pin(s.call_create(a, workspace, title)));
            let made = convert::session_info(answer.await?);
            if clip::is_session(&made) {
                return Ok(made);
            }
            Err(CallError::Other(format!(
                "the chat plugin made a session whose ids are {}. This is a fault of the plugin",
                clip::NO_ID
            )))
        })
    }

    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()> {
        let (session, title) = (convert::session_ref(session), title.to_owned());
        Box::pin(self.ask_sessions("rename sessions", |a, s| Box::pin(s.call_rename(a, session, title))))
    }

    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()> {
        let session = convert::session_ref(session);
        Box::pin(self.ask_sessions("delete sessions", |a, s| Box::pin(s.call_delete(a, session))))
    }
}

pub(crate) type ChatHandle = Handle<ChatExports>;
