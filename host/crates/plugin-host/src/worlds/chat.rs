//! A chat backend as a component.

use super::chat_events::ChatEvents;
use super::chat_exports::{ChatExports, ChatFacts, Sessions};
use super::convert_chat::{Reply, Speaker};
use super::{convert, convert_chat, request_paths};
use crate::bindings::caps::types::Error;
use crate::engine::instance_state::InstanceState;
use crate::instance::{Supervisor, refused as error_of};
use crate::truncate;
use futures::future::BoxFuture;
use nexus_model::limits;
use nexus_model::plugin::PluginStatus;
use nexus_model::trouble::Trouble;
use nexus_model::{chat, plugin};
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{BackendEvent, Call, CallError, CancelReason, ChatBackend, Prompt, Supervised};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};
use wasmtime::component::Accessor;

pub(crate) struct WasmChat {
    supervisor: Arc<Supervisor<ChatExports>>,
    workspace: PathBuf,
    /// `facts` is what the plugin said about itself last, for the time when it is down.
    facts: Mutex<Option<ChatFacts>>,
    /// `leaving` is why the event stream ends next.
    leaving: Arc<Mutex<CancelReason>>,
    /// `reading_events` allows one event stream at a time: a second one waits for the end of the first.
    reading_events: Arc<tokio::sync::Mutex<()>>,
}

impl WasmChat {
    pub(crate) fn new(supervisor: Supervisor<ChatExports>, workspace: PathBuf) -> Self {
        Self {
            supervisor: Arc::new(supervisor),
            workspace,
            facts: Mutex::default(),
            leaving: Arc::new(Mutex::new(CancelReason::Stop)),
            reading_events: Arc::default(),
        }
    }

    fn facts<T>(&self, read: impl FnOnce(&ChatFacts) -> T) -> Option<T> {
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = self.supervisor.current() {
            *known = Some(handle.facts);
        }
        known.as_ref().map(read)
    }

    /// Makes a call whose own result may be an error of the plugin.
    async fn ask<T, F>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(
                &'a Accessor<InstanceState>,
                &'a ChatExports,
            ) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let answer = self.supervisor.call(call).await?;
        answer.map_err(|e| error_of(e, self.supervisor.context()))
    }

    /// Makes a call of an optional interface, which `find` finds.
    async fn ask_optional<I, T, F>(
        &self,
        what: &'static str,
        find: fn(&ChatExports) -> Option<&I>,
        call: F,
    ) -> Result<T, CallError>
    where
        I: Sync + 'static,
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Accessor<InstanceState>, &'a I) -> BoxFuture<'a, wasmtime::Result<Result<T, Error>>>
            + Send
            + 'static,
    {
        let answer = self.supervisor.call(move |a, e: &ChatExports| match find(e) {
            Some(optional) => {
                let answer = call(a, optional);
                Box::pin(async { answer.await.map(Some) })
            }
            None => Box::pin(async { Ok(None) }),
        });
        let answer = answer.await?.ok_or(CallError::Unsupported(what))?;
        answer.map_err(|e| error_of(e, self.supervisor.context()))
    }

    /// Converts what the plugin said, and logs what of it could not be kept.
    fn heard<T>(&self, convert: impl FnOnce(&Speaker<'_>) -> T) -> T {
        let by = Speaker::new(self.supervisor.name(), &self.supervisor.context().mask);
        let heard = convert(&by);
        by.log_left_out(&self.supervisor.context().log);
        heard
    }

    fn workspace(&self) -> String {
        self.workspace.display().to_string()
    }
}

/// The same lines as the tunnel's: a crate may not implement another crate's trait for all its own types at once, and a type
/// around both would hide what each of them has besides its supervisor.
impl Supervised for WasmChat {
    fn status(&self) -> watch::Receiver<PluginStatus> {
        self.supervisor.status()
    }
    fn measured(&self) -> Option<Arc<dyn PluginRecord>> {
        Some(self.supervisor.record())
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
        Box::pin(async {
            // Whoever read its events has gone: the plugin hears why, and has a moment for what it would not lose.
            let _ = tokio::time::timeout(limits::PLUGIN_LEAVE, self.reading_events.lock()).await;
            self.supervisor.stop().await;
        })
    }
}

impl ChatBackend for WasmChat {
    fn title(&self) -> String {
        self.facts(|f| convert::titled(f.descriptor.title.clone(), self.supervisor.name()))
            .unwrap_or_else(|| self.supervisor.name().to_owned())
    }

    fn is_example(&self) -> bool {
        self.facts(|f| f.descriptor.example).unwrap_or(false)
    }

    fn check_availability(&self) -> Call<'_, plugin::Availability> {
        Box::pin(async {
            let answer = self
                .supervisor
                .call(|a, e: &ChatExports| Box::pin(e.chat.call_check_availability(a)))
                .await?;
            Ok(convert::availability(answer, &self.supervisor.context().mask))
        })
    }

    fn events(&self) -> mpsc::Receiver<BackendEvent> {
        let (to, events) = mpsc::channel(limits::CHAT_EVENTS);
        let leaving = Arc::clone(&self.leaving);
        let forwarder = ChatEvents::new(Arc::clone(&self.supervisor), to, self.workspace.clone(), leaving);
        let turn = Arc::clone(&self.reading_events);
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            forwarder.run().await;
        });
        events
    }

    fn leaving(&self, reason: CancelReason) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn features(&self) -> BTreeSet<chat::Feature> {
        self.facts(|f| f.features.clone()).unwrap_or_default()
    }

    fn prompt<'a>(&'a self, session: &'a chat::SessionInfo, prompt: Prompt) -> Call<'a, chat::Admission> {
        let session = convert_chat::session_ref(session);
        let (id, parts, options) = convert_chat::prompt(prompt);
        Box::pin(async {
            let answer = self
                .ask(|a, e| Box::pin(e.chat.call_prompt(a, session, id, parts, options)))
                .await?;
            Ok(convert_chat::admission(answer, &self.supervisor.context().mask))
        })
    }

    fn cancel<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()> {
        let session = convert_chat::session_ref(session);
        Box::pin(self.ask(|a, e| Box::pin(e.chat.call_cancel(a, session))))
    }

    fn reply<'a>(&'a self, session: &'a chat::SessionInfo, request: &'a str, answer: chat::Answer) -> Call<'a, ()> {
        let (session, request) = (convert_chat::session_ref(session), request.to_owned());
        match convert_chat::reply(answer) {
            Reply::Core(answer) => Box::pin(self.ask(|a, e| Box::pin(e.chat.call_reply(a, session, request, answer)))),
            Reply::Questions(answers) => Box::pin(self.ask_optional(
                "take answers to questions",
                |e| e.questions.as_ref(),
                |a, q| Box::pin(q.call_answer(a, session, request, answers)),
            )),
        }
    }

    fn snapshot<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<String>) -> Call<'a, chat::Snapshot> {
        let session = convert_chat::session_ref(session);
        Box::pin(async {
            let answer = self.ask_optional(
                "show its messages",
                |e| e.history.as_ref(),
                |a, h| Box::pin(h.call_snapshot(a, session, before)),
            );
            let mut answer = answer.await?;
            request_paths::add(&mut answer.requests, &self.workspace).await;
            Ok(self.heard(|by| convert_chat::snapshot(answer, by)))
        })
    }

    fn sessions(&self, limit: u32) -> Call<'_, Vec<chat::SessionInfo>> {
        let workspace = self.workspace();
        Box::pin(async move {
            let answer = self.ask_optional("list sessions", sessions, move |a, s| {
                Box::pin(s.call_list(a, workspace, limit))
            });
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let listed = truncate::list(answer.await?, most);
            let listed = self.heard(|by| {
                let infos = listed.into_iter().map(|info| convert_chat::session_info(info, by));
                infos.filter(truncate::is_session).collect()
            });
            Ok(listed)
        })
    }

    fn create(&self, title: Option<String>) -> Call<'_, chat::SessionInfo> {
        let workspace = self.workspace();
        Box::pin(async {
            let answer = self.ask_optional("create sessions", sessions, |a, s| {
                Box::pin(s.call_create(a, workspace, title))
            });
            let made = answer.await?;
            let made = self.heard(|by| convert_chat::session_info(made, by));
            if truncate::is_session(&made) {
                return Ok(made);
            }
            Err(CallError::Other(format!(
                "the chat plugin created a session whose ids are {}. This is a bug of the plugin",
                truncate::NO_ID
            )))
        })
    }

    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()> {
        let (session, title) = (convert_chat::session_ref(session), title.to_owned());
        Box::pin(self.ask_optional("rename sessions", sessions, |a, s| {
            Box::pin(s.call_rename(a, session, title))
        }))
    }

    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()> {
        let session = convert_chat::session_ref(session);
        Box::pin(self.ask_optional("delete sessions", sessions, |a, s| Box::pin(s.call_delete(a, session))))
    }
}

fn sessions(e: &ChatExports) -> Option<&Sessions> {
    e.sessions.as_ref()
}
