//! A chat backend as a component.

use super::chat_events::ChatEvents;
use super::chat_exports::{ChatExports, ChatFacts};
use super::convert_chat::{Reply, Speaker};
use super::{convert, convert_chat, convert_chat_choices as choices, request_paths};
use crate::bindings::caps::types::Error;
use crate::bindings::chat::nexus::plugin::chat_types::SessionInfo;
use crate::engine::instance_state::InstanceState;
use crate::instance::{Supervisor, refused as error_of};
use crate::truncate;
use futures::future::BoxFuture;
use nexus_config::resolved::Workspaces;
use nexus_model::limits;
use nexus_model::plugin::PluginStatus;
use nexus_model::trouble::Trouble;
use nexus_model::{chat, plugin};
use nexus_plugin_traits::PluginRecord;
use nexus_plugin_traits::{BackendEvents, Call, CallError, CancelReason, ChatBackend, Prompt, Supervised};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use wasmtime::component::Accessor;

pub(crate) struct WasmChat {
    supervisor: Arc<Supervisor<ChatExports>>,
    workspaces: Workspaces,
    /// `facts` is what the plugin said about itself last, for the time when it is down.
    facts: Mutex<Option<ChatFacts>>,
    /// `leaving` is why the event stream ends next.
    leaving: Arc<Mutex<CancelReason>>,
    /// `reading_events` allows one event stream at a time: a second one waits for the end of the first.
    reading_events: Arc<tokio::sync::Mutex<()>>,
}

impl WasmChat {
    pub(crate) fn new(supervisor: Supervisor<ChatExports>, workspaces: Workspaces) -> Self {
        Self {
            supervisor: Arc::new(supervisor),
            workspaces,
            facts: Mutex::default(),
            leaving: Arc::new(Mutex::new(CancelReason::Stop)),
            reading_events: Arc::default(),
        }
    }

    fn facts<T>(&self, read: impl FnOnce(&ChatFacts) -> T) -> Option<T> {
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = self.supervisor.current() {
            *known = Some(handle.facts.clone());
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

    /// A session that the plugin gives back: `did` says what it did to it.
    fn session(&self, did: &str, info: SessionInfo) -> Result<chat::SessionInfo, CallError> {
        let info = self.heard(|by| convert_chat::session_info(info, by));
        if truncate::is_session(&info) {
            return Ok(info);
        }
        Err(CallError::Other(format!(
            "the chat plugin {did} a session whose ids are {}. This is a bug of the plugin",
            truncate::NO_ID
        )))
    }

    fn workspace(&self) -> String {
        self.workspaces.first.display().to_string()
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

    fn events(&self) -> BackendEvents {
        let (supervisor, workspaces) = (Arc::clone(&self.supervisor), self.workspaces.clone());
        let (leaving, turn) = (Arc::clone(&self.leaving), Arc::clone(&self.reading_events));
        BackendEvents::new(limits::CHAT_EVENTS, |to| async move {
            let _turn = turn.lock().await;
            ChatEvents::new(supervisor, to, workspaces, leaving).run().await;
        })
    }

    fn leaving(&self, reason: CancelReason) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn features(&self) -> BTreeSet<chat::Feature> {
        self.facts(|f| f.features.clone()).unwrap_or_default()
    }

    fn prompt<'a>(
        &'a self,
        session: &'a chat::SessionInfo,
        prompt: Prompt,
        attachments: Vec<chat::NewAttachment>,
    ) -> Call<'a, chat::Admission> {
        let session = convert_chat::session_ref(session);
        let (id, parts, options) = convert_chat::prompt(prompt, attachments);
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
            request_paths::add(&mut answer.requests, &self.workspaces).await;
            Ok(self.heard(|by| convert_chat::snapshot(answer, by)))
        })
    }

    fn sessions(&self, workspace: Option<String>, limit: u32) -> Call<'_, Vec<chat::SessionInfo>> {
        let workspace = workspace.unwrap_or_else(|| self.workspace());
        Box::pin(async move {
            let answer = self.ask_optional(
                "list sessions",
                |e| e.sessions.as_ref(),
                move |a, s| Box::pin(s.call_list(a, workspace, limit)),
            );
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let listed = truncate::list(answer.await?, most);
            Ok(self.heard(|by| {
                let count = listed.len();
                let infos = listed.into_iter().map(|info| convert_chat::session_info(info, by));
                let proper: Vec<_> = infos.filter(truncate::is_session).collect();
                by.leave_out_ids(count - proper.len(), "sessions of a list");
                proper
            }))
        })
    }

    fn create(&self, workspace: Option<String>, title: Option<String>) -> Call<'_, chat::SessionInfo> {
        let workspace = workspace.unwrap_or_else(|| self.workspace());
        Box::pin(async {
            let answer = self.ask_optional(
                "create sessions",
                |e| e.sessions.as_ref(),
                |a, s| Box::pin(s.call_create(a, workspace, title)),
            );
            self.session("created", answer.await?)
        })
    }

    fn rename<'a>(&'a self, session: &'a chat::SessionInfo, title: &'a str) -> Call<'a, ()> {
        let (session, title) = (convert_chat::session_ref(session), title.to_owned());
        Box::pin(self.ask_optional(
            "rename sessions",
            |e| e.sessions.as_ref(),
            |a, s| Box::pin(s.call_rename(a, session, title)),
        ))
    }

    fn delete<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, ()> {
        let session = convert_chat::session_ref(session);
        Box::pin(self.ask_optional(
            "delete sessions",
            |e| e.sessions.as_ref(),
            |a, s| Box::pin(s.call_delete(a, session)),
        ))
    }

    fn models<'a>(&'a self, workspace: &'a str) -> Call<'a, chat::ModelList> {
        let workspace = workspace.to_owned();
        Box::pin(async {
            let answer = self.ask_optional(
                "list models",
                |e| e.models.as_ref(),
                |a, m| Box::pin(m.call_list(a, workspace)),
            );
            let list = answer.await?;
            Ok(self.heard(|by| choices::models(list, by)))
        })
    }

    fn agents<'a>(&'a self, workspace: &'a str) -> Call<'a, chat::AgentList> {
        let workspace = workspace.to_owned();
        Box::pin(async {
            let answer = self.ask_optional(
                "list agents",
                |e| e.agents.as_ref(),
                |a, m| Box::pin(m.call_list(a, workspace)),
            );
            let list = answer.await?;
            Ok(self.heard(|by| choices::agents(list, by)))
        })
    }

    fn commands<'a>(&'a self, workspace: &'a str) -> Call<'a, Vec<chat::Command>> {
        let workspace = workspace.to_owned();
        Box::pin(async {
            let answer = self.ask_optional(
                "list commands",
                |e| e.commands.as_ref(),
                |a, c| Box::pin(c.call_list(a, workspace)),
            );
            let list = answer.await?;
            Ok(self.heard(|by| choices::commands(list, by)))
        })
    }

    fn read_attachment<'a>(&'a self, session: &'a chat::SessionInfo, id: &'a str) -> Call<'a, chat::FileContent> {
        let (session, id) = (convert_chat::session_ref(session), id.to_owned());
        Box::pin(async {
            let answer = self.ask_optional(
                "read attachments",
                |e| e.attachments.as_ref(),
                |a, f| Box::pin(f.call_read(a, session, id)),
            );
            choices::file(answer.await?).ok_or_else(too_large)
        })
    }

    fn fork<'a>(&'a self, session: &'a chat::SessionInfo, before: Option<&'a str>) -> Call<'a, chat::SessionInfo> {
        let (session, before) = (convert_chat::session_ref(session), before.map(str::to_owned));
        Box::pin(async {
            let answer = self.ask_optional(
                "fork sessions",
                |e| e.fork.as_ref(),
                |a, f| Box::pin(f.call_fork(a, session, before)),
            );
            self.session("forked", answer.await?)
        })
    }

    fn revert<'a>(&'a self, session: &'a chat::SessionInfo, message: &'a str) -> Call<'a, chat::SessionInfo> {
        let (session, message) = (convert_chat::session_ref(session), message.to_owned());
        Box::pin(async {
            let answer = self.ask_optional(
                "take messages back",
                |e| e.revert.as_ref(),
                |a, r| Box::pin(r.call_revert(a, session, message)),
            );
            self.session("gave", answer.await?)
        })
    }

    fn restore<'a>(&'a self, session: &'a chat::SessionInfo) -> Call<'a, chat::SessionInfo> {
        let session = convert_chat::session_ref(session);
        Box::pin(async {
            let answer = self.ask_optional(
                "bring messages back",
                |e| e.revert.as_ref(),
                |a, r| Box::pin(r.call_restore(a, session)),
            );
            self.session("gave", answer.await?)
        })
    }

    fn compact<'a>(&'a self, session: &'a chat::SessionInfo, model: Option<&'a str>) -> Call<'a, ()> {
        let (session, model) = (convert_chat::session_ref(session), model.map(str::to_owned));
        Box::pin(self.ask_optional(
            "summarize messages",
            |e| e.compaction.as_ref(),
            |a, c| Box::pin(c.call_compact(a, session, model)),
        ))
    }

    fn set_archived<'a>(&'a self, session: &'a chat::SessionInfo, archived: bool) -> Call<'a, ()> {
        let session = convert_chat::session_ref(session);
        Box::pin(self.ask_optional(
            "archive sessions",
            |e| e.archive.as_ref(),
            move |a, s| Box::pin(s.call_set_archived(a, session, archived)),
        ))
    }

    fn workspaces(&self) -> Call<'_, Vec<chat::Workspace>> {
        Box::pin(async {
            let answer = self.ask_optional(
                "list project folders",
                |e| e.workspaces.as_ref(),
                |a, w| Box::pin(w.call_list(a)),
            );
            let list = answer.await?;
            Ok(self.heard(|by| choices::workspaces(list, by)))
        })
    }

    fn search_files<'a>(&'a self, workspace: &'a str, query: &'a str, limit: u32) -> Call<'a, Vec<chat::FileEntry>> {
        let (workspace, query) = (workspace.to_owned(), query.to_owned());
        Box::pin(async move {
            let answer = self.ask_optional(
                "search files",
                |e| e.files.as_ref(),
                move |a, f| Box::pin(f.call_search(a, workspace, query, limit)),
            );
            Ok(choices::entries(answer.await?, at_most(limit, limits::SEARCHED_FILES)))
        })
    }

    fn list_folder<'a>(&'a self, workspace: &'a str, folder: &'a str) -> Call<'a, Vec<chat::FileEntry>> {
        let (workspace, folder) = (workspace.to_owned(), folder.to_owned());
        Box::pin(async {
            let answer = self.ask_optional(
                "list files",
                |e| e.files.as_ref(),
                |a, f| Box::pin(f.call_list(a, workspace, folder)),
            );
            Ok(choices::entries(answer.await?, limits::FOLDER_ENTRIES))
        })
    }

    fn read_file<'a>(&'a self, workspace: &'a str, path: &'a str) -> Call<'a, chat::FileContent> {
        let (workspace, path) = (workspace.to_owned(), path.to_owned());
        Box::pin(async {
            let answer = self.ask_optional(
                "read files",
                |e| e.files.as_ref(),
                |a, f| Box::pin(f.call_read(a, workspace, path)),
            );
            choices::file(answer.await?).ok_or_else(too_large)
        })
    }

    fn find_lines<'a>(&'a self, workspace: &'a str, text: &'a str, limit: u32) -> Call<'a, Vec<chat::FoundLine>> {
        let (workspace, text) = (workspace.to_owned(), text.to_owned());
        Box::pin(async move {
            let answer = self.ask_optional(
                "search in files",
                |e| e.files.as_ref(),
                move |a, f| Box::pin(f.call_find(a, workspace, text, limit)),
            );
            Ok(choices::found_lines(answer.await?, at_most(limit, limits::FOUND_LINES)))
        })
    }

    fn providers(&self) -> Call<'_, Vec<chat::Provider>> {
        Box::pin(async {
            let answer = self.ask_optional(
                "list providers of models",
                |e| e.providers.as_ref(),
                |a, p| Box::pin(p.call_list(a)),
            );
            let list = answer.await?;
            Ok(self.heard(|by| choices::providers(list, by)))
        })
    }

    fn sign_in<'a>(&'a self, provider: &'a str, method: &'a str, values: chat::SignInValues) -> Call<'a, ()> {
        let (provider, method) = (provider.to_owned(), method.to_owned());
        Box::pin(self.ask_optional(
            SIGN_IN,
            |e| e.providers.as_ref(),
            |a, p| Box::pin(p.call_sign_in(a, provider, method, choices::values(values))),
        ))
    }

    fn begin_sign_in<'a>(
        &'a self,
        provider: &'a str,
        method: &'a str,
        values: chat::SignInValues,
    ) -> Call<'a, chat::BrowserSignIn> {
        let (provider, method) = (provider.to_owned(), method.to_owned());
        Box::pin(async {
            let answer = self.ask_optional(
                SIGN_IN,
                |e| e.providers.as_ref(),
                |a, p| Box::pin(p.call_begin(a, provider, method, choices::values(values))),
            );
            choices::page(answer.await?).map_err(CallError::Other)
        })
    }

    fn finish_sign_in<'a>(&'a self, provider: &'a str, method: &'a str, code: Option<String>) -> Call<'a, ()> {
        let (provider, method) = (provider.to_owned(), method.to_owned());
        Box::pin(self.ask_optional(
            SIGN_IN,
            |e| e.providers.as_ref(),
            |a, p| Box::pin(p.call_finish(a, provider, method, code)),
        ))
    }

    fn sign_out<'a>(&'a self, provider: &'a str) -> Call<'a, ()> {
        let provider = provider.to_owned();
        Box::pin(self.ask_optional(
            SIGN_IN,
            |e| e.providers.as_ref(),
            |a, p| Box::pin(p.call_sign_out(a, provider)),
        ))
    }
}

/// `SIGN_IN` is what a plugin without `providers` cannot do.
const SIGN_IN: &str = "sign in to providers of models";

fn at_most(limit: u32, most: usize) -> usize {
    usize::try_from(limit).unwrap_or(most).min(most)
}

fn too_large() -> CallError {
    CallError::Denied(format!(
        "The file is larger than {} MiB, so it is not shown.",
        limits::FILE_BYTES >> 20
    ))
}
