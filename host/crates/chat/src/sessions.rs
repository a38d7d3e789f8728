//! What people do with sessions.

use crate::backend_status::Phase;
use crate::error::ChatError;
use crate::journal::{SessionState, Subscription};
use crate::prompt_messages::return_all;
use crate::prompts;
use crate::service::ChatService;
use crate::shared::Wake;
use crate::snapshots::unknown;
use nexus_model::chat::{
    Admission, AgentRequest, Answer, Event, Feature, PromptOptions, Role, Root, SessionId, SessionInfo, Turn,
};
use nexus_model::digest::hex;
use nexus_model::limits;
use nexus_model::random::random;
use nexus_plugin_traits::{CallError, Prompt};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

impl ChatService {
    /// `sessions` are those of all backends that are no sub-agent's, the most recently active first; changes are seen
    /// at once.
    pub fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.shared.journal.roots()
    }

    /// Reads the backend's list for somebody who looks at it: what another program added comes into the journal. Returns at
    /// once.
    pub fn list_opened(&self) {
        self.wake(Wake::List);
    }

    /// Subscribes to what happens in a session: each event comes exactly once. `from` is the last number that the
    /// caller has; with `None`, the present state comes first. What the backend has of the session is read first, where
    /// it was never read. The subscription ends where the session is deleted.
    ///
    /// A state that comes from it or from [`Self::state`] always has its `info`.
    ///
    /// # Errors
    /// `NotFound`: there is no such session. `Unavailable`: the backend, which may have it, is not up.
    pub async fn subscribe(&self, session: &str, from: Option<u64>) -> Result<Subscription, ChatError> {
        let journal = &self.shared.journal;
        let read = self.opened(session);
        if !self.knows(session) {
            // Perhaps the backend does: it may hold more than it lists.
            let _ = tokio::time::timeout(limits::FIRST_READING, read).await;
            if !self.knows(session) {
                let backend = self.shared.status.borrow();
                return Err(match &backend.phase {
                    Phase::Starting { .. } | Phase::Reconnecting { .. } => ChatError::Unavailable(format!(
                        "{} is not ready yet, so it is unknown whether it has this chat.",
                        backend.title
                    )),
                    _ => no_such(),
                });
            }
        } else if journal.look(session, |state| state.messages.is_empty()).await == Ok(true) {
            // Nobody has opened it before: an empty session would be a wrong answer.
            let _ = tokio::time::timeout(limits::FIRST_READING, read).await;
        }
        Ok(journal.subscribe(session, from).await?)
    }

    /// `state` is a session as it is now.
    ///
    /// # Errors
    /// There is no such session, or its record cannot be read.
    pub async fn state(&self, session: &str) -> Result<SessionState, ChatError> {
        if !self.knows(session) {
            return Err(no_such());
        }
        let state = self.shared.journal.state(session).await?;
        if state.info.is_none() {
            return Err(no_such()); // deleted just now
        }
        Ok(state)
    }

    /// `pending_request` is what waits in a session for this answer, if it still does.
    ///
    /// # Errors
    /// The session's record cannot be read.
    pub async fn pending_request(&self, session: &str, request: &str) -> Result<Option<AgentRequest>, ChatError> {
        let find = |state: &SessionState| state.requests.iter().find(|waiting| waiting.id == request).cloned();
        Ok(self.shared.journal.look(session, find).await?)
    }

    /// Sends a prompt, once per client id however often it is called. While a turn runs it waits for its end, unless it
    /// is to be sent `now`. It is on its way when this returns, and gets to its end even if nobody waits for the future.
    ///
    /// # Errors
    /// No such session, a backend that is not up, or one that cannot take it.
    pub fn prompt(
        &self,
        session: &str,
        prompt: Prompt,
        now: bool,
    ) -> impl Future<Output = Result<Admission, ChatError>> + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        let job = tokio::spawn(prompts::run(Arc::clone(&shared), session.to_owned(), prompt, now));
        async move {
            let admission = job.await.unwrap_or_else(|_| {
                Err(ChatError::Unavailable(
                    "The message was not sent: Nexus is stopping.".to_owned(),
                ))
            })?;
            Ok(match admission {
                Admission::ConsentNeeded { id, text } => Admission::ConsentNeeded {
                    id,
                    text: shared.complete(&text),
                },
                Admission::Refused(cause) => Admission::Refused(shared.complete(&cause)),
                other => other,
            })
        }
    }

    /// Takes a prompt back that waits.
    ///
    /// # Errors
    /// The prompt does not wait any more.
    pub async fn take_back(&self, session: &str, client_id: &str) -> Result<(), ChatError> {
        prompts::take_back(&self.shared, session, client_id).await
    }

    /// Continues where an interrupted answer ended. Twice for the same answer makes one turn.
    ///
    /// # Errors
    /// No answer was interrupted; otherwise as [`Self::prompt`].
    pub async fn continue_interrupted(&self, session: &str) -> Result<Admission, ChatError> {
        let last = |state: &SessionState| state.messages.last().map(|last| last.message.clone());
        let look = |state: &SessionState| (state.turn == Turn::Interrupted, last(state));
        let (interrupted, last) = self.shared.journal.look(session, look).await?;
        // It was asked for a moment ago, and the turn has not begun.
        if self.shared.queue.busy(session) {
            return Ok(Admission::Duplicate);
        }
        if !interrupted {
            return Err(ChatError::Refused("No answer of this chat was interrupted.".to_owned()));
        }
        // Who was interrupted goes on: an agent that only reads is not continued by one that writes.
        let mut options = PromptOptions::default();
        if let (Some(answer), Ok((backend, _))) = (last.as_ref(), self.shared.target(session)) {
            let features = backend.features();
            let with = |which| features.contains(&which) && answer.role == Role::Assistant;
            options.agent = answer.agent.clone().filter(|_| with(Feature::Agents));
            options.model = answer.model.clone().filter(|_| with(Feature::Models));
        }
        let last = last.map(|last| last.id).unwrap_or_default();
        let prompt = Prompt {
            client_id: prompts::continue_id(&last),
            options,
            text: "Your last answer was interrupted. Continue where it ended.".to_owned(),
            ..Prompt::default()
        };
        self.prompt(session, prompt, true).await
    }

    /// Stops the running turn, if any. What waits for its end is its owner's then.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub async fn cancel(&self, session: &str) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        let cause = "The previous answer was stopped.";
        return_all(&self.shared, session, cause).await;
        Ok(backend.cancel(&info).await?)
    }

    /// Answers a permission request or a question. One that does not wait any more is closed for everybody.
    ///
    /// # Errors
    /// `NotFound`: it does not wait any more. Otherwise as [`Self::prompt`].
    pub async fn reply(&self, session: &str, request: &str, mut answer: Answer) -> Result<(), ChatError> {
        answer.check().map_err(ChatError::Refused)?;
        if let Some(pending) = self.pending_request(session, request).await? {
            pending.takes(&answer).map_err(ChatError::Refused)?;
            // What nobody was shown is not allowed for good, whatever patterns the backend has.
            if answer == Answer::Always && pending.always.is_empty() {
                answer = Answer::Once;
            }
        }
        let (backend, info) = self.shared.target(session)?;
        let result = backend.reply(&info, request, answer).await;
        if matches!(result, Err(CallError::NotFound(_))) {
            let closed = Event::RequestClosed {
                request: request.to_owned(),
            };
            self.shared.journal.append(session, vec![closed]).await?;
            return Err(ChatError::NotFound("This request is no longer open.".to_owned()));
        }
        Ok(result?)
    }

    /// Makes a session in a workspace (`None`: the configured one); once for each `request`, however often it is asked for.
    ///
    /// # Errors
    /// A backend that is not up, or that cannot; a workspace that is not one of its.
    pub async fn create(
        &self,
        workspace: Option<String>,
        title: Option<String>,
        request: Option<&str>,
    ) -> Result<SessionInfo, ChatError> {
        self.begun().await;
        // One at a time: the same request may come twice at once.
        let mut created = self.shared.created.lock().await;
        let known = |(known, _): &&(String, SessionInfo)| Some(known.as_str()) == request;
        if let Some((_, info)) = created.iter().find(known)
            && self.knows(&info.id)
        {
            return Ok(info.clone());
        }
        let (plugin, _) = self.shared.backend(None)?;
        let named = workspace.is_some();
        let (backend, folder) = self.there(workspace).await?;
        let info = if backend.features().contains(&Feature::Sessions) {
            backend.create(named.then_some(folder), title).await?
        } else {
            SessionInfo {
                workspace: folder,
                ..self.made_here(title)?
            }
        };
        self.keep_new(&plugin, &info).await?;
        if let Some(request) = request {
            created.truncate(limits::CREATE_REQUESTS - 1);
            created.push_front((request.to_owned(), info.clone()));
        }
        Ok(info)
    }

    /// Keeps a session that a backend made, which may not be one of another backend.
    pub(crate) async fn keep_new(&self, plugin: &str, info: &SessionInfo) -> Result<(), ChatError> {
        self.shared.check_owner(plugin, &info.id)?;
        self.shared.journal.of_backend(plugin).create(info.clone()).await?;
        Ok(())
    }

    /// Gives a session another title.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub async fn rename(&self, session: &str, title: &str) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        self.shared.named(session, title);
        if backend.features().contains(&Feature::Sessions) {
            backend.rename(&info, title).await?;
        }
        let info = SessionInfo {
            title: title.to_owned(),
            updated_at: self.shared.clock.now(),
            ..info
        };
        self.shared
            .journal
            .append(session, vec![Event::Session { info }])
            .await?;
        Ok(())
    }

    /// Deletes a session, its sub-agents' with it, from the backend and from the journal; one of a backend that does not
    /// run from the journal alone.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub async fn delete(&self, session: &str) -> Result<(), ChatError> {
        match self.shared.target(session) {
            Ok((backend, info)) => {
                // Nobody would see what it still does; one that cannot stop is deleted all the same.
                if self.shared.journal.is_unfinished(session)
                    && let Err(error) = backend.cancel(&info).await
                {
                    tracing::warn!(session, %error, "cannot stop the answer of a chat that is deleted");
                }
                let kept = backend.features().contains(&Feature::Sessions);
                match if kept { backend.delete(&info).await } else { Ok(()) } {
                    Ok(()) | Err(CallError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(ChatError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        let mut all: Vec<SessionId> = self.shared.descendants(session);
        all.push(session.to_owned());
        for session in all {
            self.shared.journal.remove(&session).await?;
        }
        Ok(())
    }

    /// `made_here` is a session for a backend that makes none: it takes any id.
    fn made_here(&self, title: Option<String>) -> Result<SessionInfo, ChatError> {
        let id = random::<16>().map_err(|error| ChatError::Unavailable(format!("Cannot create a chat: {error}")))?;
        let now = self.shared.clock.now();
        Ok(SessionInfo {
            id: format!("chat-{}", hex(&id)),
            title: title.unwrap_or_default(),
            created_at: now,
            updated_at: now,
            ..unknown("")
        })
    }

    /// Reads a session for somebody who looks at it: what the backend has of it comes into the journal. The future ends when
    /// that is done, or cannot be done now.
    pub(crate) fn opened(&self, session: &str) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (read, done) = oneshot::channel();
        self.wake(Wake::Session(session.to_owned(), read));
        async {
            let _ = done.await;
        }
    }

    /// Tells whether the journal knows the session.
    pub(crate) fn knows(&self, session: &str) -> bool {
        self.shared.listed(session).is_some()
    }

    pub(crate) fn wake(&self, what: Wake) {
        if let Some(active) = &*self.shared.active.borrow() {
            let _ = active.wake.send(what);
        }
    }

    /// Waits a while for a backend that is being started, as while its plugin is compiled.
    async fn begun(&self) {
        let (mut status, mut active) = (self.backend(), self.shared.active.subscribe());
        let begins = |phase: &Phase| matches!(phase, Phase::Starting { .. } | Phase::Up);
        tokio::select! {
            _ = active.wait_for(|active| active.as_ref().is_some_and(|active| active.open)) => {}
            _ = status.wait_for(|status| !begins(&status.phase)) => {}
            () = tokio::time::sleep(limits::CREATE_WAITS) => {}
        }
    }
}

fn no_such() -> ChatError {
    ChatError::NotFound("This chat does not exist.".to_owned())
}
