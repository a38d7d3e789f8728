//! The events of a chat backend, as their reader takes them.
//!
//! What makes the host's events of a plugin's could be a task with a channel behind it. Then each event would wait for two
//! tasks to be woken, one after the other, on a machine that the backend keeps busy. So it is a future that the reader polls
//! whenever it wants an event and there is none: the conversion is done where the event is used.

use futures::future::BoxFuture;
use nexus_model::{chat, plugin};
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

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
    ready: mpsc::Receiver<BackendEvent>,
    /// `source` puts events where `ready` takes them from; `None`: that is somebody else's, or it is over.
    source: Option<BoxFuture<'static, ()>>,
}

impl BackendEvents {
    /// Takes events from `ready`, where `source` puts them. When this is dropped, `ready` is closed, and `source` runs to its
    /// end as a task: it has to take leave of its plugin.
    pub fn new(ready: mpsc::Receiver<BackendEvent>, source: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            ready,
            source: Some(Box::pin(source)),
        }
    }

    /// Waits for the next event; `None`: no more will come. The future may be dropped while it waits, and nothing is lost.
    pub async fn recv(&mut self) -> Option<BackendEvent> {
        poll_fn(|cx| {
            self.drive(cx);
            self.ready.poll_recv(cx)
        })
        .await
    }

    /// Waits for events, adds what is there to `events`, at most `most`, and says how many; 0: no more will come. The future may
    /// be dropped while it waits, and nothing is lost.
    pub async fn recv_many(&mut self, events: &mut Vec<BackendEvent>, most: usize) -> usize {
        poll_fn(|cx| {
            self.drive(cx);
            self.ready.poll_recv_many(cx, events, most)
        })
        .await
    }

    /// Lets the source go on, where nothing is left to take.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ready.is_empty() {
            return;
        }
        if let Some(source) = &mut self.source
            && let Poll::Ready(()) = source.as_mut().poll(cx)
        {
            self.source = None;
        }
    }
}

impl From<mpsc::Receiver<BackendEvent>> for BackendEvents {
    fn from(ready: mpsc::Receiver<BackendEvent>) -> Self {
        Self { ready, source: None }
    }
}

impl Drop for BackendEvents {
    fn drop(&mut self) {
        self.ready.close();
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
