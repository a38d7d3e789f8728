//! The events of a chat backend, as their reader takes them.
//!
//! What makes the host's events of a plugin's could be a task with a channel behind it. Then each event would wait for two
//! tasks to be woken, one after the other, on a machine that the backend keeps busy. So it is a future that the reader polls
//! whenever it wants an event and there is none: the conversion is done where the event is used. What it has made waits in a
//! plain list, for nobody has to be woken; the runtime's budget is kept as by its own channels, so that a flood lets others run.

use futures::future::BoxFuture;
use nexus_model::{chat, plugin};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;
use tokio::task::coop::cooperative;

/// `BackendEvent` is what comes from a chat backend, over all restarts of its plugin: in order, nothing dropped.
#[allow(clippy::large_enum_variant)] // nearly all of them are the largest one
#[derive(Debug, Clone, PartialEq)]
pub enum BackendEvent {
    /// `Starting` is what is being done before the backend is up.
    Starting(String),
    /// `Opened`: the connection opened. What streamed before it may have been lost: reconcile by `snapshot`.
    Opened(chat::BackendConnection),
    /// `Event` is one event of a session, in the backend's order.
    Event(chat::SessionEvent),
    /// `Closed`: the connection is gone; `Starting` or `Opened` follow, unless it is permanent.
    Closed(plugin::Failure),
}

/// `BackendEvents` gives what comes from a chat backend. What was not taken yet is bounded and holds the plugin back.
pub struct BackendEvents {
    waiting: Arc<Mutex<Waiting>>,
    /// `source` puts events where they wait; `None`: it is over.
    source: Option<BoxFuture<'static, ()>>,
}

/// `EventSink` is where a source puts its events.
///
/// Whoever waits here is not woken: the reader polls the source again when it has taken what is there, and once more, as a
/// task, when it is gone.
pub struct EventSink(Arc<Mutex<Waiting>>);

struct Waiting {
    events: VecDeque<BackendEvent>,
    places: usize,
    /// `closed`: nobody takes events any more.
    closed: bool,
}

impl BackendEvents {
    /// Takes the events that `source` puts into its sink, where `places` of them may wait. When this is dropped the sink is
    /// closed, and the source runs to its end as a task: it has to take leave of its plugin.
    pub fn new<F>(places: usize, source: impl FnOnce(EventSink) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let waiting = Arc::new(Mutex::new(Waiting {
            events: VecDeque::new(),
            places,
            closed: false,
        }));
        Self {
            source: Some(Box::pin(source(EventSink(Arc::clone(&waiting))))),
            waiting,
        }
    }

    /// Waits for the next event; `None`: no more will come. The future may be dropped while it waits, and nothing is lost.
    pub async fn recv(&mut self) -> Option<BackendEvent> {
        cooperative(poll_fn(|cx| {
            ready!(self.poll_some(cx));
            Poll::Ready(locked(&self.waiting).events.pop_front())
        }))
        .await
    }

    /// Waits for events, adds what is there to `events`, at most `most`, and says how many; 0: no more will come. The future may
    /// be dropped while it waits, and nothing is lost.
    pub async fn recv_many(&mut self, events: &mut Vec<BackendEvent>, most: usize) -> usize {
        cooperative(poll_fn(|cx| {
            ready!(self.poll_some(cx));
            let mut waiting = locked(&self.waiting);
            let taken = waiting.events.len().min(most);
            events.extend(waiting.events.drain(..taken));
            Poll::Ready(taken)
        }))
        .await
    }

    /// Waits until an event is there or none will come. The source goes on where nothing is left to take.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !locked(&self.waiting).events.is_empty() {
                return Poll::Ready(());
            }
            let Some(source) = &mut self.source else {
                return Poll::Ready(());
            };
            if source.as_mut().poll(cx).is_ready() {
                self.source = None;
            } else if locked(&self.waiting).events.is_empty() {
                return Poll::Pending;
            }
        }
    }
}

impl EventSink {
    /// Puts an event into a place, once one is free; false: nobody takes it.
    pub async fn send(&self, event: BackendEvent) -> bool {
        self.room(|waiting| waiting.events.len() < waiting.places).await && self.put(event)
    }

    /// Does as [`EventSink::send`], for an event that is as large as many: it waits until all others are taken, and until it is
    /// taken itself.
    pub async fn send_alone(&self, event: BackendEvent) -> bool {
        let empty = |waiting: &Waiting| waiting.events.is_empty();
        self.room(empty).await && self.put(event) && self.room(empty).await
    }

    /// Waits until nobody takes events any more.
    pub async fn closed(&self) {
        self.room(|_| false).await;
    }

    /// Waits until there is room; false: nobody takes events any more.
    async fn room(&self, is_room: impl Fn(&Waiting) -> bool) -> bool {
        poll_fn(|_| {
            let waiting = locked(&self.0);
            match waiting.closed {
                true => Poll::Ready(false),
                false if is_room(&waiting) => Poll::Ready(true),
                false => Poll::Pending,
            }
        })
        .await
    }

    fn put(&self, event: BackendEvent) -> bool {
        locked(&self.0).events.push_back(event);
        true
    }
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<mpsc::Receiver<BackendEvent>> for BackendEvents {
    fn from(mut ready: mpsc::Receiver<BackendEvent>) -> Self {
        Self::new(1, |to| async move {
            loop {
                let event = tokio::select! {
                    event = ready.recv() => event,
                    () = to.closed() => return,
                };
                let Some(event) = event else { return };
                if !to.send(event).await {
                    return;
                }
            }
        })
    }
}

impl Drop for BackendEvents {
    fn drop(&mut self) {
        let mut waiting = locked(&self.waiting);
        waiting.closed = true;
        let left = std::mem::take(&mut waiting.events);
        drop(waiting);
        drop(left);
        if let Some(source) = self.source.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(source);
        }
    }
}

impl fmt::Debug for BackendEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendEvents").finish_non_exhaustive()
    }
}
