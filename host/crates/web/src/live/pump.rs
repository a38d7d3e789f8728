//! One live connection, whatever carries it: client frames in, server frames out.
//!
//! Streaming never waits for a request: requests run as tasks of their own, which also means that one whose client goes
//! away is still brought to its end. A prompt is the chat service's own task.

use super::open_text::OpenTexts;
use super::protocol::{Client, Server, VERSION};
use super::session_view;
use crate::http::assets;
use crate::http::identity::{RequestOrigin, User};
use crate::{WebState, pages, permission_answers};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use nexus_chat::journal::{Ended, Item, Subscription};
use nexus_chat::{BackendStatus, ChatError};
use nexus_model::chat::Admission;
use nexus_model::limits;
use nexus_model::plugin::PluginStatus;
use nexus_model::tunnel::TunnelStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// `REQUESTS` is how many requests of one client run at a time.
const REQUESTS: usize = 16;
/// `MEASURE` is how often what is measured is sent to whoever looks at the status.
const MEASURE: Duration = Duration::from_secs(5);

/// `STATUS_PAUSE` is the time between two looks at the status, however much happens: each asks the system about all
/// processes.
const STATUS_PAUSE: Duration = Duration::from_millis(200);

/// `LIST_PAUSE` is the time between two lists, so much for each hundred of its lines: a list comes with every turn of
/// every chat.
const LIST_PAUSE: Duration = Duration::from_millis(250);

/// `End` says why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// `Gone`: the other side is gone.
    Gone,
    /// `Protocol`: it began with what is not of this protocol.
    Protocol(String),
}

/// `Outgoing` is what the socket is to write.
pub(super) enum Outgoing {
    Frame(Box<Server>),
    /// `Text` is a frame that was made before, for others.
    Text(Arc<str>),
}

impl From<Server> for Outgoing {
    fn from(frame: Server) -> Self {
        Self::Frame(Box::new(frame))
    }
}

impl From<Arc<str>> for Outgoing {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

/// `ReadFrame` is what the socket read.
pub(super) type ReadFrame = Result<Client, Box<Server>>;

/// `Shown` is the session that is shown.
struct Shown {
    session: String,
    /// `last` is the number of the last event that was sent.
    last: u64,
    open: OpenTexts,
    items: Subscription,
}

pub(super) struct Pump {
    state: WebState,
    user: User,
    out: mpsc::Sender<Outgoing>,
    shown: Option<Shown>,
    requests: Arc<Semaphore>,
    /// `prompts` are those that were sent, each with its place among the requests.
    prompts: FuturesUnordered<BoxFuture<'static, (Server, OwnedSemaphorePermit)>>,
    /// `lines` is how many lines of the list are shown.
    lines: usize,
    /// `list_at` is from when on the list may be sent again.
    list_at: Instant,
    status: bool,
    /// `stale`: something of the status changed since it was sent.
    stale: bool,
    /// `sent` is when it was sent last.
    sent: Instant,
}

/// Runs until the client is gone or breaks the protocol. `out` is bounded, and while it is full nothing more is taken
/// from the services: that holds them back.
pub(super) async fn run(
    state: WebState,
    user: User,
    mut inputs: mpsc::Receiver<ReadFrame>,
    out: mpsc::Sender<Outgoing>,
) -> End {
    let requests = Arc::new(Semaphore::new(REQUESTS));
    let mut pump = Pump {
        state,
        user,
        out,
        shown: None,
        requests,
        prompts: FuturesUnordered::new(),
        lines: limits::LIST_SHOWN,
        list_at: Instant::now(),
        status: false,
        stale: false,
        sent: Instant::now(),
    };
    match pump.converse(&mut inputs).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

impl Pump {
    async fn converse(&mut self, inputs: &mut mpsc::Receiver<ReadFrame>) -> Result<std::convert::Infallible, End> {
        let services = self.state.services.clone();
        let mut list = services.chat.sessions();
        let mut backend = services.chat.backend();
        let mut plugins = services.plugins.statuses.subscribe();
        let mut tunnels = services.tunnels.statuses();
        let mut activity = services.activity.recent();
        let mut config = services.reload.pending();
        let mut measure = tokio::time::interval(MEASURE);
        measure.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.hello(inputs.recv().await.ok_or(End::Gone)?).await?;
        services.chat.list_opened();
        self.send_backend(&mut backend).await?;
        self.send_list(&mut list).await?;
        if self.status {
            self.send_status(&mut plugins, &mut tunnels).await?;
        }
        // Made once: an event is no reason to set a timer again.
        let mut soon = std::pin::pin!(tokio::time::sleep_until(self.sent + STATUS_PAUSE));
        let mut list_again = std::pin::pin!(tokio::time::sleep_until(self.list_at));
        loop {
            if soon.deadline() != self.sent + STATUS_PAUSE {
                soon.as_mut().reset(self.sent + STATUS_PAUSE);
            }
            if list_again.deadline() != self.list_at {
                list_again.as_mut().reset(self.list_at);
            }
            tokio::select! {
                input = inputs.recv() => match input.ok_or(End::Gone)? {
                    Ok(Client::List { count }) => {
                        self.lines = count.max(limits::LIST_SHOWN);
                        self.send_list(&mut list).await?;
                    }
                    input => self.input(input).await?,
                },
                Some((answer, slot)) = self.prompts.next() => {
                    self.send(answer).await?;
                    drop(slot);
                }
                item = next(&mut self.shown) => self.item(item).await?,
                Ok(()) = async {
                    list_again.as_mut().await;
                    list.changed().await
                } => self.send_list(&mut list).await?,
                Ok(()) = backend.changed() => {
                    self.send_backend(&mut backend).await?;
                    self.stale = true;
                }
                () = soon.as_mut(), if self.stale && self.status => self.send_status(&mut plugins, &mut tunnels).await?,
                _ = measure.tick(), if self.status => self.stale = true,
                Ok(()) = plugins.changed(), if self.status => self.stale = true,
                Ok(()) = tunnels.changed(), if self.status => self.stale = true,
                Ok(()) = activity.changed(), if self.status => {
                    activity.borrow_and_update();
                    self.stale = true;
                }
                Ok(()) = config.changed(), if self.status => {
                    config.borrow_and_update();
                    self.stale = true;
                }
            }
        }
    }

    async fn send(&mut self, frame: impl Into<Outgoing>) -> Result<(), End> {
        self.out.send(frame.into()).await.map_err(|_| End::Gone)
    }

    async fn hello(&mut self, first: ReadFrame) -> Result<(), End> {
        let Ok(Client::Hello {
            protocol,
            session,
            from,
            status,
        }) = first
        else {
            return Err(End::Protocol("the first frame must be hello".into()));
        };
        if protocol != VERSION {
            return Err(End::Protocol(format!(
                "the page uses protocol {protocol}, but Nexus uses {VERSION}: reload the page"
            )));
        }
        self.status = status;
        self.send(Server::Welcome {
            protocol: VERSION,
            version: self.state.services.host.version.clone(),
            account: self.user.login.account().to_owned(),
            assets: assets::base(),
            now: self.state.clock.now(),
        })
        .await?;
        match session {
            Some(session) => self.subscribe(session, from).await,
            None => Ok(()),
        }
    }

    async fn send_list(&mut self, list: &mut watch::Receiver<Arc<Vec<nexus_model::chat::Root>>>) -> Result<(), End> {
        let all = Arc::clone(&list.borrow_and_update());
        let (first, rest) = all.split_at(all.len().min(self.lines));
        let mut sessions = first.to_vec();
        let own = self.shown.as_ref().map(|shown| &shown.session);
        let own = own.and_then(|own| rest.iter().find(|root| root.info.id == *own));
        sessions.extend(own.cloned());
        let more = all.len() - sessions.len();
        let hundreds = u32::try_from(1 + sessions.len() / 100).unwrap_or(u32::MAX);
        self.list_at = Instant::now() + LIST_PAUSE.saturating_mul(hundreds);
        self.send(Server::List { sessions, more }).await
    }

    async fn send_backend(&mut self, backend: &mut watch::Receiver<BackendStatus>) -> Result<(), End> {
        let backend = backend.borrow_and_update().clone();
        let html = pages::banners(&backend, &self.user.login.csrf);
        self.send(Server::Backend { backend, html }).await
    }

    async fn send_status(
        &mut self,
        plugins: &mut watch::Receiver<Vec<PluginStatus>>,
        tunnels: &mut watch::Receiver<Vec<TunnelStatus>>,
    ) -> Result<(), End> {
        let plugins = plugins.borrow_and_update().clone();
        let tunnels = tunnels.borrow_and_update().clone();
        self.stale = false;
        self.sent = Instant::now();
        self.send(Server::Status { plugins, tunnels }).await
    }

    async fn subscribe(&mut self, session: String, from: Option<u64>) -> Result<(), End> {
        self.shown = None;
        match self.state.services.chat.subscribe(&session, from).await {
            Ok(items) => {
                self.shown = Some(Shown {
                    session,
                    last: from.unwrap_or(0),
                    open: OpenTexts::default(),
                    items,
                });
                Ok(())
            }
            Err(error) => {
                let resubscribe = matches!(error, ChatError::Unavailable(_));
                let cause = match error {
                    // Whoever has read a part of it knows that there was one.
                    ChatError::NotFound(_) if from.is_some() => "This chat was deleted.".to_owned(),
                    error => error.to_string(),
                };
                let ended = Server::Ended {
                    session,
                    resubscribe,
                    cause: cause.into(),
                };
                self.send(ended).await
            }
        }
    }

    async fn item(&mut self, item: Result<Item, Ended>) -> Result<(), End> {
        let Some(shown) = &mut self.shown else {
            return Ok(());
        };
        match item {
            Ok(Item::State(mut state)) => {
                shown.last = state.seq;
                let (session, later) = (shown.session.clone(), session_view::later_requests(&mut state));
                let blocks = shown.open.begin(&session, &state.messages, &self.state.renderer);
                let Some(frame) = session_view::state(&session, *state, &self.state.renderer).await else {
                    return self.ended().await;
                };
                self.send(frame).await?;
                for frame in blocks {
                    self.send(frame).await?;
                }
                for request in later {
                    let session = session.clone();
                    self.send(Server::Request { session, request }).await?;
                }
                Ok(())
            }
            Ok(Item::Event(entry)) => {
                let prev = std::mem::replace(&mut shown.last, entry.seq);
                match session_view::event(&shown.session, prev, &entry, &self.state.renderer) {
                    Ok(text) => {
                        let blocks = shown.open.event(&shown.session, &entry.event, &self.state.renderer);
                        self.send(text).await?;
                        match blocks {
                            Some(frame) => self.send(frame).await,
                            None => Ok(()),
                        }
                    }
                    // Nothing of it can be shown, and nothing may be left out.
                    Err(_) => self.ended().await,
                }
            }
            Err(_) => self.ended().await,
        }
    }

    /// Ends the session that is shown: it was deleted, or its record cannot be read, so nothing more comes of it.
    async fn ended(&mut self) -> Result<(), End> {
        let session = self.shown.take().map(|shown| shown.session).unwrap_or_default();
        let ended = Server::Ended {
            session,
            resubscribe: true,
            cause: "The subscription ended.".into(),
        };
        self.send(ended).await
    }

    async fn input(&mut self, input: ReadFrame) -> Result<(), End> {
        let input = match input {
            Ok(input) => input,
            Err(answer) => return self.send(*answer).await,
        };
        match input {
            Client::Hello { .. } => {
                let cause = "The frame `hello` is allowed only once, as the first frame.".into();
                self.send(Server::Invalid { cause }).await
            }
            Client::Ping => self.send(Server::Pong).await,
            Client::Subscribe { session, from } => self.subscribe(session, from).await,
            Client::Unsubscribe => {
                self.shown = None;
                Ok(())
            }
            request => self.request(request).await,
        }
    }

    async fn request(&mut self, request: Client) -> Result<(), End> {
        let Ok(slot) = Arc::clone(&self.requests).try_acquire_owned() else {
            return self.send(too_many(request)).await;
        };
        if let Client::Prompt { session, prompt } = request {
            let client_id = prompt.client_id.clone();
            if let Err(cause) = super::acceptable(&prompt) {
                let cause = cause.into();
                return self.send(Server::Refused { client_id, cause }).await;
            }
            let (prompt, now) = prompt.parts();
            let admission = self.state.services.chat.prompt(&session, prompt, now);
            let answer = admission.map(|admission| (admitted(client_id, admission), slot));
            self.prompts.push(answer.boxed());
            return Ok(());
        }
        let (state, out, who) = (self.state.clone(), self.out.clone(), self.user.who());
        tokio::spawn(async move {
            let answer = answer(&state, &who, request).await;
            // Nobody there any more: the client asks again after its reconnect.
            let _ = out.send(answer.into()).await;
            drop(slot);
        });
        Ok(())
    }
}

/// `next` is what happens next in the session that is shown; it is pending for ever without one.
async fn next(shown: &mut Option<Shown>) -> Result<Item, Ended> {
    match shown {
        Some(shown) => shown.items.next().await,
        None => std::future::pending().await,
    }
}

/// Answers a request that is too much. A client may ask again; a prompt does so by itself.
fn too_many(request: Client) -> Server {
    let cause = format!("More than {REQUESTS} requests at once; retrying.").into();
    match request {
        Client::Prompt { prompt, .. } => Server::Deferred {
            client_id: prompt.client_id,
            cause,
        },
        Client::Continue { id, .. }
        | Client::Cancel { id, .. }
        | Client::Reply { id, .. }
        | Client::TakeBack { id, .. }
        | Client::Create { id, .. } => Server::Failed {
            id,
            cause: format!("More than {REQUESTS} requests at once. Try again.").into(),
        },
        _ => Server::Invalid { cause },
    }
}

async fn answer(state: &WebState, who: &RequestOrigin, request: Client) -> Server {
    let chat = &state.services.chat;
    match request {
        Client::TakeBack { id, session, client_id } => settle(id, chat.take_back(&session, &client_id).await),
        Client::Older { session, before } => match chat.state(&session).await {
            Ok(whole) => session_view::older(&session, whole, &before, &state.renderer).await,
            Err(error) => Server::Invalid {
                cause: error.to_string().into(),
            },
        },
        Client::Part { session, part } => {
            let whole = chat.state(&session).await.ok();
            let parts = whole
                .into_iter()
                .flat_map(|whole| whole.messages)
                .flat_map(|known| known.parts);
            match parts.into_iter().find(|known| known.id == part) {
                Some(part) => Server::Part {
                    session,
                    part: session_view::whole(part, &state.renderer),
                },
                None => Server::Invalid {
                    cause: "This part no longer exists.".into(),
                },
            }
        }
        Client::Continue { id, session } => {
            let result = match chat.continue_interrupted(&session).await {
                Ok(Admission::Admitted | Admission::Duplicate) => Ok(()),
                Ok(Admission::Unknown(cause)) => Err(ChatError::Unavailable(cause)),
                Ok(Admission::Refused(cause) | Admission::ConsentNeeded { text: cause, .. }) => {
                    Err(ChatError::Refused(cause))
                }
                Err(error) => Err(error),
            };
            settle(id, result)
        }
        Client::Cancel { id, session } => settle(id, chat.cancel(&session).await),
        Client::Reply {
            id,
            session,
            request,
            answer,
        } => settle(
            id,
            permission_answers::give(state, who, &session, &request, answer).await,
        ),
        Client::Create { id, title, workspace } => match chat.create(workspace, title, Some(&id)).await {
            Ok(session) => Server::Created { id, session },
            Err(error) => Server::Failed {
                id,
                cause: error.to_string().into(),
            },
        },
        // None of these comes here.
        Client::Hello { .. }
        | Client::Subscribe { .. }
        | Client::Unsubscribe
        | Client::List { .. }
        | Client::Ping
        | Client::Prompt { .. } => Server::Pong,
    }
}

/// `settle` is the answer to a request that has no other result.
fn settle<E: std::fmt::Display>(id: String, result: Result<(), E>) -> Server {
    match result {
        Ok(()) => Server::Done { id },
        Err(error) => Server::Failed {
            id,
            cause: error.to_string().into(),
        },
    }
}

/// `admitted` is the answer to a prompt.
fn admitted(client_id: String, admission: Result<Admission, ChatError>) -> Server {
    match admission {
        Ok(Admission::Admitted) => Server::Admitted {
            client_id,
            duplicate: false,
        },
        Ok(Admission::Duplicate) => Server::Admitted {
            client_id,
            duplicate: true,
        },
        Ok(Admission::Unknown(cause)) | Err(ChatError::Unavailable(cause)) => Server::Deferred {
            client_id,
            cause: cause.into(),
        },
        Ok(Admission::Refused(cause))
        | Err(ChatError::Refused(cause) | ChatError::NotFound(cause) | ChatError::Unconfirmed(cause)) => {
            Server::Refused {
                client_id,
                cause: cause.into(),
            }
        }
        Ok(Admission::ConsentNeeded { id, text }) => Server::Consent {
            client_id,
            consent: id,
            text,
        },
    }
}
