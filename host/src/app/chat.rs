//! Conversations, as the web wants them.

use super::foundation::Foundation;
use crate::install::{self, Progress};
use futures::FutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use nexus_chat::journal::state::SessionState as Folded;
use nexus_chat::journal::{Item, Journal, Listed};
use nexus_chat::{ChatService, ChatStatus, Phase};
use nexus_config::with_file;
use nexus_model::chat::{Admission, Answer, Ask, Root, SessionInfo, Turn};
use nexus_model::limits;
use nexus_model::plugin::Kind;
use nexus_plugin_traits::Prompt as BackendPrompt;
use nexus_registry::{Plugins, Registered, Ticket, chat_place};
use nexus_store::{Health, StoreError};
use nexus_web::port::{ApiError, Backend, ChatApi, Frame, Install, Missing, Prompt, Reply, SessionState};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The service's status passes through one task on its way to the web.
const SHOWN: std::time::Duration = std::time::Duration::from_secs(1);

/// The one that ships.
const EXAMPLE: &str = "chat-echo";

/// Until a backend that was just installed has to be found.
const FOUND: std::time::Duration = std::time::Duration::from_secs(60);

/// The chat service in front of the web.
pub(super) struct ChatAdapter {
    chat: Arc<ChatService>,
    journal: Journal,
    backend: watch::Receiver<Backend>,
    install: Arc<watch::Sender<Install>>,
    foundation: Arc<Foundation>,
    plugins: Plugins,
    /// By what the plugins stand among all plugins. Held by a swap: one at a time.
    shown: Arc<tokio::sync::Mutex<Shown>>,
}

/// The backend that is wanted, and those that were before: a plugin that was swapped away is still there to be swapped back.
struct Shown {
    now: Ticket,
    before: BTreeMap<String, Ticket>,
}

fn offer() -> String {
    format!("Install opencode {}", install::OPENCODE_VERSION)
}

impl ChatAdapter {
    pub(super) fn start(
        chat: Arc<ChatService>,
        journal: Journal,
        foundation: Arc<Foundation>,
        plugins: Plugins,
        shown: Ticket,
    ) -> Self {
        let path = std::env::var_os("PATH");
        // The one program that can be installed by this one.
        let offered = if chat.plugin() == "chat-opencode" && install::find_npm(path.as_deref()).is_some() {
            Install::Offered { label: offer() }
        } else {
            Install::No
        };
        let install = Arc::new(watch::Sender::new(offered));
        let (mut status, mut progress) = (chat.status(), install.subscribe());
        let mut health = foundation.store.health();
        let mut compiling = foundation.compiling();
        let file = foundation.config.file.clone();
        let now = backend(
            &status.borrow_and_update(),
            &progress.borrow_and_update(),
            &health.borrow_and_update(),
            &compiling.borrow_and_update(),
            file.as_deref(),
        );
        let (sender, receiver) = watch::channel(now);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = status.changed() => if changed.is_err() { return },
                    changed = progress.changed() => if changed.is_err() { return },
                    changed = health.changed() => if changed.is_err() { return },
                    changed = compiling.changed() => if changed.is_err() { return },
                }
                let now = backend(
                    &status.borrow_and_update(),
                    &progress.borrow_and_update(),
                    &health.borrow_and_update(),
                    &compiling.borrow_and_update(),
                    file.as_deref(),
                );
                sender.send_if_modified(|shown| std::mem::replace(shown, now.clone()) != now);
            }
        });
        Self {
            chat,
            journal,
            backend: receiver,
            install,
            foundation,
            plugins,
            shown: Arc::new(tokio::sync::Mutex::new(Shown {
                now: shown,
                before: BTreeMap::new(),
            })),
        }
    }

    /// Lets `plugin`, loaded anew, be the backend, also where it is that already: with other settings then.
    pub(super) async fn replace(&self, plugin: &str) -> Result<(), ApiError> {
        let Ok(alone) = Arc::clone(&self.shown).try_lock_owned() else {
            return Err(ApiError::Refused(
                "Another plugin is taking over the chat just now; try again when that is done.".to_owned(),
            ));
        };
        let swapping = Swapping {
            chat: Arc::clone(&self.chat),
            foundation: Arc::clone(&self.foundation),
            plugins: self.plugins.clone(),
            plugin: plugin.to_owned(),
            shown: alone,
        };
        // To its end, whether or not anybody waits for it.
        let done = tokio::spawn(swapping.run()).await;
        done.map_err(|error| ApiError::Unavailable(error.to_string()))??;
        self.shown().await;
        Ok(())
    }
}

/// `file`: the configuration's, where there is one.
fn backend(
    status: &ChatStatus,
    install: &Install,
    health: &Health,
    compiling: &[String],
    file: Option<&Path>,
) -> Backend {
    let phase = match &status.phase {
        // It takes long, and once.
        Phase::Starting { .. } if compiling.contains(&status.plugin) => Phase::Starting {
            what: format!("Compiling {}: the first start with this version of it", status.plugin),
        },
        Phase::Failed { why, hint } => Phase::Failed {
            why: why.clone(),
            hint: hint.as_ref().map(|hint| with_file(hint, file)),
        },
        phase => phase.clone(),
    };
    Backend {
        plugin: status.plugin.clone(),
        title: status.title.clone(),
        version: status.version.clone(),
        rules: status.rules.clone(),
        example: status.example,
        phase,
        pending: status.pending.clone(),
        missing: status.missing.as_ref().map(|missing| Missing {
            title: missing.title.clone(),
            hint: with_file(&missing.hint, file),
            install: install.clone(),
        }),
        unsaved: match health {
            Health::Writable => None,
            Health::ReadOnly { why } => Some(why.clone()),
        },
    }
}

/// A record that cannot be read is so the next time too.
fn unread(error: StoreError) -> ApiError {
    match error {
        StoreError::Database(_) => ApiError::Refused(error.to_string()),
        other => ApiError::Unavailable(other.to_string()),
    }
}

fn state(folded: Folded) -> Option<SessionState> {
    Some(SessionState {
        seq: folded.seq,
        info: folded.info?,
        messages: folded.messages.into_iter().map(|m| (m.message, m.parts)).collect(),
        turn: folded.turn,
        asks: folded.asks,
        error: folded.error,
    })
}

/// Another plugin takes over the chat, or the same one with other settings.
struct Swapping {
    chat: Arc<ChatService>,
    foundation: Arc<Foundation>,
    plugins: Plugins,
    plugin: String,
    shown: tokio::sync::OwnedMutexGuard<Shown>,
}

impl Swapping {
    async fn run(mut self) -> Result<(), ApiError> {
        let plugin = self.plugin.as_str();
        let known = self.plugins.catalog.check(plugin, Kind::Chat);
        known.map_err(|why| ApiError::Refused(format!("{plugin} cannot take over the chat: {why}")))?;
        let backend = self.plugins.loader.load_chat(plugin).await.map_err(ApiError::Refused)?;
        let ticket = self.plugins.statuses.add(Registered::of(&backend));
        let next = nexus_chat::Backend {
            plugin: plugin.to_owned(),
            backend,
        };
        let old = self.chat.plugin();
        if let Err(error) = self.chat.swap(next).await {
            self.plugins.statuses.remove(ticket);
            return Err(error.into());
        }
        let gone = std::mem::replace(&mut self.shown.now, ticket);
        let again = self.shown.before.remove(plugin);
        let same = if old == plugin {
            Some(gone)
        } else {
            self.shown.before.insert(old, gone)
        };
        for ticket in again.into_iter().chain(same) {
            self.plugins.statuses.remove(ticket);
        }
        let chat = &self.foundation.config.chat;
        if let Err(error) = self.plugins.overrides.keep(&chat_place(&chat.name), plugin).await {
            tracing::warn!(error, "it cannot be remembered which plugin is the chat backend");
        }
        Ok(())
    }
}

impl ChatAdapter {
    /// Until what the web sees is what the service says: whoever asked for a change and looks must find it.
    async fn shown(&self) {
        let mut backend = self.backend.clone();
        let service = self.chat.status();
        let kind = std::mem::discriminant::<Phase>;
        let same = backend.wait_for(|shown| kind(&shown.phase) == kind(&service.borrow().phase));
        let _ = tokio::time::timeout(SHOWN, same).await;
    }
}

impl ChatApi for ChatAdapter {
    fn plugins(&self) -> Vec<String> {
        self.plugins.catalog.of_kind(Kind::Chat)
    }
    fn busy(&self) -> usize {
        let list = self.journal.subscribe_list();
        let running = list.borrow();
        let mine = self.chat.plugin();
        let answers = |listed: &&Listed| matches!(listed.turn, Turn::Running | Turn::Retrying { .. });
        running
            .iter()
            .filter(answers)
            .filter(|listed| listed.backend == mine)
            .count()
    }
    fn is_example(&self, plugin: &str) -> bool {
        self.foundation.config.chat.fallback.as_deref() == Some(plugin) || plugin == EXAMPLE
    }
    fn stop(&self) -> Reply<'_, ()> {
        async move {
            self.chat.stop().await?;
            self.shown().await;
            Ok(())
        }
        .boxed()
    }
    fn start(&self) -> Reply<'_, ()> {
        async move {
            self.chat.start_again().await?;
            self.shown().await;
            Ok(())
        }
        .boxed()
    }
    fn restart(&self) -> Reply<'_, ()> {
        async move {
            self.chat.restart().await?;
            self.shown().await;
            Ok(())
        }
        .boxed()
    }
    fn swap<'a>(&'a self, plugin: &'a str) -> Reply<'a, ()> {
        async move {
            if self.chat.plugin() == plugin {
                return Err(ApiError::Refused(format!("{plugin} is the chat backend already.")));
            }
            self.replace(plugin).await
        }
        .boxed()
    }
    fn backend(&self) -> watch::Receiver<Backend> {
        self.backend.clone()
    }
    fn sessions(&self) -> watch::Receiver<Arc<Vec<Root>>> {
        self.chat.sessions()
    }
    fn list_opened(&self) {
        self.chat.list_opened();
    }
    fn create<'a>(&'a self, title: Option<String>, request: Option<&'a str>) -> Reply<'a, SessionInfo> {
        async move { Ok(self.chat.create(title, request).await?) }.boxed()
    }
    fn rename<'a>(&'a self, session: &'a str, title: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.chat.rename(session, title).await?) }.boxed()
    }
    fn delete<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.chat.delete(session).await?) }.boxed()
    }

    fn subscribe<'a>(&'a self, session: &'a str, from: Option<u64>) -> Reply<'a, BoxStream<'static, Frame>> {
        async move {
            let read = self.chat.opened(session);
            if !self.chat.knows(session) {
                // Perhaps the backend does: it may hold more than it lists.
                let _ = tokio::time::timeout(limits::FIRST_READING, read).await;
                if !self.chat.knows(session) {
                    let backend = self.backend.borrow();
                    return Err(match &backend.phase {
                        Phase::Starting { .. } | Phase::Reconnecting { .. } => ApiError::Unavailable(format!(
                            "{} is not up yet: whether it has this conversation is not known.",
                            backend.title
                        )),
                        _ => ApiError::NotFound("There is no such conversation.".to_owned()),
                    });
                }
            } else if self.journal.look(session, |state| state.messages.is_empty()).await == Ok(true) {
                // Nobody has opened it before: an empty conversation would be a wrong answer.
                let _ = tokio::time::timeout(limits::FIRST_READING, read).await;
            }
            let subscription = self.journal.subscribe(session, from).await.map_err(unread)?;
            let frames = futures::stream::unfold(subscription, |mut subscription| async move {
                loop {
                    let frame = match subscription.next().await.ok()? {
                        Item::State(folded) => match state(*folded) {
                            Some(state) => Frame::State(Box::new(state)),
                            // Deleted between the look and the subscription.
                            None => continue,
                        },
                        Item::Event(entry) => Frame::Event {
                            seq: entry.seq,
                            event: entry.event.clone(),
                        },
                    };
                    return Some((frame, subscription));
                }
            });
            Ok(frames.boxed())
        }
        .boxed()
    }

    fn state<'a>(&'a self, session: &'a str) -> Reply<'a, SessionState> {
        async move {
            let gone = || ApiError::NotFound("There is no such conversation.".to_owned());
            if !self.chat.knows(session) {
                return Err(gone());
            }
            state(self.journal.state(session).await.map_err(unread)?).ok_or_else(gone)
        }
        .boxed()
    }

    fn prompt<'a>(&'a self, session: &'a str, prompt: Prompt) -> Reply<'a, Admission> {
        let now = prompt.now;
        let prompt = BackendPrompt {
            client_id: prompt.client_id,
            text: prompt.text,
            model: None,
            consent: prompt.consent,
        };
        async move {
            let admission = self.chat.prompt(session, prompt, now).await?;
            let file = self.foundation.config.file.as_deref();
            Ok(match admission {
                Admission::ConsentNeeded { id, text } => Admission::ConsentNeeded {
                    id,
                    text: with_file(&text, file),
                },
                Admission::Refused(why) => Admission::Refused(with_file(&why, file)),
                other => other,
            })
        }
        .boxed()
    }
    fn take_back<'a>(&'a self, session: &'a str, client_id: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.chat.take_back(session, client_id).await?) }.boxed()
    }
    fn continue_interrupted<'a>(&'a self, session: &'a str) -> Reply<'a, Admission> {
        async move { Ok(self.chat.continue_interrupted(session).await?) }.boxed()
    }
    fn cancel<'a>(&'a self, session: &'a str) -> Reply<'a, ()> {
        async move { Ok(self.chat.cancel(session).await?) }.boxed()
    }
    fn asked<'a>(&'a self, session: &'a str, ask: &'a str) -> Reply<'a, Option<Ask>> {
        async move {
            let find = |state: &Folded| state.asks.iter().find(|waiting| waiting.id == ask).cloned();
            let found = self.journal.look(session, find).await;
            found.map_err(|error| ApiError::Unavailable(error.to_string()))
        }
        .boxed()
    }
    fn reply<'a>(&'a self, session: &'a str, ask: &'a str, answer: Answer) -> Reply<'a, ()> {
        async move { Ok(self.chat.reply(session, ask, answer).await?) }.boxed()
    }

    fn install(&self) -> Reply<'_, ()> {
        async move {
            match &*self.install.borrow() {
                Install::No => {
                    return Err(ApiError::Refused(
                        "Nexus cannot install this backend; see its hint for how to do it.".to_owned(),
                    ));
                }
                Install::Running { .. } => return Ok(()),
                Install::Offered { .. } | Install::Failed { .. } => {}
            }
            let what = "starting npm".to_owned();
            self.install.send_replace(Install::Running { what });
            let (install, chat, data_dir) = (
                Arc::clone(&self.install),
                Arc::clone(&self.chat),
                self.foundation.config.data_dir.clone(),
            );
            tokio::spawn(async move {
                let mut show = |progress: Progress| {
                    // npm's own lines are for a terminal: a 404 of a package for another machine is no failure.
                    if let Progress::Step(what) = progress {
                        install.send_replace(Install::Running { what });
                    }
                };
                let path = std::env::var_os("PATH");
                match install::install_opencode(&data_dir, path.as_deref(), &mut show).await {
                    Ok(program) => {
                        tracing::info!(program = %program.display(), "opencode is installed");
                        // Not to be offered again while it is looked for.
                        let what = "installed; opencode is being started".to_owned();
                        install.send_replace(Install::Running { what });
                        chat.look_again();
                        let mut status = chat.status();
                        let found = status.wait_for(|status| status.missing.is_none());
                        let found = tokio::time::timeout(FOUND, found).await.is_ok();
                        let label = offer();
                        install.send_replace(if found {
                            Install::Offered { label }
                        } else {
                            let why = "It was installed, and is not found all the same: what was looked for says more.";
                            Install::Failed {
                                why: why.to_owned(),
                                label,
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "opencode could not be installed");
                        let (why, label) = (error.to_string(), offer());
                        install.send_replace(Install::Failed { why, label });
                    }
                }
            });
            Ok(())
        }
        .boxed()
    }
}
