//! Chat: one backend, its events in the journal, and what people ask of it.
//!
//! Sessions of a backend that is not running stay in the journal: they can be read and deleted, and are continued when
//! their backend is back.

#[cfg(test)]
mod fakes;
pub mod journal;
mod journal_port;
mod local;
mod orders;
pub mod port;
mod prompt;
mod pump;
mod queue;
mod shared;
mod status;
mod switch;
#[cfg(test)]
mod tests;
mod writing;

pub use status::{ChatError, ChatStatus, Missing, Phase};
pub use switch::Backend;

use nexus_model::activity::Activity;
use nexus_model::chat::{Admission, Answer, Event, Root, SessionId, SessionInfo};
use nexus_model::limits;
use nexus_model::plugin;
use nexus_model::time::Clock;
use nexus_plugin_traits::StopProcesses;
use nexus_plugin_traits::{CallError, Prompt};
use orders::{Order, Ordered};
use port::{JournalPort, Listed};
use shared::{Shared, Wake};
use std::sync::Arc;
use switch::Switch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// What the service needs from the rest of the host.
pub struct Parts {
    pub journal: Arc<dyn JournalPort>,
    pub stop_processes: StopProcesses,
    pub activity: Arc<dyn Activity>,
    pub clock: Arc<dyn Clock>,
}

/// The running service. Dropping it ends its tasks; backends and their processes are left as they are.
pub struct ChatService {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Ordered>,
    roots: watch::Receiver<Arc<Vec<Root>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for ChatService {
    fn drop(&mut self) {
        self.end();
    }
}

impl ChatService {
    /// Ends its tasks: nothing is started or written any more. Backends and their processes are left as they are.
    pub fn end(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Starts the backend, or `fallback` as long as its program is missing.
    pub fn start(primary: Backend, fallback: Option<Backend>, parts: Parts) -> Self {
        let status = ChatStatus {
            plugin: primary.plugin.clone(),
            title: primary.backend.title(),
            version: None,
            rules: None,
            example: primary.backend.is_example(),
            phase: Phase::Starting {
                what: format!("Looking for {}", primary.backend.title()),
            },
            pending: None,
            missing: None,
        };
        let mut list = parts.journal.list();
        let (roots_sender, roots) = watch::channel(Arc::new(roots_of(&list.borrow_and_update())));
        let stop_processes = Arc::clone(&parts.stop_processes);
        let shared = Arc::new(Shared::new(primary, parts, status));
        let listing = tokio::spawn(async move {
            while list.changed().await.is_ok() {
                let roots = roots_of(&list.borrow_and_update());
                roots_sender.send_if_modified(|shown| {
                    let changed = **shown != roots;
                    *shown = Arc::new(roots);
                    changed
                });
            }
        });
        let (orders, ordered) = mpsc::channel(1);
        let switch = tokio::spawn(
            Switch {
                shared: Arc::clone(&shared),
                fallback,
                stop_processes,
            }
            .run(ordered),
        );
        Self {
            shared,
            orders,
            roots,
            tasks: vec![listing, switch],
        }
    }

    pub fn status(&self) -> watch::Receiver<ChatStatus> {
        self.shared.status.subscribe()
    }

    /// Root sessions of all backends, the most recently active first.
    pub fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.roots.clone()
    }

    /// Somebody looks at a session: what the backend has of it comes into the journal. To be called with each
    /// subscription. The future ends when that is done, or cannot be done now.
    pub fn opened(&self, session: &str) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (read, done) = oneshot::channel();
        self.wake(Wake::Session(session.to_owned(), read));
        async {
            let _ = done.await;
        }
    }

    /// Somebody looks at the list: what another program added to the backend's comes into the journal.
    pub fn list_opened(&self) {
        self.wake(Wake::List);
    }

    fn wake(&self, what: Wake) {
        if let Some(active) = &*self.shared.active.borrow() {
            let _ = active.wake.send(what);
        }
    }

    /// Whether the journal knows the session.
    pub fn knows(&self, session: &str) -> bool {
        self.shared.listed(session).is_some()
    }

    /// Looks for the backend's program now, as after an installation; starts a plugin again that fell too often.
    pub fn look_again(&self) {
        let primary = self.shared.primary().backend;
        if matches!(primary.status().borrow().state, plugin::State::Failed { .. }) {
            primary.start();
        }
        self.shared.look.notify_one();
    }

    /// Stops the backend and its processes, once turns that run have had time to finish; what had to be cut is marked as
    /// interrupted. Returns when that is done; it stays stopped until it is started.
    ///
    /// # Errors
    /// The service is gone.
    pub async fn stop(&self) -> Result<(), ChatError> {
        self.order(Order::Stop).await
    }

    /// Starts the backend; one that failed or is missing is looked for again.
    ///
    /// # Errors
    /// The service is gone.
    pub async fn start_again(&self) -> Result<(), ChatError> {
        if self.shared.status.borrow().phase == Phase::Stopped {
            return self.order(Order::Start).await;
        }
        // Whoever looks next must not take the failure of before for that of now.
        self.shared.status.send_if_modified(|status| {
            let failed = matches!(status.phase, Phase::Failed { .. });
            if failed {
                let what = format!("Looking for {}", status.title);
                status.phase = Phase::Starting { what };
            }
            failed
        });
        self.look_again();
        Ok(())
    }

    /// As [`Self::stop`], and then from the start.
    ///
    /// # Errors
    /// The service is gone.
    pub async fn restart(&self) -> Result<(), ChatError> {
        self.order(Order::Restart).await
    }

    /// Lets another backend take the place of this one, or the same one, loaded anew: prompts are held and turns have time
    /// to finish, as with [`Self::stop`]. Sessions of the old one stay readable.
    ///
    /// # Errors
    /// Its program is not there or not fit: then all is as before.
    pub async fn swap(&self, next: Backend) -> Result<(), ChatError> {
        self.order(Order::Swap(next)).await
    }

    /// The plugin that is wanted.
    pub fn plugin(&self) -> String {
        self.shared.primary().plugin
    }

    async fn order(&self, order: Order) -> Result<(), ChatError> {
        let gone = || ChatError::Unavailable("Nexus is stopping.".to_owned());
        let (done, answer) = oneshot::channel();
        self.orders.send((order, done)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Sends a prompt, once per client id however often it is called. While a turn runs it waits for its end, unless it
    /// is to be sent `now`. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// No such session, a backend that is not up, or one that cannot take it.
    pub async fn prompt(&self, session: &str, prompt: Prompt, now: bool) -> Result<Admission, ChatError> {
        let job = prompt::run(Arc::clone(&self.shared), session.to_owned(), prompt, now);
        tokio::spawn(job).await.unwrap_or_else(|_| {
            Err(ChatError::Unavailable(
                "The prompt was given up: Nexus is stopping.".to_owned(),
            ))
        })
    }

    /// Takes a prompt back that waits.
    ///
    /// # Errors
    /// Where it does not wait any more.
    pub async fn take_back(&self, session: &str, client_id: &str) -> Result<(), ChatError> {
        prompt::take_back(&self.shared, session, client_id).await
    }

    /// Goes on where an interrupted answer ended. Twice for the same answer makes one turn.
    ///
    /// # Errors
    /// Where nothing was interrupted; otherwise as [`Self::prompt`].
    pub async fn continue_interrupted(&self, session: &str) -> Result<Admission, ChatError> {
        let state = self.shared.journal.state(session).await.map_err(prompt::unwritten)?;
        // It was asked for a moment ago, and the turn has not begun.
        if self.shared.queue.busy(session) {
            return Ok(Admission::Duplicate);
        }
        if state.turn != nexus_model::chat::Turn::Interrupted {
            return Err(ChatError::Refused(
                "No answer of this conversation was interrupted.".to_owned(),
            ));
        }
        let last = state
            .messages
            .last()
            .map(|(message, _)| message.id.as_str())
            .unwrap_or_default();
        let prompt = Prompt {
            client_id: prompt::continue_id(last),
            text: "Your last answer was interrupted. Continue where it ended.".to_owned(),
            model: None,
            consent: None,
        };
        self.prompt(session, prompt, true).await
    }

    /// Stops the running turn, if any. What waits for its end is its owner's then.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub async fn cancel(&self, session: &str) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        queue::leave(
            &self.shared,
            session,
            "The answer before it was stopped, so this was not sent.",
        )
        .await;
        backend.cancel(&info).await.map_err(failed)
    }

    /// Answers an ask. One that does not wait any more is closed for everybody.
    ///
    /// # Errors
    /// `NotFound` then; otherwise as [`Self::prompt`].
    pub async fn reply(&self, session: &str, ask: &str, answer: Answer) -> Result<(), ChatError> {
        answer.check().map_err(ChatError::Refused)?;
        let (backend, info) = self.shared.target(session)?;
        let result = backend.reply(&info, ask, answer).await;
        if matches!(result, Err(CallError::NotFound(_))) {
            self.write(session, vec![Event::AskClosed { ask: ask.to_owned() }])
                .await?;
            return Err(ChatError::NotFound(
                "It does not wait for an answer any more.".to_owned(),
            ));
        }
        result.map_err(failed)
    }

    /// A backend that is being started, its plugin being compiled for it, is waited for a while.
    async fn begun(&self) {
        let (mut status, mut active) = (self.status(), self.shared.active.subscribe());
        let begins = |phase: &Phase| matches!(phase, Phase::Starting { .. } | Phase::Up);
        tokio::select! {
            _ = active.wait_for(|active| active.as_ref().is_some_and(|active| active.open)) => {}
            _ = status.wait_for(|status| !begins(&status.phase)) => {}
            () = tokio::time::sleep(limits::CREATE_WAITS) => {}
        }
    }

    /// Makes a session; once for each `request`, however often it is asked for.
    ///
    /// # Errors
    /// A backend that is not up, or that cannot.
    pub async fn create(&self, title: Option<String>, request: Option<&str>) -> Result<SessionInfo, ChatError> {
        self.begun().await;
        // One at a time: the same request may come twice at once.
        let mut created = self.shared.created.lock().await;
        let known = |(known, _): &&(String, SessionInfo)| Some(known.as_str()) == request;
        if let Some((_, info)) = created.iter().find(known)
            && self.knows(&info.id)
        {
            return Ok(info.clone());
        }
        let (plugin, backend) = self.shared.backend(None)?;
        let info = backend.create(title).await.map_err(failed)?;
        let journal = self.shared.journal.of_backend(&plugin);
        journal.create(info.clone()).await.map_err(prompt::unwritten)?;
        if let Some(request) = request {
            created.truncate(limits::CREATE_REQUESTS - 1);
            created.push_front((request.to_owned(), info.clone()));
        }
        Ok(info)
    }

    /// # Errors
    /// As [`Self::prompt`].
    pub async fn rename(&self, session: &str, title: &str) -> Result<(), ChatError> {
        let (backend, info) = self.shared.target(session)?;
        self.shared.named(session, title);
        backend.rename(&info, title).await.map_err(failed)?;
        let info = SessionInfo {
            title: title.to_owned(),
            updated_at: self.shared.clock.now(),
            ..info
        };
        self.write(session, vec![Event::Session { info }]).await
    }

    /// Deletes a session, its sub-agents' with it, from the backend and from the journal; one of a backend that does not
    /// run from the journal alone.
    ///
    /// # Errors
    /// As [`Self::prompt`].
    pub async fn delete(&self, session: &str) -> Result<(), ChatError> {
        match self.shared.target(session) {
            Ok((backend, info)) => match backend.delete(&info).await {
                Ok(()) | Err(CallError::NotFound(_)) => {}
                Err(error) => return Err(failed(error)),
            },
            Err(ChatError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        let mut all: Vec<SessionId> = self.shared.descendants(session);
        all.push(session.to_owned());
        for session in all {
            let removed = self.shared.journal.remove(&session).await;
            removed.map_err(prompt::unwritten)?;
        }
        Ok(())
    }

    async fn write(&self, session: &str, events: Vec<Event>) -> Result<(), ChatError> {
        self.shared
            .journal
            .append(session, events)
            .await
            .map_err(prompt::unwritten)
    }
}

fn roots_of(list: &[Listed]) -> Vec<Root> {
    list.iter()
        .filter(|listed| listed.info.parent.is_none())
        .map(|listed| Root {
            info: listed.info.clone(),
            backend: listed.backend.clone(),
        })
        .collect()
}

fn failed(error: CallError) -> ChatError {
    let text = error.to_string();
    match error {
        CallError::NotFound(_) => ChatError::NotFound(text),
        CallError::Denied(_) | CallError::Invalid(_) | CallError::Unsupported(_) => ChatError::Refused(text),
        CallError::Timeout(_) | CallError::Unavailable(_) | CallError::Crashed(_) | CallError::Other(_) => {
            ChatError::Unavailable(text)
        }
    }
}
